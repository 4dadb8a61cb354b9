# SPDX-License-Identifier: Apache-2.0
"""What a stage makes of what it is told; its world is a stand-in, whose machines answer what they are asked.

Injections are stand-ins as well where their means do not matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from seabus.arch.addresses import GuestVirtual, HostPhysical
from seabus.channel.agent import Agent
from seabus.channel.interface import CommandResult
from seabus.channel.qga import Qga
from seabus.channel.qmp import Qmp
from seabus.errors import CapabilityError, ChannelError, CloneError, MachineError
from seabus.faults.einj import Einj
from seabus.faults.fault import Fault, Receipt
from seabus.faults.poison import HardOffline, HwpoisonInject, SoftOffline
from seabus.faults.record import MemoryRecord
from seabus.guest.victim import Victim
from seabus.judge.expectation import Expectation
from seabus.judge.verdict import Finding, Verdict
from seabus.machine.config import WorldConfig
from seabus.observe import tracing
from seabus.observe.events import Event, Level
from seabus.patience import ANSWER, deadline
from seabus.session import landing, stuck
from seabus.session import stage as stages
from seabus.session.outcome import Outcome
from seabus.session.session import Session, SessionVictim
from seabus.session.stage import Stage
from seabus.world.world import World

PAGE = HostPhysical(0x4567_8000)
REBOOTED = {"boot_id": "second life", "nonce": None, "pid": 100}
PANIC = "[   12.345678] Kernel panic - not syncing: Fatal hardware error\r\n"
END = "[   12.500000] ---[ end Kernel panic - not syncing: Fatal hardware error ]---\r\n"
SEEN = Expectation(name="seen", level="L1", witness="trace", kind="memory_failure")
#: The trace's words for what :data:`SEEN` expects.
FAILED = (
    " kworker/0:1-11 [000] ....1. 53.200000: memory_failure_event: pfn=0x45678"
    " page_type=dirty LRU page result=Recovered\n"
)


class Machine:
    """An agent: what it is asked is kept; whether it answers, and what happens then, is the test's."""

    connected = True

    def __init__(self, level: str) -> None:
        self.level = level
        self.hello: dict[str, Any] = {"boot_id": f"{level}'s", "nonce": f"{level}'s own", "pid": 100}
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.silent = False
        self.broken: ChannelError | None = None
        self.vmm: dict[str, Any] = {"alive": True}
        self._take: Callable[[bytes], None] = lambda _: None

    async def request(self, verb: str, **asked: Any) -> Mapping[str, Any]:  # noqa: ANN401 - as the verb wants
        self.asked.append((verb, asked))
        await asyncio.sleep(0)  # whoever asks again and again has a deadline
        if self.broken:
            raise self.broken
        if self.silent:
            async with deadline(ANSWER, f"{self.level}'s agent to answer {verb}"):
                await asyncio.Event().wait()
        answers = {"hello": self.hello, "clock": {"mono_ns": 0}, "alive": self.vmm, "touch": {"value": "0x1"}}
        return answers[verb]

    async def write(self, path: str, data: bytes, *, append: bool = False) -> None:
        await self.request("clock", path=path, append=append)
        if path == tracing.MARKER:
            text = data.decode().strip()
            self._take(f" agent-139 [001] ...1. 53.279064: tracing_mark_write: {text}\n".encode())

    async def run(self, *argv: str, stdin: bytes | None = None, within: float = 0) -> CommandResult:
        await self.request("clock", argv=argv)
        text = "0x00000010\tMemory Uncorrectable non-fatal\n" if "available" in argv[-1] else "0x0\n"
        return CommandResult(argv=argv, exit=0, signal=None, stdout=text.encode(), stderr=b"")

    async def read(self, path: str) -> bytes:
        return b"HardwareCorrupted:     0 kB\n" if path == "/proc/meminfo" else b""

    @contextlib.asynccontextmanager
    async def following(self, _path: str, take: Callable[[bytes], None]) -> AsyncIterator[None]:
        self._take = take
        yield

    def traces(self, text: str) -> None:
        self._take(text.encode())

    def written(self) -> list[str]:
        """The files that a fault has written, commands that write, and what victims were told to do."""
        files = [asked["path"] for _, asked in self.asked if asked.get("path") not in (None, tracing.MARKER)]
        commands = [asked["argv"][-1] for _, asked in self.asked if asked.get("argv", ("",))[0] == "sh"]
        return files + commands + [verb for verb, _ in self.asked if verb == "touch"]


