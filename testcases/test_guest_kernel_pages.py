# SPDX-License-Identifier: Apache-2.0
"""The lost page is the guest kernel's own: its text, its heap, the page tables of a process.

A kernel cannot do without its text and its heap, and memory_failure() never gets to say so: the abort comes in
kernel mode, where arm64 asks nobody (arch/arm64/mm/fault.c do_sea(); docs/findings/0005). Who ran into it is
killed by an oops, and a machine that was told to stop at one (panic_on_oops) stops.

A page table that a process walks is another matter: hardware would report an abort on the walk (DFSC 0x14 to
0x17), in the process's own context. QEMU reports what it reports for any data access, DFSC 0x10; the guest
claims the record, finds a page that it cannot take away, and has the process killed for it.
"""

from __future__ import annotations

import pytest

from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import scenario
from seabus.chains import guest, guest_kernel, host
from seabus.faults.record import MemoryRecord
from seabus.guest import kernel_map
from seabus.guest.vmm_memory import VmmPage
from seabus.session.session import Session

pytestmark = pytest.mark.emulated

IN_KERNEL = qemu_sea_esr(from_el0=False)
LOST = (host.RECORD, host.VMM_TOLD, host.UNMAPPED, host.VCPU_STOPPED, host.ABORT_INJECTED)
OOPSED = (*LOST, guest.ABORT_TAKEN, guest_kernel.OOPS, guest_kernel.COMMAND_DIES)
SOURCES = ("Linux arch/arm64/mm/fault.c do_sea()", "docs/findings/0005-kernel-consumption-oopses.md")


def lose(world: Session, page: VmmPage) -> MemoryRecord:
    record = MemoryRecord(address=page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure", pfn=page.host_physical.pfn)
    return record


@pytest.fixture
def text(world: Session) -> VmmPage:
    """The page of the guest kernel's text with what answers a read of /proc/version."""
    world.guest.hush()
    where = world.run(kernel_map.KernelMap.of(world.guest.agent))
    symbol = world.run(kernel_map.symbol(world.guest.agent, "version_proc_show"))
    return world.vmm.guest_page(where.of_image(symbol))


@scenario(
    title="A page of the guest kernel's text is lost: who runs into it is killed by an oops",
    fault="memory record, recoverable, at a page of the guest kernel's text",
    expects=OOPSED,
    sources=SOURCES,
)
def test_text(world: Session, text: VmmPage) -> None:
    victim = world.victim()
    record = lose(world, text)
    world.command("cat", "/proc/version")
    victim.touch("read")
    world.expect(
        host.reports(record),
        host.tells_vmm(vmm_pid=world.vmm_pid),
        host.takes_page(text.host_physical.pfn),
        host.stops_vcpu(esr=IN_KERNEL, from_el=1),
        guest.ABORT_TAKEN(after=(host.VCPU_STOPPED,), esr=IN_KERNEL, far=0),
        guest_kernel.oopses_for_command("cat"),
        guest.reads_intact(victim.victim),
    )
