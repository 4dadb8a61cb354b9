# SPDX-License-Identifier: Apache-2.0
"""The world: a host, the VMM in it and its guest, with all channels open.

:class:`World` is what a session needs, wherever the host is: in an emulator (:class:`EmulatedWorld`), or in
a lab (:mod:`seabus.lab.world`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import psutil

from seabus.channel.agent import Agent
from seabus.channel.qga import Qga
from seabus.channel.qmp import Qmp
from seabus.errors import CapabilityError, ChannelError, DeadlineError, MachineError, SeabusError
from seabus.guest import vmm
from seabus.machine import ports
from seabus.machine.argv import Boot, Wiring, l0_argv
from seabus.machine.capabilities import EmulatorCapabilities
from seabus.machine.config import WorldConfig
from seabus.machine.console import tail
from seabus.machine.keeper import Beside
from seabus.machine.ports import Sockets
from seabus.machine.process import EmulatorProcess
from seabus.machine.run_folder import RunFolder, reap
from seabus.world import standstill
from seabus.world.standstill import Standstill

if TYPE_CHECKING:
    from seabus.arch.addresses import HostPhysical
    from seabus.faults.fault import Fault

#: The name of L0's own monitor among the sockets.
MONITOR: Final = "qmp"
#: The largest log an emulator may write in a clone; the template's RAM file needs more.
LOG_MIB: Final = 64


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What an emulator is started from.

    :param command: the start of its argv.
    :param builds: digests of what cannot be told apart by a version, by what it is called.
    """

    command: Sequence[str]
    firmware: Path
    config: WorldConfig
    capabilities: EmulatorCapabilities
    builds: Mapping[str, str] = field(default_factory=dict)


class Ground(Protocol):
    """What a host stands on: its emulator, or the connection to it."""

    @property
    def alive(self) -> bool:
        """Whether the host can be reached."""

    async def ended(self) -> int:
        """Wait for its end."""

    def ended_error(self) -> MachineError:
        """The error to raise when it is gone and should not be."""


@dataclass(kw_only=True)
class World:
    """One running nested stack.

    :param process: what the host stands on.
    :param l1: our agent in the host.
    :param l2: our agent in the guest, and ``l2_qga`` QEMU's.
    :param l2_qmp: the VMM's monitor.
    :param artefacts: the folder that keeps the evidence.
    :param vmm_pid: the VMM's process in L1.
    :param notes: what is known of it before any fault (versions, clocks, set-up of the witnesses).
    """

    config: WorldConfig
    process: Ground
    artefacts: Path
    l1: Agent
    l2: Agent
    l2_qga: Qga
    l2_qmp: Qmp
    vmm_pid: int = 0
    notes: dict[str, Any]
    #: Whether something may have been broken by now.
    broke: bool = False

    def firmware(self) -> Qmp:
        """The monitor of the machine that the host's firmware is part of: there, records are injected.

        :raises CapabilityError: the host is no emulated machine.
        """
        raise CapabilityError(
            "firmware records can only be injected into an emulated host",
            hint="use einj, hard-offline or hwpoison-inject on lab hosts",
            capability="firmware-record",
        )

    @property
    def ground_qga(self) -> Qga | None:
        """QEMU's guest agent in the host, where the host is an emulated machine."""
        return None

    async def ground(self) -> Standstill | None:
        """What the host stands on, or the host as a whole, if that stands still."""
        return None

    def fault_at(self, address: HostPhysical) -> Fault:
        """The usual way to break a page of this world's host: what comes nearest to a memory error."""
        raise NotImplementedError

    async def permit(self, kind: str, pfn: int | None = None) -> None:
        """Asked by :mod:`seabus.faults.permission`, right before anything in the host is broken.

        :param kind: the fault's, as ``"hard-offline"``.
        :param pfn: the page frame of the host, where it is known.
        :raises HostError: it must not be.
        """
        del kind, pfn

    async def l1_gave_up(self) -> bool:
        """Whether the host has ended as one does whose kernel panicked; here: it cannot be reached."""
        return not self.process.alive or await self.ground() is not None

    def consoles(self) -> dict[str, str]:
        """The last lines of each console, printable."""
        found = {}
        for level in ("l1", "l2"):
            if text := tail(self.artefacts / f"console-{level}.log"):
                found[f"{level.upper()} console"] = text
        return found

    async def vmm_log(self) -> bytes:
        """What the VMM wrote to its standard error."""
        return await self.l1.read(vmm.LOG)

    def explain(self, error: SeabusError) -> SeabusError:
        """Add the consoles to an error, and name the emulator's death where that is the cause."""
        if not self.process.alive and isinstance(error, ChannelError | DeadlineError):
            cause = self.process.ended_error()
            cause.__cause__ = error
            error = cause
        for title, text in self.consoles().items():
            error.details.setdefault(title, text)
        return error


