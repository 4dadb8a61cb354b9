# SPDX-License-Identifier: Apache-2.0
"""A session's world on a lab host: the host itself, and a guest of its own, booted for this session."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seabus.arch.addresses import HostPhysical
from seabus.channel.agent import Agent
from seabus.channel.interface import Commands
from seabus.channel.qga import Qga
from seabus.channel.qmp import Qmp
from seabus.errors import DeadlineError, SeabusError
from seabus.faults import einj
from seabus.faults.einj import Einj
from seabus.faults.fault import Fault
from seabus.faults.poison import HardOffline
from seabus.images.store import Say
from seabus.lab import fence, guest, power
from seabus.lab.ssh import SshHost
from seabus.lab.tenancy import Tenancy
from seabus.machine.config import WorldConfig
from seabus.observe import tracing
from seabus.patience import ANSWER, deadline
from seabus.world import bring, standstill
from seabus.world.standstill import PATIENCE, Standstill, answers
from seabus.world.world import World

_FAILURE: Final = re.compile(rb"memory_failure_event: pfn=(0x[0-9a-f]+) ")
_HUGE_PAGES: Final = "/sys/kernel/mm/transparent_hugepage/enabled"


@dataclass(kw_only=True)
class LabWorld(World):
    """A world on a lab host."""

    process: SshHost
    tenancy: Tenancy
    folder: str
    #: Its firmware may be asked to break memory, and can.
    by_firmware: bool = False

    def fault_at(self, address: HostPhysical) -> Fault:
        """By firmware where the lab file and the host allow it, else by the kernel's administrator."""
        if self.by_firmware:
            return Einj(address=address)
        return HardOffline(address=address)

    async def ground(self) -> Standstill | None:
        name = self.tenancy.host.name
        if not await answers(self.process.run("true", within=PATIENCE)):
            return Standstill(f"lab host {name}", "it does not answer over SSH", held=False)
        return None

    async def permit(self, kind: str, pfn: int | None = None) -> None:
        await self.tenancy.permit(kind, pfn)

    async def vmm_log(self) -> bytes:
        return await self.l1.read(f"{self.folder}/vmm.log")


@contextlib.asynccontextmanager
async def on_host(
    tenancy: Tenancy, config: WorldConfig, *, artefacts: Path, say: Say
) -> AsyncIterator[LabWorld]:
    """A guest on a host that is ours, with all its channels, for the time of the body.

    :raises BootError: the guest does not come up.
    :raises CapabilityError: the host cannot be observed.
    """
    tenancy.worlds += 1
    world = LabWorld(
        config=config,
        process=tenancy.ssh,
        artefacts=artefacts,
        l1=Agent("L1"),
        l2=Agent("L2"),
        l2_qga=Qga("L2"),
        l2_qmp=Qmp("L2", transcript=artefacts / "qmp-l2.jsonl"),
        notes={},
        tenancy=tenancy,
        folder=f"{fence.FOLDER}/world-{tenancy.token}-{tenancy.worlds}",
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(_note_poison, tenancy, artefacts / "trace-l1.txt")
        await stack.enter_async_context(power.console(tenancy.host, artefacts / "console-l1.log"))
        for channel in (world.l1, world.l2, world.l2_qga, world.l2_qmp):
            stack.push_async_callback(channel.close)
        try:
            wire = await tenancy.ssh.open(*tenancy.agent_argv, beat=b"\n")
            stack.callback(wire.close)
            await world.l1.connect(wire)
            async with deadline(ANSWER, f"our agent on {tenancy.host.name}"):
                l1 = await bring.hello_of(world.l1)
            world.by_firmware = await can_break_memory(tenancy, world.l1)
            await tracing.set_up("L1", world.l1)
            await world.l1.write(f"{tracing.INSTANCE}/trace", b"")  # what others had seen is not this world's
            stack.push_async_callback(_end_guest, world)
            l2 = await guest.bring_up(stack, world, say=say)
            version = (await world.l2_qmp.execute("query-version"))["qemu"]
            world.notes.update(
                vmm_pid=world.vmm_pid,
                l1=l1,
                l2=l2,
                versions={
                    "lab_host": tenancy.host.name,
                    "l1_kernel": l1["kernel"],
                    "l1_qemu": f"{version['major']}.{version['minor']}.{version['micro']}",
                    "l2_kernel": l2["kernel"],
                },
            )
            yield world
        except SeabusError as error:
            if isinstance(error, DeadlineError):
                await standstill.blame(world, error)
            explained = world.explain(error)
            if explained is error:
                raise
            raise explained from error


async def can_break_memory(tenancy: Tenancy, commands: Commands) -> bool:
    """Whether the lab file allows EINJ, and the host's firmware has an error of memory among its types."""
    if "einj" not in tenancy.host.faults or "einj" not in tenancy.health.has:
        return False
    return await einj.can_break_memory(commands)


async def _end_guest(world: LabWorld) -> None:
    """The VMM goes before the pages it held can be looked at; the host's own settings come back."""
    with contextlib.suppress(SeabusError):
        if world.vmm_pid:
            log = await world.vmm_log()
            (world.artefacts / "vmm.log").write_bytes(log)
            await world.l1.request("kill", pid=world.vmm_pid, signo=9)
            async with deadline(ANSWER, "the VMM to end"):
                while (await world.l1.request("alive", pid=world.vmm_pid))["alive"]:
                    pass
        if mode := world.tenancy.health.huge_pages:
            await world.l1.write(_HUGE_PAGES, mode.encode())
        await world.l1.run("rm", "-rf", world.folder)


def _note_poison(tenancy: Tenancy, trace: Path) -> None:
    """Every page frame that memory_failure() dealt with, whoever made it."""
    with contextlib.suppress(FileNotFoundError):
        tenancy.pfns.update(int(pfn, 16) for pfn in _FAILURE.findall(trace.read_bytes()))