class Emulator:
    """What the host stands on."""

    def __init__(self) -> None:
        self.alive = True
        self.status = 0
        self._gone = asyncio.Event()

    def ends(self, status: int) -> None:
        self.alive, self.status = False, status
        self._gone.set()

    async def ended(self) -> int:
        await self._gone.wait()
        return self.status

    def ended_error(self) -> MachineError:
        return MachineError(f"the emulator ended by itself ({self.status})")


class Monitor:
    async def execute(self, command: str) -> Mapping[str, Any]:
        assert command == "query-status"
        return {"status": "running"}


@dataclass(kw_only=True)
class Stand(World):
    """A world that gives leave for some kinds, and keeps what it was asked."""

    allowed: tuple[str, ...] = ("einj", "hard-offline", "hwpoison-inject", "madvise", "soft-offline")
    permitted: list[tuple[str, int | None]] = field(default_factory=list)

    async def permit(self, kind: str, pfn: int | None = None) -> None:
        self.permitted.append((kind, pfn))
        if kind not in self.allowed:
            raise CapabilityError(f"the lab file does not allow {kind}")

    async def l1_gave_up(self) -> bool:
        return not self.process.alive and await self.process.ended() == 0

    def machine(self, level: Level) -> Machine:
        return cast(Machine, self.l1 if level == "L1" else self.l2)

    def emulator(self) -> Emulator:
        return cast(Emulator, self.process)

    def console(self, level: Level, text: str) -> None:
        with (self.artefacts / f"console-{level.lower()}.log").open("a", newline="") as file:
            file.write(text)


def stand(where: Path, allowed: tuple[str, ...] | None = None) -> Stand:
    l1, l2 = Machine("L1"), Machine("L2")
    world = Stand(
        config=WorldConfig(),
        process=Emulator(),
        artefacts=where,
        l1=cast(Agent, l1),
        l2=cast(Agent, l2),
        l2_qga=cast(Qga, None),
        l2_qmp=cast(Qmp, Monitor()),
        notes={"l1": dict(l1.hello), "l2": dict(l2.hello)},
    )
    world.allowed = world.allowed if allowed is None else allowed
    return world


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A fault that does what it is told.

    :param told: gives its receipt at once.
    """

    effect: Callable[[], Awaitable[None]]
    told: bool = False
    level: Level = "L1"

    def described(self) -> Mapping[str, Any]:
        return {"kind": "planted", "address": "0x0"}

    async def put_in(self, world: World) -> Receipt | None:
        del world
        await self.effect()
        return Receipt(witness="test", facts={}) if self.told else None

    def receipt(self, event: Event) -> Receipt | None:
        return Receipt(witness="test", facts={}) if event.kind == "memory_failure" else None


def victim(world: Stand, level: Level) -> Victim:
    agent = cast(Agent, world.machine(level))
    return Victim(agent=agent, handle=1, pid=200, tid=200, address=GuestVirtual(0x1000), length=4096)


def played(
    where: Path, play: Callable[[Stage, Stand], Awaitable[None]], *, injecting: bool = True
) -> Outcome:
    """The verdict on a story in which :data:`SEEN` is expected."""

    async def run() -> Outcome:
        world = stand(where)
        async with Stage.open(world, injecting=injecting) as stage:
            await play(stage, world)
            return await stage.finish([SEEN])

    return asyncio.run(run())


def dead(outcome: Outcome) -> list[Finding]:
    return [finding for finding in outcome.judgement.findings if finding.kind == "dead"]


async def nothing() -> None:
    pass


# No receipt, no pass.


def test_a_fault_that_was_reported_passes(tmp_path: Path) -> None:
    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            world.machine("L1").traces(FAILED)

        assert not stage.broke
        await stage.inject(Planted(effect=breaks))
        assert stage.broke

    outcome = played(tmp_path, play)
    assert outcome.judgement.verdict is Verdict.PASS, outcome.judgement
    assert len(outcome.receipts) == 1


def test_a_matching_story_without_an_injection_shows_nothing(tmp_path: Path) -> None:
    async def play(_: Stage, world: Stand) -> None:
        world.machine("L1").traces(FAILED)

    outcome = played(tmp_path, play)
    assert outcome.judgement.verdict is Verdict.UNKNOWN
    assert outcome.judgement.reason == "nothing was injected, so nothing can be shown"


def test_a_negative_control_that_passes_is_seen_to(tmp_path: Path) -> None:
    """It is the plugin's to say that this scenario cannot fail."""

    async def play(_: Stage, world: Stand) -> None:
        world.machine("L1").traces(FAILED)

    assert played(tmp_path, play, injecting=False).judgement.verdict is Verdict.PASS


