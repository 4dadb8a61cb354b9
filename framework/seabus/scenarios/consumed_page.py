# SPDX-License-Identifier: Apache-2.0
"""The main job: firmware reports an uncorrected error in a page of a guest, and the guest consumes it.

What must follow is :func:`seabus.scenarios.consumed_chain.expectations`.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from seabus.errors import DeadlineError, MachineError
from seabus.faults import fault
from seabus.faults.fault import MemoryRecord, Receipt
from seabus.guest.translate import Addresses, translate
from seabus.guest.victim import Touch, Victim
from seabus.judge.expectation import Expectation
from seabus.judge.judge import judge
from seabus.judge.verdict import Finding, Judgement, Verdict
from seabus.observe import clock
from seabus.observe.clock import HERE, Alignment
from seabus.observe.events import Event, Level, Recorder
from seabus.observe.panic import panic_of
from seabus.observe.story import Story
from seabus.observe.witness import TraceWitness
from seabus.patience import STEP
from seabus.scenarios.consumed_chain import expectations
from seabus.world.world import World

#: Seconds after which a touch is slow enough to ask whether the VMM is still there.
_LOOK_AFTER_VMM: Final = 1.0
Access = Literal["read", "write"]


@dataclass(kw_only=True)
class Outcome:
    """All that a run found out."""

    judgement: Judgement
    story: Story
    expectations: Sequence[Expectation]
    fault: MemoryRecord | None
    receipt: Receipt | None
    addresses: Addresses
    seconds: dict[str, float] = field(default_factory=dict)


async def run(world: World, *, inject: bool = True, access: Access = "read") -> Outcome:
    """Follow one fault through a fresh world.

    :param inject: False makes it the negative control: the same steps, but nothing is injected.
    :raises MachineError: a channel or a machine failed on the way; that is no verdict on the system.
    """
    recorder = Recorder()
    host = TraceWitness("L1", world.l1, recorder, world.artefacts / "trace-l1.txt")
    guest = TraceWitness("L2", world.l2, recorder, world.artefacts / "trace-l2.txt")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(host.watching())
        await stack.enter_async_context(guest.watching())
        victim, bystander = await asyncio.gather(Victim.make(world.l2), Victim.make(world.l2))
        addresses = await translate(
            victim.address,
            victim.pid,
            l2=world.l2,
            l2_qmp=world.l2_qmp,
            l1=world.l1,
            vmm_pid=world.vmm_pid,
        )
        clocks = await _clocks(world, {})
        run_ = _Run(world, recorder, host, guest, victim, bystander, addresses, clocks, access)
        return await run_.go(inject)


@dataclass
class _Run:
    world: World
    recorder: Recorder
    host: TraceWitness
    guest: TraceWitness
    victim: Victim
    bystander: Victim
    addresses: Addresses
    clocks: dict[Level, Alignment]
    access: Access
    guest_lives: bool = True

    async def go(self, inject: bool) -> Outcome:
        record = MemoryRecord(address=self.addresses.host_physical, nonce=uuid.uuid4())
        expected = expectations(
            record,
            self.addresses,
            self.victim,
            vmm_pid=self.world.vmm_pid,
            l2_cpus=self.world.config.l2_cpus,
        )
        zero = time.monotonic_ns()
        receipt = await self._inject(record) if inject else None
        if inject and receipt is None:
            judgement = Judgement(
                verdict=Verdict.ERROR,
                reason="injection lost: L0 accepted the record, but L1 never reported it"
                " (has L1 GHES, and its kernel APEI?)",
            )
        else:
            checks = await self._follow(inject)
            judgement = judge(self._story(zero), expected, checks)
        judged = time.monotonic_ns()
        if self.guest_lives:
            self.clocks = await _clocks(self.world, self.clocks)
        return Outcome(
            judgement=judgement,
            story=self._story(zero),
            expectations=expected,
            fault=record if inject else None,
            receipt=receipt,
            addresses=self.addresses,
            seconds={"fault_to_verdict": (judged - zero) / 1e9},
        )

    async def _inject(self, record: MemoryRecord) -> Receipt | None:
        """Inject, and wait for the host's own report of this very record."""
        data = record.encoded()
        (self.world.artefacts / "record.cper").write_bytes(data)
        self._add("L0", "monitor", "inject", record.described(), f"record for {record.address}")
        await fault.inject(self.world.qmp, data)
        try:
            seen = await self.recorder.until(
                lambda event: (
                    event.level == "L1"
                    and event.kind == "ghes"
                    and event.fields["fru_id"] == str(record.nonce)
                ),
                within=STEP,
                what="L1 to report the record",
            )
        except DeadlineError:
            if not self.world.process.alive:
                raise
            return None
        return Receipt(
            nonce=str(record.nonce),
            source=seen.fields["source"],
            address=f"{seen.fields['physical_address']:#x}",
        )

    async def _follow(self, inject: bool) -> list[Finding]:
        """Everything after the injection; who is not well. A host that panics has given its answer."""
        try:
            if inject:
                await self._host_is_done()
            return await self._consume()
        except MachineError:
            panic = self._panic("l1")
            if panic is None:
                raise
            self.guest_lives = False
            return [Finding(kind="dead", subject="host", text=f"the host panicked: {panic}")]

    def _panic(self, level: Literal["l1", "l2"]) -> str | None:
        return panic_of(self.world.artefacts / f"console-{level}.log")

    async def _host_is_done(self) -> None:
        """Wait until memory_failure() has dealt with the page; its absence is the judge's to report."""
        try:
            await self.recorder.until(
                lambda event: event.level == "L1" and event.kind == "memory_failure",
                within=STEP,
                what="L1's memory_failure()",
            )
        except DeadlineError:
            return

    async def _consume(self) -> list[Finding]:
        """Touch the page, then the one beside it, let the witnesses catch up, and see who is still well."""
        touching = asyncio.ensure_future(self.victim.touch(op=self.access))
        dead = await self._died_during(touching)
        if dead is None:
            self._note_touch(await touching)
            beside = await self.bystander.touch(op="read")
            _, _, checks = await asyncio.gather(
                self.host.caught_up(), self.guest.caught_up(), self._well(beside)
            )
            return checks
        self.guest_lives = False
        await self.host.caught_up()
        return [dead]

    async def _died_during(self, touching: asyncio.Future[Touch]) -> Finding | None:
        """Whether VMM or guest end or fall silent before the touch does: nobody is left to answer it."""
        while not (await asyncio.wait([touching], timeout=_LOOK_AFTER_VMM))[0]:
            vmm = await self.world.l1.request("alive", pid=self.world.vmm_pid)
            if not vmm["alive"]:
                touching.cancel()
                if panic := self._panic("l2"):
                    text = f"the guest panicked when it touched the page: {panic}"
                    return Finding(kind="dead", subject="guest", text=text)
                words = (await self.world.vmm_log()).decode(errors="backslashreplace").strip()
                last = words.splitlines()[-1] if words else "without a word"
                text = f"the VMM died when the guest touched the page: {last}"
                return Finding(kind="dead", subject="VMM", text=text)
        if isinstance(touching.exception(), DeadlineError):
            text = "the guest fell silent when it touched the page; its console is in the artefacts"
            return Finding(kind="dead", subject="guest", text=text)
        return None

    def _note_touch(self, touched: Touch) -> None:
        self._add("L2", "victim", "touch", {"op": self.access}, touched.outcome, touched.clock_ns)
        if touched.signal is not None:
            signal = touched.signal
            self._add(
                "L2",
                "victim",
                "siginfo",
                {
                    "code": signal.code,
                    "address": signal.address,
                    "lsb": signal.lsb,
                    "tid": signal.tid,
                    "pc": signal.pc,
                    "fault_address": signal.fault_address,
                    "esr": signal.esr,
                },
                str(signal),
                touched.clock_ns,
            )

    async def _well(self, beside: Touch) -> list[Finding]:
        """The bystander, the guest and the VMM must be as they were."""
        findings = []
        if not beside.intact:
            findings.append(
                Finding(
                    kind="bystander",
                    subject="bystander",
                    text=f"a page beside the fault was hit: {beside.outcome}",
                )
            )
        try:
            status, vmm = await asyncio.gather(
                self.world.l2_qmp.execute("query-status"),
                self.world.l1.request("alive", pid=self.world.vmm_pid),
            )
        except MachineError as error:
            return [*findings, Finding(kind="dead", subject="VMM", text=f"VMM: {error.message}")]
        if not vmm["alive"] or status["status"] != "running":
            text = f"the guest is {status['status']}, the VMM {vmm}"
            findings.append(Finding(kind="dead", subject="guest", text=text))
        return findings

    def _add(
        self,
        level: Level,
        witness: str,
        kind: Any,  # noqa: ANN401 - a Kind, checked where Event is made
        fields: dict[str, Any],
        text: str,
        clock_ns: int | None = None,
    ) -> None:
        moment = time.monotonic_ns() if clock_ns is None else clock_ns
        self.recorder.add(
            Event(level=level, witness=witness, kind=kind, clock_ns=moment, fields=fields, text=text)
        )

    def _story(self, zero: int) -> Story:
        return Story(self.recorder.events, self.clocks, zero)


async def _clocks(world: World, known: dict[Level, Alignment]) -> dict[Level, Alignment]:
    l1, l2 = await asyncio.gather(
        clock.align(world.l1, best=known.get("L1")), clock.align(world.l2, best=known.get("L2"))
    )
    return {"L0": HERE, "L1": l1, "L2": l2}
