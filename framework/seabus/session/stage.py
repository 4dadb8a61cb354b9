# SPDX-License-Identifier: Apache-2.0
"""The stage: one world under observation, on which a fault is played from victim to verdict.

Order matters and is kept here: witnesses watch before anything happens; an injection is followed until its
receipt is seen; nothing is judged before every witness has caught up and everybody who should be well was
asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

from seabus.channel.agent import Agent
from seabus.errors import ChannelError, DeadlineError, MachineError
from seabus.faults import draws, permission
from seabus.faults.fault import Fault, Receipt
from seabus.guest.victim import Touch, Victim
from seabus.judge.expectation import Expectation, resolved
from seabus.judge.judge import judge
from seabus.judge.verdict import Judgement, Verdict
from seabus.observe import clock
from seabus.observe.clock import HERE, Alignment
from seabus.observe.events import Event, Kind, Level, Recorder
from seabus.observe.story import Story
from seabus.observe.witness import TraceWitness
from seabus.patience import STEP, deadline, scale
from seabus.session import accounts, landing, rounds
from seabus.session.deaths import Deaths
from seabus.session.outcome import Outcome
from seabus.session.vmm_watch import VmmWatch
from seabus.session.whereabouts import Whereabouts
from seabus.world import standstill
from seabus.world.world import World

#: Seconds after which a touch is slow enough to ask whether the VMM is still there.
_LOOK_AFTER_VMM: Final = 1.0
_CLOSING: Final = 0.05


class Stage:
    """See the module. Made by :meth:`open`.

    :param injecting: False makes it a negative control: faults are described, and not put in.
    :param seed: of what it leaves to chance; by itself one that nobody chose.
    """

    def __init__(self, world: World, *, injecting: bool = True, seed: int | None = None) -> None:
        self.world = world
        self.injecting = injecting
        self.recorder = Recorder()
        self.witnesses: dict[Level, TraceWitness] = {
            "L1": TraceWitness("L1", world.l1, self.recorder, world.artefacts / "trace-l1.txt"),
            "L2": TraceWitness("L2", world.l2, self.recorder, world.artefacts / "trace-l2.txt"),
        }
        self._clocks: dict[Level, Alignment] = {"L0": HERE}
        self._zero_ns = time.monotonic_ns()
        #: Those that were asked for, in their order.
        self.victims: list[Victim] = []
        self.bystanders: list[Victim] = []
        #: Those that were put in, in their order.
        self.faults: list[Fault] = []
        self._receipts: list[Receipt] = []
        self.pages = Whereabouts(world, self.add, lambda: bool(self.faults))
        self._lost = ""
        self.vmm = VmmWatch(world)
        self.deaths = Deaths(world, self.vmm, self.add)
        self.seed = draws.new_seed() if seed is None else seed
        #: Where chance comes from, here and in whatever context faults are made in.
        self.chance = random.Random(self.seed)
        self._heard: dict[int, int] = {}
        self._watching = AsyncExitStack()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, world: World, *, injecting: bool = True, seed: int | None = None
    ) -> AsyncIterator[Stage]:
        """A stage whose witnesses watch while the body runs."""
        stage = cls(world, injecting=injecting, seed=seed)
        draws.follow(stage.chance)
        async with stage._watching:
            for witness in stage.witnesses.values():
                await stage._watching.enter_async_context(witness.watching())
            yield stage

    async def rest(self) -> None:
        """Nobody watches any more: the world is about to be frozen."""
        await self._watching.aclose()

    async def watch_anew(self) -> None:
        """The guest has booted anew: watch this life of it, and forget who lived in the one before."""
        agent = self.world.l2
        self.bystanders = [bystander for bystander in self.bystanders if bystander.agent is not agent]
        self.victims = [victim for victim in self.victims if victim.agent is not agent]
        self.pages.forget()
        self.deaths.lives_anew("L2")
        kept = self.world.artefacts / f"trace-l2-{time.monotonic_ns()}.txt"
        self.witnesses["L2"] = TraceWitness("L2", agent, self.recorder, kept)
        await self._watching.enter_async_context(self.witnesses["L2"].watching())
        await self.set_clock("L2")

    async def set_clock(self, level: Level) -> None:
        """A level's clock has jumped: what was seen before is moved with it."""
        before, now = self._clocks.get(level), await clock.align(self.agent(level))
        self._clocks[level] = now
        if before is not None:
            self.recorder.shift(level, before.offset_ns - now.offset_ns)

    @property
    def broke(self) -> bool:
        """Whether something may have been broken by now."""
        return self.world.broke

    def is_dead(self, level: Level) -> bool:
        """Whether a level has given up, or does not answer any more."""
        return level in self.deaths.dead

    def agent(self, level: Level) -> Agent:
        """The agent of L1 or L2."""
        return self.world.l1 if level == "L1" else self.world.l2

    # Before the fault

    async def victim(self, *, level: Level = "L2", **options: Any) -> Victim:  # noqa: ANN401 - Victim.make's
        """A process that owns memory; the first at a level brings a bystander, who must stay well."""
        agent = self.agent(level)
        wanted = [Victim.make(agent, **options)]
        if all(bystander.agent is not agent for bystander in self.bystanders):
            wanted.append(Victim.make(agent))
        victim, *bystanders = await asyncio.gather(*wanted)
        self.bystanders += bystanders
        self.victims.append(victim)
        return victim

    # The fault

    async def compare_clocks(self) -> None:
        """Compare the levels' clocks before a fault, if that was not done: it takes everybody's answer."""
        if not self._clocks.keys() >= {"L1", "L2"}:
            await self._align()

    async def inject(self, fault: Fault) -> Receipt | None:
        """Put a fault in and wait for its receipt; None if it was lost, or in a negative control.

        A fault that was lost makes the verdict an error, whatever else is seen.
        """
        await self.compare_clocks()
        if not self.injecting:
            return None
        described = fault.described()
        self._zero_ns = self._zero_ns if self.faults else time.monotonic_ns()
        self.faults.append(fault)
        self.add(
            fault.level, "monitor", "inject", described, f"{described['kind']} {described.get('address')}"
        )
        if receipt := await landing.put_in(self, fault):
            self._receipts.append(receipt)
            return receipt
        if self.is_dead("L1") or self.is_dead(fault.level) or await self.deaths.mourn():
            return None  # who should report it has given up: that is judged, and no pass without a receipt
        self._lost = "injection lost: it was accepted, but its target never reported it"
        if await landing.is_deaf(self, fault):
            self._lost += f" ({landing.HOST_APEI.reason})"
        return None

    async def until(
        self,
        level: Level,
        kind: Kind,
        *,
        within: float = STEP,
        **fields: Any,  # noqa: ANN401 - any field's value
    ) -> Event | None:
        """Wait for an event with these fields; None if it does not come: that is the judge's to report.

        Nothing is waited for in a negative control, or from the dead.
        """
        if not self.faults or level in self.deaths.dead:
            return None
        with contextlib.suppress(DeadlineError):
            return await self.recorder.until(
                lambda event: (
                    (event.level, event.kind) == (level, kind)
                    and all(event.fields.get(name) == value for name, value in fields.items())
                ),
                within=within,
                what=f"{level}'s {kind}",
            )
        return None

    # What follows

    async def settle(self, seconds: float) -> None:
        """Leave the world alone for a while: what comes late is seen, and judged, as well."""
        await asyncio.sleep(seconds)

    async def touch(self, victim: Victim, **access: Any) -> Touch | None:  # noqa: ANN401 - see Victim.touch
        """Let a victim touch its memory; None if whoever should answer is gone, which is an event then."""
        if self.level_of(victim) not in self.deaths.dead:
            await permission.ask_for_deed(self.world, self.level_of(victim), access.get("advice"))
        return await self.perform(victim, **access)

    async def perform(self, victim: Victim, **access: Any) -> Touch | None:  # noqa: ANN401 - Victim.touch's
        """A touch for which leave was given."""
        if self.level_of(victim) in self.deaths.dead:
            return None
        try:
            return await self._touch(victim, access)
        except MachineError:
            if not await self.deaths.mourn():
                raise
            return None

    async def hear(self, victim: Victim, *, count: int = 1) -> None:
        """Note the signals that a victim gets while it touches nothing, each once.

        :param count: how many, in all, are waited for; not in a negative control.
        """
        if self.faults:
            with contextlib.suppress(DeadlineError):
                await victim.heard(count)
        heard = await victim.signals(since=self._heard.get(victim.handle, 0))
        for event in accounts.of_signals(self.level_of(victim), heard):
            self.recorder.add(event)
        self._heard[victim.handle] = heard.count

    @contextlib.asynccontextmanager
    async def looping(self, victims: Sequence[Victim], **access: Any) -> AsyncIterator[None]:  # noqa: ANN401
        """While the body runs all of them touch without a pause; after it, until a signal ends each.

        In a negative control nothing will, so they are stopped; so is one whose signal does not come, which
        is the judge's to report.
        """
        async with AsyncExitStack() as stack:
            loops = [await stack.enter_async_context(victim.looping(**access)) for victim in victims]
            yield
            for loop in loops if self.faults else ():
                if "L2" in self.deaths.dead or not await self.while_vmm_lives(loop.task, within=STEP):
                    loop.task.cancel()
                    await asyncio.wait([loop.task])
                else:
                    self.note_touch(loop.victim, loop.task.result(), access.get("op", "read"))

    async def finish(self, expectations: Sequence[Expectation]) -> Outcome:
        """Let the witnesses catch up, see who is still well, and judge."""
        expectations = resolved(expectations)
        if self._lost:
            judgement = Judgement(verdict=Verdict.ERROR, reason=self._lost)
        else:
            try:
                if "L1" not in self.deaths.dead:
                    await rounds.look_around(self)
            except MachineError:
                if not await self.deaths.mourn():
                    raise
            judgement = self._proven(judge(self.story(), expectations))
        judged = time.monotonic_ns()
        if not self.deaths.dead and not self._lost:
            await self._align()
        return Outcome(
            judgement=judgement,
            story=self.story(),
            expectations=expectations,
            faults=self.faults,
            receipts=self._receipts,
            seed=self.seed,
            addresses=self.pages.found,
            seconds={"fault_to_verdict": (judged - self._zero_ns) / 1e9},
        )

    def _proven(self, judgement: Judgement) -> Judgement:
        """No receipt, no pass: a story that is as it must be shows nothing of a fault that was not there."""
        if judgement.verdict is not Verdict.PASS or not self.injecting:
            return judgement
        if not self.faults:
            reason = "nothing was injected, so nothing can be shown"
            return Judgement(verdict=Verdict.UNKNOWN, reason=reason)
        if without := len(self.faults) - len(self._receipts):
            reason = f"injection lost: {without} of {len(self.faults)} faults left no receipt"
            return Judgement(verdict=Verdict.ERROR, reason=reason)
        return judgement

    def story(self) -> Story:
        """What has happened so far."""
        return Story(self.recorder.events, {**_UNALIGNED, **self._clocks}, self._zero_ns)

    def add(
        self,
        level: Level,
        witness: str,
        kind: Kind,
        fields: Mapping[str, Any],
        text: str,
        clock_ns: int | None = None,
    ) -> None:
        """Add an event of our own; without a time of its level, it is now."""
        if clock_ns is None:
            clock_ns = time.monotonic_ns() - self._clocks.get(level, HERE).offset_ns
        self.recorder.add(
            Event(level=level, witness=witness, kind=kind, clock_ns=clock_ns, fields=fields, text=text)
        )

    # Inside: touching

    async def _touch(self, victim: Victim, access: Mapping[str, Any]) -> Touch | None:
        level, op = self.level_of(victim), access.get("op", "read")
        if level in self._clocks:
            self.add(level, "victim", "note", {"op": op, "tid": victim.tid}, f"the victim's {op} begins")
        touching = asyncio.ensure_future(victim.touch(**access))
        if not await self.while_vmm_lives(touching):
            return None
        if isinstance(late := touching.exception(), DeadlineError):
            if (still := await standstill.of(self.world)) and still.held:
                await standstill.blame(self.world, late)
                raise late
            if not await self.deaths.mourn():
                await self.deaths.silent(level)
            return None
        touched = await touching
        self.note_touch(victim, touched, op)
        return touched

    async def while_vmm_lives(self, task: asyncio.Future[Any], *, within: float = math.inf) -> bool:
        """Whether a task came to its end, in time and before the VMM did, whose end is an event."""
        late = time.monotonic() + within * scale()
        try:
            while not (await asyncio.wait([task], timeout=_LOOK_AFTER_VMM))[0]:
                if not await self.look_after_vmm() or time.monotonic() > late:
                    task.cancel()
                    return False
        except BaseException:  # who would tell does not answer either: nobody waits for the task any more
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        return not await self._was_cut_off(task)

    async def _was_cut_off(self, task: asyncio.Future[Any]) -> bool:
        """Whether a task lost its channel to the VMM's end: on a lab host the guest's are sockets of its own.

        They close a moment before it is gone.
        """
        if not task.cancelled() and type(task.exception()) is ChannelError:
            with contextlib.suppress(DeadlineError):
                async with deadline(_LOOK_AFTER_VMM, "the VMM to end"):
                    while await self.look_after_vmm():  # noqa: ASYNC110 - a process of L1
                        await asyncio.sleep(_CLOSING)
                    return True
        return False

    def note_touch(self, victim: Victim, touched: Touch, op: str) -> None:
        """What came of a touch, as events."""
        for event in accounts.of_touch(self.level_of(victim), victim, touched, op):
            self.recorder.add(event)

    def level_of(self, victim: Victim) -> Level:
        """Where a victim lives."""
        return "L1" if victim.agent is self.world.l1 else "L2"

    # Inside: who is well, and who is not

    async def look_after_vmm(self) -> bool:
        """Whether the VMM lives; that it does not is an event."""
        if "L2" in self.deaths.dead:
            return False
        if await self.vmm.alive():
            return True
        await self.deaths.vmm_ended()
        return False

    async def _align(self) -> None:
        l1, l2 = await asyncio.gather(
            clock.align(self.world.l1, best=self._clocks.get("L1")),
            clock.align(self.world.l2, best=self._clocks.get("L2")),
        )
        self._clocks |= {"L1": l1, "L2": l2}


_UNALIGNED: Final[dict[Level, Alignment]] = {"L1": HERE, "L2": HERE}
