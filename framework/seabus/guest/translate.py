# SPDX-License-Identifier: Apache-2.0
"""From a victim's page down to the page of L1 that a firmware record names, one typed step at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass

from seabus.arch.addresses import GuestPhysical, GuestVirtual, HostPhysical, VmmVirtual
from seabus.channel.agent import Agent
from seabus.channel.qmp import Qmp
from seabus.errors import MachineError

_PAGE_SHIFT = 12


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """One page in its four address spaces, and who translated each step."""

    guest_virtual: GuestVirtual
    guest_physical: GuestPhysical
    vmm_virtual: VmmVirtual
    host_physical: HostPhysical

    def steps(self) -> list[tuple[str, str, str]]:
        """(address space, address, how it was found) for people and for the result file."""
        return [
            ("L2 virtual (victim)", str(self.guest_virtual), "the victim's own mapping"),
            ("L2 physical (IPA)", str(self.guest_physical), "/proc/PID/pagemap in L2"),
            ("L1 virtual (VMM)", str(self.vmm_virtual), "the VMM's monitor: gpa2hva"),
            ("L1 physical", str(self.host_physical), "/proc/PID/pagemap in L1"),
        ]


async def translate(
    address: GuestVirtual, pid: int, *, l2: Agent, l2_qmp: Qmp, l1: Agent, vmm_pid: int
) -> Addresses:
    """Follow a page of process ``pid`` of L2 down to L1's memory.

    :raises MachineError: the page is not present somewhere on the way.
    """
    guest_physical = GuestPhysical(await frame(l2, pid, int(address)))
    vmm_virtual = await gpa_to_hva(l2_qmp, guest_physical)
    host_physical = HostPhysical(await frame(l1, vmm_pid, int(vmm_virtual)))
    return Addresses(
        guest_virtual=address,
        guest_physical=guest_physical,
        vmm_virtual=vmm_virtual,
        host_physical=host_physical,
    )


async def frame(agent: Agent, pid: int, address: int) -> int:
    """The physical address, in the agent's own machine, behind a process's virtual one.

    :raises MachineError: the page is not present.
    """
    pages = (await agent.request("pagemap", pid=pid, address=hex(address)))["pages"]
    frame = int(pages[0]["pfn"], 16) if pages and pages[0]["present"] else 0
    if frame == 0:
        raise MachineError(
            f"{agent.level}: the page at {address:#x} of process {pid} is not present",
            hint="it must be touched first, and the agent needs the right to read page frames",
        )
    return (frame << _PAGE_SHIFT) | (address & ((1 << _PAGE_SHIFT) - 1))


async def gpa_to_hva(qmp: Qmp, address: GuestPhysical) -> VmmVirtual:
    """Where the VMM has a guest's physical address.

    :raises MachineError: it is no memory of the guest.
    """
    answer = await qmp.execute("human-monitor-command", {"command-line": f"gpa2hva {int(address):#x}"})
    # "Host virtual address for 0x45678000 (mach-virt.ram) is 0xffff12345000"
    found = re.search(r" is (?:0x)?([0-9a-fA-F]+)\s*$", answer)
    if found is None:
        raise MachineError(f"L2's monitor cannot translate {address}: {answer.strip()}")
    return VmmVirtual(int(found.group(1), 16))