def test_a_fault_whose_error_the_test_swallows_is_no_pass(tmp_path: Path) -> None:
    async def play(stage: Stage, world: Stand) -> None:
        async def fails() -> None:
            raise ChannelError("the channel broke")

        with pytest.raises(ChannelError):
            await stage.inject(Planted(effect=fails))
        world.machine("L1").traces(FAILED)

    judgement = played(tmp_path, play).judgement
    assert (judgement.verdict, judgement.reason) == (
        Verdict.ERROR,
        "injection lost: 1 of 1 faults left no receipt",
    )


@pytest.mark.parametrize(("dealt_with", "verdict"), [(1, Verdict.ERROR), (2, Verdict.PASS)])
def test_what_comes_late_of_one_fault_is_no_receipt_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dealt_with: int, verdict: Verdict
) -> None:
    """Both are of one page; what the kernel does to it for the first comes when the second is put in."""
    monkeypatch.setattr(landing, "STEP", 0.5)

    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            for _ in range(dealt_with):
                world.machine("L1").traces(FAILED)

        await stage.inject(Planted(effect=nothing, told=True))
        await stage.inject(Planted(effect=breaks))

    async def run() -> Outcome:
        async with Stage.open(world := stand(tmp_path)) as stage:
            await play(stage, world)
            again = dataclasses.replace(SEEN, name="again", optional=True)
            return await stage.finish([SEEN, again])

    judgement = asyncio.run(run()).judgement
    assert judgement.verdict is verdict, judgement


def test_a_guest_that_dies_of_a_deed_is_judged(tmp_path: Path) -> None:
    """Nobody is left to say that it was done: what is seen of the death is no lost injection."""

    async def play(stage: Stage, world: Stand) -> None:
        async def dies() -> None:
            stage.deaths.silent("L2")

        started = time.monotonic()
        await stage.inject(Planted(effect=dies, level="L2"))
        assert time.monotonic() - started < 2

    judgement = played(tmp_path, play).judgement
    assert judgement.verdict is Verdict.FAIL, judgement
    assert judgement.findings[0].kind == "dead"


def test_a_loop_that_no_signal_ends_is_stopped_and_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "STEP", 0.1)
    tasks: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def looping(self: Victim, **_: object) -> AsyncIterator[SimpleNamespace]:
        tasks.append(asyncio.create_task(asyncio.sleep(3600)))
        yield SimpleNamespace(victim=self, task=tasks[-1])

    monkeypatch.setattr(Victim, "looping", looping)

    async def play(stage: Stage, world: Stand) -> None:
        await stage.inject(Planted(effect=nothing, told=True))
        async with stage.looping([victim(world, "L2")]):
            pass

    assert played(tmp_path, play).judgement.findings[0].kind == "missing"
    assert tasks[0].cancelled()


