# SPDX-License-Identifier: Apache-2.0
"""The memory of the VMM's process: what is the guest's, and what is its own."""

from __future__ import annotations

from dataclasses import dataclass

from seabus.arch.addresses import GuestPhysical, HostPhysical, VmmVirtual
from seabus.channel.agent import Agent
from seabus.channel.qmp import Qmp
from seabus.errors import MachineError
from seabus.guest.translate import frame, gpa_to_hva

#: Most pages that an agent tells of at once.
_AT_ONCE = 512
_PAGE = 4096


@dataclass(frozen=True, kw_only=True)
class VmmPage:
    """A page of the VMM's process, and where it lies in L1."""

    vmm_virtual: VmmVirtual
    host_physical: HostPhysical


@dataclass(frozen=True, kw_only=True)
class Area:
    """A line of ``/proc/PID/maps``.

    :param access: such as ``r-xp``.
    :param name: a path, or such as ``[heap]``; empty for anonymous memory.
    """

    start: VmmVirtual
    end: VmmVirtual
    access: str
    name: str


async def areas(l1: Agent, pid: int) -> list[Area]:
    """What a process of L1 has mapped, in order of addresses."""
    found = []
    for line in (await l1.read(f"/proc/{pid}/maps")).decode().splitlines():
        span, access, _offset, _device, _inode, *name = line.split(None, 5)
        start, _, end = span.partition("-")
        found.append(
            Area(
                start=VmmVirtual(int(start, 16)),
                end=VmmVirtual(int(end, 16)),
                access=access,
                name=name[0] if name else "",
            )
        )
    return found


async def page_at(l1: Agent, pid: int, address: VmmVirtual) -> VmmPage:
    """The page that holds an address.

    :raises MachineError: it is not present.
    """
    found = HostPhysical(await frame(l1, pid, int(address)))
    return VmmPage(vmm_virtual=address.page(), host_physical=found.page())


async def resident(l1: Agent, pid: int, area: Area) -> list[VmmPage]:
    """The pages of an area that are present, in order of addresses."""
    found = []
    count = (area.end - area.start) // _PAGE
    for first in range(0, count, _AT_ONCE):
        at = area.start + first * _PAGE
        some = await l1.request("pagemap", pid=pid, address=hex(int(at)), count=min(_AT_ONCE, count - first))
        found += [
            VmmPage(
                vmm_virtual=VmmVirtual(int(page["address"], 16)),
                host_physical=HostPhysical(int(page["pfn"], 16) * _PAGE),
            )
            for page in some["pages"]
            if page["present"] and int(page["pfn"], 16)
        ]
    return found


async def waits_at(l1: Agent, pid: int) -> VmmVirtual:
    """Where a process's first thread goes on when the system call it waits in returns.

    :raises MachineError: it is in none.
    """
    words = (await l1.read(f"/proc/{pid}/syscall")).decode().split()
    if words[0] == "running":
        raise MachineError(f"process {pid} waits for nothing", hint="try again when the guest is idle")
    return VmmVirtual(int(words[-1], 16))


async def guest_page(l1: Agent, l2_qmp: Qmp, pid: int, address: GuestPhysical) -> VmmPage:
    """The page that backs a page of the guest."""
    return await page_at(l1, pid, await gpa_to_hva(l2_qmp, address))


async def ring(l2_qmp: Qmp, queue: int) -> GuestPhysical:
    """The available ring of a queue of the guest's first virtio device.

    :raises MachineError: the VMM has no such device or queue.
    """
    device, *_ = await l2_qmp.execute("x-query-virtio")
    status = await l2_qmp.execute("x-query-virtio-queue-status", {"path": device["path"], "queue": queue})
    return GuestPhysical(status["vring-avail"])
