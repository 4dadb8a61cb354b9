# SPDX-License-Identifier: Apache-2.0
"""A world whose machines answer what they are asked, for tests of what a stage makes of it.

Injections are stand-ins as well where their means do not matter.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from seabus.arch.addresses import GuestVirtual, HostPhysical
from seabus.channel.agent import Agent
from seabus.channel.interface import CommandResult
from seabus.channel.qga import Qga
from seabus.channel.qmp import Qmp
from seabus.errors import CapabilityError, ChannelError, MachineError
from seabus.faults.fault import Fault, Receipt
from seabus.guest.victim import Victim
from seabus.judge.expectation import Expectation
from seabus.judge.verdict import Finding
from seabus.machine.config import WorldConfig
from seabus.observe import tracing
from seabus.observe.events import Event, Level
from seabus.patience import ANSWER, deadline
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
        self.touched: dict[str, Any] = {"value": "0x1"}
        self._take: Callable[[bytes], None] = lambda _: None

    async def request(self, verb: str, **asked: Any) -> Mapping[str, Any]:  # noqa: ANN401 - as the verb wants
        self.asked.append((verb, asked))
        await asyncio.sleep(0)  # whoever asks again and again has a deadline
        if self.broken:
            raise self.broken
        if self.silent:
            async with deadline(ANSWER, f"{self.level}'s agent to answer {verb}"):
                await asyncio.Event().wait()
        if verb == "touch":
            return self.touched
        return {"hello": self.hello, "clock": {"mono_ns": 0}, "alive": self.vmm}[verb]

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


def strike(stage: Stage, of: Victim) -> Fault:
    """What :meth:`SessionVictim.strike` injects."""
    kept: list[Fault] = []
    session = cast(Session, type("S", (), {"stage": stage, "inject": lambda _, fault: kept.append(fault)})())
    SessionVictim(session, of).strike("madvise", advice="hwpoison")
    return kept[0]