def test_a_deed_is_an_injection_with_its_own_receipt(tmp_path: Path) -> None:
    async def run() -> Outcome:
        world = stand(tmp_path)
        async with Stage.open(world) as stage:
            await stage.inject(strike(stage, victim(world, "L2")))
            world.machine("L1").traces(FAILED)
            return await stage.finish([SEEN])

    outcome = asyncio.run(run())
    assert outcome.judgement.verdict is Verdict.PASS, outcome.judgement
    assert [str(receipt) for receipt in outcome.receipts] == ["L2 victim reports hwpoison went through"]


def strike(stage: Stage, of: Victim) -> Fault:
    """What :meth:`SessionVictim.strike` injects."""
    kept: list[Fault] = []
    session = cast(Session, type("S", (), {"stage": stage, "inject": lambda _, fault: kept.append(fault)})())
    SessionVictim(session, of).strike("madvise", advice="hwpoison")
    return kept[0]


# Nobody is judged who is another than was handed out.


@pytest.mark.parametrize("level", ["L1", "L2"])
def test_a_machine_that_rebooted_gets_no_verdict(tmp_path: Path, level: Level) -> None:
    async def play(_: Stage, world: Stand) -> None:
        world.machine(level).hello = REBOOTED

    with pytest.raises(CloneError, match=f"{level} rebooted before the verdict"):
        played(tmp_path, play)


def test_each_machine_is_asked_once(tmp_path: Path) -> None:
    async def run() -> None:
        world = stand(tmp_path)
        async with Stage.open(world) as stage:
            await stage.finish([])
        levels: tuple[Level, ...] = ("L1", "L2")
        for level in levels:
            asked = [asked for verb, asked in world.machine(level).asked if verb == "hello"]
            assert asked == [{}]

    asyncio.run(run())


# Leave is asked where it is written.


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (HardOffline(address=PAGE), "hard-offline"),
        (HwpoisonInject(address=PAGE), "hwpoison-inject"),
        (SoftOffline(address=PAGE), "soft-offline"),
        (Einj(address=PAGE, trigger=False), "einj"),
    ],
)
def test_a_host_that_must_not_be_broken_is_not(tmp_path: Path, fault: Fault, kind: str) -> None:
    """Neither through a stage nor without one."""

    async def run(allowed: tuple[str, ...]) -> Stand:
        world = stand(tmp_path, allowed)
        await fault.put_in(world)
        return world

    async def refused() -> None:
        world = stand(tmp_path, ())
        with pytest.raises(CapabilityError, match=f"does not allow {kind}"):
            await fault.put_in(world)
        async with Stage.open(world) as stage:
            with pytest.raises(CapabilityError, match=f"does not allow {kind}"):
                await stage.inject(fault)
            assert not stage.broke
        assert world.machine("L1").written() == []

    asyncio.run(refused())
    world = asyncio.run(run((kind,)))
    assert world.permitted == [(kind, PAGE.pfn)]
    assert world.machine("L1").written() != []
    assert world.broke


@pytest.mark.parametrize("make", [HardOffline, HwpoisonInject, SoftOffline, Einj])
def test_nobody_says_that_a_page_of_the_host_is_elsewhere(make: Callable[..., Fault]) -> None:
    with pytest.raises(TypeError, match="level"):
        make(address=PAGE, level="L0")


