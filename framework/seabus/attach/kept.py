# SPDX-License-Identifier: Apache-2.0
"""The server of a world that a test left behind: it takes up the channels that the test's run held.

The run tells what it knows of the world in a file of the run folder; the keeper starts this program
(``python -m seabus.attach.kept FOLDER DESCRIPTORS``) when the run has let go, and ends it with the emulator.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seabus.arch.addresses import HostPhysical
from seabus.attach.server import serving
from seabus.channel.agent import Agent
from seabus.channel.qga import Qga
from seabus.channel.qmp import Qmp
from seabus.errors import MachineError
from seabus.faults.fault import Fault
from seabus.faults.record import MemoryRecord
from seabus.guest.victim import Victim
from seabus.interactive.loop import LoopThread
from seabus.machine import ports
from seabus.machine.config import as_text, of_text
from seabus.machine.keeper import Beside
from seabus.session.session import Session, SessionVictim
from seabus.world.restore import FIRST_ID
from seabus.world.world import MONITOR, EmulatedWorld, World

_FACTS: Final = "kept.json"
_CONSOLES: Final = ("console-l1.log", "console-l2.log")


def beside(session: Session) -> Beside:
    """What serves a session's world once its run has let go of it."""
    world = session.world
    assert isinstance(world, EmulatedWorld)
    told = {
        "config": as_text(world.config),
        "notes": world.notes,
        "vmm_pid": world.vmm_pid,
        "artefacts": str(world.artefacts),
        "emulator_pid": world.process.pid,
        "channels": list(world.sockets.ours),
        "victims": [victim.as_json() for victim in session.stage.victims],
    }
    (world.run_folder / _FACTS).write_text(json.dumps(told, default=str))
    return Beside(
        argv=[sys.executable, "-m", __name__, str(world.run_folder)],
        descriptors=[end.fileno() for end in world.sockets.ours.values()],
    )


def main() -> int:
    folder, numbers = Path(sys.argv[1]), [int(number) for number in sys.argv[2].split(",")]
    told = json.loads((folder / _FACTS).read_text())
    ends = [socket.socket(fileno=number) for number in numbers]
    opening = _taken_up(told, dict(zip(told["channels"], ends, strict=True)))
    with LoopThread() as loop, Session.over(opening, runner=loop) as session:
        agents = {"L1": session.world.l1, "L2": session.world.l2}
        victims = [Victim.again(agents[one["level"]], one) for one in told["victims"]]
        world = _Kept(loop, session, [SessionVictim(session, victim) for victim in victims], folder)
        with serving(world):
            loop.run(session.world.process.ended())
    return 0


@dataclass(frozen=True)
class _Kept:
    """See :class:`seabus.attach.joinable.Joinable`."""

    loop: LoopThread
    session: Session
    victims: list[SessionVictim]
    run_folder: Path


class _Emulator:
    """An emulator that is somebody else's child."""

    def __init__(self, pid: int) -> None:
        self._handle = os.pidfd_open(pid)
        self._gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._handle, self._gone.set)

    @property
    def alive(self) -> bool:
        return not self._gone.is_set()

    async def ended(self) -> int:
        """Wait for its end; how it ended only its parent knows."""
        await self._gone.wait()
        return 0

    def ended_error(self) -> MachineError:
        return MachineError("the L0 emulator ended by itself", hint="see emulator.log in the artefacts")


@dataclass(kw_only=True)
class _KeptWorld(World):
    qmp: Qmp

    def firmware(self) -> Qmp:
        return self.qmp

    def fault_at(self, address: HostPhysical) -> Fault:
        return MemoryRecord(address=address)


@contextlib.asynccontextmanager
async def _taken_up(told: Mapping[str, Any], ends: Mapping[str, socket.socket]) -> AsyncIterator[_KeptWorld]:
    artefacts = _folder(Path(told["artefacts"]))
    world = _KeptWorld(
        config=of_text(told["config"]),
        process=_Emulator(told["emulator_pid"]),
        artefacts=artefacts,
        qmp=Qmp("L0", transcript=artefacts / "qmp-l0.jsonl"),
        l1=Agent("L1"),
        l2=Agent("L2"),
        l2_qga=Qga("L2"),
        l2_qmp=Qmp("L2", transcript=artefacts / "qmp-l2.jsonl"),
        vmm_pid=told["vmm_pid"],
        notes=dict(told["notes"]),
    )
    async with contextlib.AsyncExitStack() as stack:
        for channel in (world.qmp, world.l1, world.l2, world.l2_qga, world.l2_qmp):
            stack.push_async_callback(channel.close)
        for end in ends.values():
            end.setblocking(False)
        # Nobody greets us: the conversations were begun by the run, which had lower numbers.
        first_id = world.notes.get("first_id", FIRST_ID) + FIRST_ID
        await world.qmp.connect(ends[MONITOR], greeted=True)
        await world.l1.connect(ends[ports.L1_AGENT], first_id=first_id)
        await world.l2.connect(ends[ports.L2_AGENT], first_id=first_id)
        world.l2_qga.attach(ends[ports.L2_QGA])
        await world.l2_qmp.connect(ends[ports.L2_QMP], greeted=True)
        yield world


def _folder(artefacts: Path) -> Path:
    """A folder in the test's, whose evidence stays what it was; consoles are the emulator's to write."""
    folder = artefacts / "kept"
    folder.mkdir(exist_ok=True)
    for name in _CONSOLES:
        with contextlib.suppress(FileExistsError):
            (folder / name).symlink_to(artefacts / name)
    return folder


if __name__ == "__main__":
    sys.exit(main())
