# SPDX-License-Identifier: Apache-2.0
"""The guest's kernel consumes the page, on behalf of the process that owns it.

On arm64 no fixup covers an abort in the kernel's own access: the kernel oopses, and the process is killed
(docs/findings/0005). That is what is expected here, so that a kernel that does better is noticed.
"""

from __future__ import annotations

import pytest

from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import scenario
from seabus.chains import guest, host
from seabus.faults.record import MemoryRecord
from seabus.session.session import Session

pytestmark = pytest.mark.emulated


@scenario(
    title="A system call consumes the page: the guest's kernel oopses, and the caller dies",
    fault="memory record, recoverable, at a page that the guest's kernel then reads",
    expects=(
        host.RECORD,
        host.VMM_TOLD,
        host.UNMAPPED,
        host.VCPU_STOPPED,
        host.ABORT_INJECTED,
        guest.ABORT_TAKEN,
        guest.OOPS,
        guest.DIES,
    ),
    sources=("Linux arch/arm64/mm/fault.c do_sea()", "docs/findings/0005-kernel-consumption-oopses.md"),
)
def test_process_vm_readv(world: Session) -> None:
    victim = world.victim()
    record = MemoryRecord(address=victim.page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure")
    victim.touch("sys-vm-read")
    esr = qemu_sea_esr(from_el0=False)
    world.expect(
        host.reports(record),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(esr=esr, from_el=1),
        guest.ABORT_TAKEN(after=(host.VCPU_STOPPED,), esr=esr, far=0, tid=victim.tid),
        guest.oopses(victim.victim, op="sys-vm-read"),
    )