@dataclass(kw_only=True)
class EmulatedWorld(World):
    """A world in an emulator.

    :param qmp: L0's monitor.
    :param l1_qga: QEMU's guest agent in the host.
    """

    process: EmulatorProcess
    run_folder: Path
    qmp: Qmp
    l1_qga: Qga
    sockets: Sockets
    folder: RunFolder

    def firmware(self) -> Qmp:
        return self.qmp

    @property
    def ground_qga(self) -> Qga | None:
        return self.l1_qga

    async def ground(self) -> Standstill | None:
        with contextlib.suppress(psutil.Error):
            if psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED:
                return Standstill("L0", f"its emulator, process {self.process.pid}, is stopped", held=True)
        return await standstill.paused("L1", self.qmp, "L0", "its monitor")

    async def l1_gave_up(self) -> bool:
        # Not rebooted (-no-reboot), its emulator ends in good order. A channel closes a moment before.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                return await self.process.ended() == 0
        return False

    async def keep(self, seconds: float, *, beside: Beside | None = None) -> None:
        """Leave the emulator running when this world is closed, for so long at most.

        It must have been started with ``keepable``.

        :param beside: serves what is left of it; without, that is its console and its monitor.
        """
        # First: what is kept must be found. What is not, for we were stopped before we said so, ends with us.
        owner = psutil.Process(self.process.pid).ppid()
        self.folder.give_away(owner, purpose="kept", until=time.time() + seconds)
        await self.process.keep(seconds, beside=beside)

    def fault_at(self, address: HostPhysical) -> Fault:
        from seabus.faults.record import MemoryRecord

        return MemoryRecord(address=address)


@contextlib.asynccontextmanager
async def emulated(
    parts: Parts,
    *,
    purpose: str,
    ram: Path,
    artefacts: Path,
    boot: Boot | None,
    keepable: bool = False,
    freezable: bool = False,
) -> AsyncIterator[EmulatedWorld]:
    """Start an emulator with its channels; end it, and everything of it, when the body ends.

    :param keepable: the body may call :meth:`EmulatedWorld.keep`, and then it is not ended.
    :param freezable: the emulator may write files as large as its memory.

    Only L0's monitor has answered when the body begins.
    """
    async with contextlib.AsyncExitStack() as stack:
        reap()
        folder = stack.enter_context(RunFolder(purpose, artefacts=artefacts))
        sockets = Sockets.make(MONITOR, *ports.CONNECTED)
        stack.callback(sockets.close)
        argv = l0_argv(
            parts.command,
            parts.config,
            parts.capabilities,
            firmware=parts.firmware,
            ram=ram,
            wiring=Wiring(descriptors=sockets.descriptors(), folder=folder.path, consoles=artefacts),
            boot=boot,
        )
        process = await EmulatorProcess.start(
            argv,
            descriptors=sockets.descriptors().values(),
            stderr=artefacts / "emulator.log",
            memory_mib=parts.config.l1_memory_mib,
            file_mib=parts.config.l1_memory_mib + LOG_MIB if boot or freezable else LOG_MIB,
            keepable=folder if keepable else None,
        )
        stack.push_async_callback(process.kill)
        folder.note_emulator(process.pid)
        sockets.close_theirs()
        (artefacts / "argv.sh").write_text(f"{process.command_line()}\n")

        world = EmulatedWorld(
            config=parts.config,
            process=process,
            run_folder=folder.path,
            folder=folder,
            artefacts=artefacts,
            qmp=Qmp("L0", transcript=artefacts / "qmp-l0.jsonl"),
            l1=Agent("L1"),
            l2=Agent("L2"),
            l1_qga=Qga("L1"),
            l2_qga=Qga("L2"),
            l2_qmp=Qmp("L2", transcript=artefacts / "qmp-l2.jsonl"),
            sockets=sockets,
            notes={},
        )
        for channel in (world.qmp, world.l1, world.l2, world.l1_qga, world.l2_qga, world.l2_qmp):
            stack.push_async_callback(channel.close)
        try:
            await world.qmp.connect(sockets.ours[MONITOR])
            yield world
        except SeabusError as error:
            if isinstance(error, DeadlineError):
                await standstill.blame(world, error)
            if isinstance(error, ChannelError | DeadlineError):
                # A channel closes a moment before its process is reaped.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await process.ended()
            explained = world.explain(error)
            if explained is error:
                raise
            raise explained from error