@pytest.mark.parametrize("advice", ["hwpoison", "soft-offline"])
@pytest.mark.parametrize("how", ["strike", "touch", "gets stuck"])
def test_a_deed_that_breaks_the_host_needs_leave(tmp_path: Path, how: str, advice: str) -> None:
    async def deed(stage: Stage, of: Victim) -> None:
        if how == "strike":
            await stage.inject(strike(stage, of))
        elif how == "touch":
            await stage.touch(of, op="madvise", advice=advice)
        else:
            await stuck.gets_stuck(stage, of, op="madvise", advice=advice)

    async def run() -> None:
        for level, allowed in (("L1", ()), ("L1", ("madvise",)), ("L2", ())):
            world = stand(tmp_path, allowed)
            async with Stage.open(world) as stage:
                of = victim(world, cast(Level, level))
                if level == "L1" and not allowed:
                    with pytest.raises(CapabilityError, match="does not allow madvise"):
                        await deed(stage, of)
                    assert (world.machine("L1").written(), stage.broke) == ([], False)
                else:
                    await deed(stage, of)
                    assert (world.machine(cast(Level, level)).written(), stage.broke) == (["touch"], True)
            assert world.permitted == ([("madvise", None)] if level == "L1" else [])

    asyncio.run(run())


def test_a_load_needs_no_leave(tmp_path: Path) -> None:
    async def run() -> None:
        world = stand(tmp_path, ())
        async with Stage.open(world) as stage:
            await stage.touch(victim(world, "L1"), op="read")
            await stuck.gets_stuck(stage, victim(world, "L1"), op="read")
            assert not stage.broke
        assert world.permitted == []

    asyncio.run(run())


# A panic has two witnesses.


@pytest.mark.parametrize(
    ("text", "status", "believed"),
    [
        (PANIC, 0, True),  # it restarts, and its emulator ends
        (PANIC, -9, False),  # somebody killed the emulator; a process had written that
        (PANIC, None, False),  # the channel broke, for reasons of ours
        (PANIC + END, None, True),  # it stays where it panicked
        (PANIC + END.replace("[   12.500000] ", ""), None, False),  # no printk() wrote that
        ("", 0, False),
    ],
    ids=["restarts", "killed", "runs", "stays", "forged", "says nothing"],
)
def test_the_hosts_panic_has_a_second_witness(
    tmp_path: Path, text: str, status: int | None, believed: bool
) -> None:
    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            world.console("L1", text)
            world.machine("L1").traces(FAILED)
            world.machine("L1").broken = ChannelError("L1's agent channel was closed by the far side")
            if status is not None:
                world.emulator().ends(status)

        await stage.inject(Planted(effect=breaks, told=True))

    if believed:
        outcome = played(tmp_path, play)
        assert outcome.judgement.verdict is Verdict.FAIL
        assert [finding.text for finding in dead(outcome)] == [
            "the host panicked: Kernel panic - not syncing: Fatal hardware error"
        ]
    else:
        with pytest.raises(ChannelError, match="closed by the far side"):
            played(tmp_path, play)


