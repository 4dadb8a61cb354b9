# SPDX-License-Identifier: Apache-2.0
"""The page that is lost is the VMM's own, or one that VMM and guest share: the guest must not be blamed.

The host cannot know what a process keeps in a page, so the VMM is told as of any other (it asked for early
kill). It finds that the address is none of its guest's, says so, and goes on (QEMU target/arm/kvm.c,
kvm_arch_on_sigbus_vcpu(): "memory used by QEMU itself") - until it touches the page. Its main thread blocks
SIGBUS and reads it from a signalfd, so a SIGBUS of its own cannot be handled: the kernel kills the process
(kernel/signal.c, force_sig_info_to_task(); QEMU accel/kvm/kvm-all.c, kvm_on_sigbus() says so). The same holds
for the guest's memory where it is the VMM that reads it: a virtio ring.

Its text here lies on a tmpfs, whose pages are never clean: nothing can be read back, and it is lost for good.
"Clean and read back" is shown by a host process on a real disk, in ``test_host_files.py``.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from seabus.arch.sigbus import BusCode
from seabus.catalogue import scenario
from seabus.chains import guest, host, vmm
from seabus.faults.record import MemoryRecord
from seabus.guest.vmm_memory import VmmPage
from seabus.session.session import Session

pytestmark = pytest.mark.emulated

PROGRAM, LIBRARY = "/qemu-system-aarch64", "/libcapstone.so.5"
#: Pages that nothing uses while a guest is idle: a disassembler's, options long read.
IDLE: dict[str, Callable[[Session], VmmPage]] = {
    "heap": lambda world: world.vmm.resident(world.vmm.area("[heap]"))[3],
    "library-data": lambda world: world.vmm.resident(world.vmm.area(LIBRARY, "w"))[0],
    "library-text": lambda world: world.vmm.resident(world.vmm.area(LIBRARY, "x"))[0],
    "text": lambda world: world.vmm.resident(world.vmm.area(PROGRAM, "x"))[5],
}
#: And pages that it cannot do without for a moment: where its allocator begins, and where it is woken.
BUSY: dict[str, Callable[[Session], VmmPage]] = {
    "heap": lambda world: world.vmm.page_at(world.vmm.area("[heap]").start),
    "text": lambda world: world.vmm.waits_at(),
}
#: The queue that our agent in the guest reads from (VirtIO 1.3, 5.3.2).
RECEIVING = 4


def strike(world: Session, page: VmmPage) -> MemoryRecord:
    record = MemoryRecord(address=page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure")
    return record


@scenario(
    title="A page of the VMM's own that it does not use: it says so, and the guest goes on",
    fault="memory record, recoverable, at a page of the VMM's process",
    expects=(host.RECORD, host.VMM_TOLD, host.UNMAPPED, vmm.COMPLAINS, guest.READS),
    sources=("QEMU target/arm/kvm.c kvm_arch_on_sigbus_vcpu()",),
)
@pytest.mark.parametrize("where", sorted(IDLE))
def test_idle_page(world: Session, where: str) -> None:
    victim = world.victim()
    page = IDLE[where](world)
    record = strike(world, page)
    victim.touch("read")
    world.expect(
        host.reports(record),
        host.VMM_TOLD(
            after=(host.RECORD,),
            code=int(BusCode.BUS_MCEERR_AO),
            tid=world.vmm_pid,
            address=int(page.vmm_virtual),
            lsb=12,
            result=host.DELIVERED,
        ),
        host.takes_page(page.host_physical.pfn, page_type="dirty LRU page"),
        vmm.complains_of(page.vmm_virtual),
        guest.reads_intact(victim.victim),
    )


@scenario(
    title="A page of the VMM's own that it touches: it is killed, and the guest with it",
    fault="memory record, recoverable, at a page of the VMM's process that is in use",
    expects=(host.RECORD, host.VMM_TOLD, host.UNMAPPED, vmm.STRUCK, vmm.KILLED),
    sources=("QEMU accel/kvm/kvm-all.c kvm_on_sigbus()", "Linux kernel/signal.c force_sig_info_to_task()"),
)
@pytest.mark.parametrize("where", sorted(BUSY))
def test_busy_page(world: Session, where: str) -> None:
    """The guest took no abort and got no record: it was not its fault, and it never learns of it."""
    victim = world.victim()
    page = BUSY[where](world)
    record = strike(world, page)
    victim.touch("read")
    world.expect(
        host.reports(record),
        host.tells_vmm(vmm_pid=world.vmm_pid, address=page.vmm_virtual),
        host.takes_page(page.host_physical.pfn, page_type="dirty LRU page"),
        vmm.is_killed(page, vmm_pid=world.vmm_pid, pending=True),
    )


@scenario(
    title="A virtio ring is lost, and the VMM is the first to use it: it is killed",
    fault="memory record, recoverable, at the ring through which the guest receives",
    expects=(host.RECORD, host.VMM_TOLD, host.UNMAPPED, vmm.STRUCK, vmm.KILLED),
    sources=("VirtIO 1.3, 2.7.6: the available ring is read by the device",),
)
def test_ring_that_the_vmm_reads(world: Session) -> None:
    victim = world.victim()
    page = world.vmm.ring(RECEIVING)
    world.vmm.guest_rests()  # it reads this ring, too, each time it has answered us
    record = strike(world, page)
    victim.touch("read")  # what we say to the guest goes through this ring
    world.expect(
        host.reports(record),
        host.tells_vmm(vmm_pid=world.vmm_pid, address=page.vmm_virtual),
        host.takes_page(page.host_physical.pfn),
        vmm.is_killed(page, vmm_pid=world.vmm_pid, pending=True),
    )