@pytest.mark.parametrize(
    ("text", "exit", "signal", "told"),
    [
        (PANIC, 0, None, "the guest panicked: Kernel panic - not syncing: Fatal hardware error"),
        (PANIC, None, 6, "the VMM died: without a word"),
        (PANIC, 1, None, "the VMM died: without a word"),
        (PANIC, None, None, "the VMM died: without a word"),
        ("", 0, None, "the VMM died: without a word"),
    ],
    ids=["restarts", "aborts", "gives up", "unknown", "says nothing"],
)
def test_the_guests_panic_has_a_second_witness(
    tmp_path: Path,
    text: str,
    exit: int | None,  # noqa: A002 - the agent's word
    signal: int | None,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEABUS_PATIENCE", "0.1")

    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            world.console("L2", text)
            ended = {"exit": exit, "signal": signal}
            world.machine("L1").vmm = {
                "alive": False,
                **{name: value for name, value in ended.items() if value is not None},
            }
            world.machine("L1").traces(FAILED)

        await stage.inject(Planted(effect=breaks, told=True))

    assert [finding.text for finding in dead(played(tmp_path, play))] == [told]


@pytest.mark.parametrize("level", ["L1", "L2"])
def test_what_a_console_showed_before_is_of_another_time(tmp_path: Path, level: Level) -> None:
    """A console server begins with what it has kept."""
    with (tmp_path / f"console-{level.lower()}.log").open("w") as file:
        file.write(PANIC + END)

    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            world.machine("L1").traces(FAILED)
            if level == "L1":
                world.machine("L1").broken = ChannelError("closed")
                world.emulator().ends(0)
            else:
                world.machine("L1").vmm = {"alive": False, "exit": 0}

        await stage.inject(Planted(effect=breaks, told=True))

    if level == "L1":
        with pytest.raises(ChannelError):
            played(tmp_path, play)
    else:
        assert [finding.text for finding in dead(played(tmp_path, play))] == ["the VMM died: without a word"]


@pytest.mark.parametrize("when", ["while it is injected", "afterwards"])
@pytest.mark.parametrize("panics", [True, False])
def test_a_host_that_stays_silent_has_a_console(
    tmp_path: Path, when: str, panics: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With panic=0 nothing ends: the agent does not answer, and no receipt comes."""
    monkeypatch.setenv("SEABUS_PATIENCE", "0.1")

    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            world.machine("L1").silent = True
            if panics:
                world.console("L1", PANIC + END)
            if when == "while it is injected":
                raise MachineError("waited for L1's agent to answer write")

        assert await stage.inject(Planted(effect=breaks)) is None

    if not panics and when == "while it is injected":
        with pytest.raises(MachineError, match="to answer write"):
            played(tmp_path, play)
        return
    outcome = played(tmp_path, play)
    if panics:
        assert outcome.judgement.verdict is Verdict.FAIL
        assert [finding.subject for finding in dead(outcome)] == ["host"]
    else:
        assert outcome.judgement.verdict is Verdict.ERROR
        assert "injection lost" in outcome.judgement.reason


def test_a_guest_that_stays_where_it_panicked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody touches anything after the fault: only the round before the verdict finds it."""
    monkeypatch.setenv("SEABUS_PATIENCE", "0.1")

    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            world.machine("L1").traces(FAILED)
            world.machine("L2").silent = True
            world.console("L2", PANIC + END)

        await stage.inject(Planted(effect=breaks, told=True))

    outcome = played(tmp_path, play)
    assert outcome.judgement.verdict is Verdict.FAIL
    assert [finding.subject for finding in dead(outcome)] == ["guest"]


# Chance has a seed.


def test_the_same_seed_draws_the_same_records(tmp_path: Path) -> None:
    async def drawn(seed: int | None) -> tuple[int | None, list[str]]:
        async with Stage.open(stand(tmp_path), seed=seed) as stage:
            nonces = [str(MemoryRecord(address=PAGE).nonce) for _ in range(3)]
            return (await stage.finish([])).seed, nonces

    seed, nonces = asyncio.run(drawn(None))
    assert seed is not None
    assert len(set(nonces)) == 3
    assert asyncio.run(drawn(seed)) == (seed, nonces)
    assert asyncio.run(drawn(seed + 1))[1] != nonces


def test_a_session_hands_its_seed_to_its_own_thread(tmp_path: Path) -> None:
    @contextlib.asynccontextmanager
    async def opening() -> AsyncIterator[World]:
        yield stand(tmp_path)

    def drawn() -> list[str]:
        with Session.over(opening(), seed=7) as session:
            assert session.seed == 7
            made = [str(MemoryRecord(address=PAGE).nonce)]

            async def in_its_loop() -> str:
                return str(MemoryRecord(address=PAGE).nonce)

            return [*made, session.run(in_its_loop())]

    first = drawn()
    assert len(set(first)) == 2  # one source, whichever thread or task draws
    assert drawn() == first
