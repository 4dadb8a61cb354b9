# SPDX-License-Identifier: Apache-2.0
"""The guest's kernel consumes the page, on behalf of the process that owns it.

On arm64 no fixup covers an abort in the kernel's own access: the kernel oopses, and the process is killed -
or, where it died with a lock that its end needs, stays for ever (docs/findings/0005). Nobody claims the VMM's
record either, so the kernel does not learn which page is bad: when the process is gone the page is given to
the next one, and QEMU, which keeps one record at a time, ends at the next error (docs/findings/0010). That
is what is expected here, so that a kernel that does better is noticed.

The page is shared with a process that does not touch it, so that it is not given away.
"""

from __future__ import annotations

from typing import Any

import pytest

from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import scenario
from seabus.chains import guest, guest_kernel, host, vmm
from seabus.faults.record import MemoryRecord
from seabus.judge.expectation import Expectation
from seabus.session.session import Session, SessionVictim

pytestmark = pytest.mark.emulated

ESR = qemu_sea_esr(from_el0=False)
CONSUMED = (
    host.RECORD,
    host.VMM_TOLD,
    host.UNMAPPED,
    host.VCPU_STOPPED,
    host.ABORT_INJECTED,
    guest.ABORT_TAKEN,
    guest_kernel.OOPS,
)
SOURCES = ("Linux arch/arm64/mm/fault.c do_sea()", "docs/findings/0005-kernel-consumption-oopses.md")
FILE = "/tmp/other"
CALLS: dict[str, dict[str, Any]] = {
    "futex-requeue": {"op": "sys-futex-requeue"},
    "futex-wait": {"op": "sys-futex-wait"},
    "futex-wake-op": {"op": "sys-futex-wake-op"},
    "process_vm_readv": {"op": "sys-vm-read"},
    "read": {"op": "sys-read", "path": FILE},
    "write": {"op": "sys-write", "path": FILE},
    "write-direct": {"op": "sys-direct-write", "path": FILE},
}


def lose(world: Session, victim: SessionVictim) -> MemoryRecord:
    """Firmware reports the victim's page; nobody has touched it yet."""
    world.guest.hush()
    record = MemoryRecord(address=victim.page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure", pfn=victim.page.host_physical.pfn)
    return record


def consumed(world: Session, record: MemoryRecord, victim: SessionVictim, tid: int) -> list[Expectation]:
    """What both levels owe for an access of the guest's kernel, up to its oops."""
    return [
        host.reports(record),
        *host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        *host.stops_vcpu(victim.page, esr=ESR, from_el=1),
        guest_kernel.aborts(esr=ESR, tid=tid),
    ]


@scenario(
    title="A system call consumes the page: the guest's kernel oopses, and the caller dies",
    fault="memory record, recoverable, at a page that the guest's kernel then uses",
    expects=(*CONSUMED, guest_kernel.DIES),
    sources=SOURCES,
)
@pytest.mark.parametrize("call", sorted(CALLS))
def test_the_caller_dies(world: Session, call: str) -> None:
    victim = world.victim(kind="shmem")
    victim.partner()
    record = lose(world, victim)
    victim.touch(**CALLS[call])
    world.expect(
        consumed(world, record, victim, victim.tid),
        guest_kernel.oopses_for(victim.victim, op=CALLS[call]["op"]),
    )


@scenario(
    title="A debugger dies of a page of the process it looks at",
    fault="memory record, recoverable, at a page that another process reads by ptrace(2)",
    expects=(*CONSUMED, guest_kernel.DIES, guest.READS),
    sources=SOURCES,
)
def test_ptrace(world: Session) -> None:
    """The owner, who did nothing, lives on and has its other page."""
    victim, debugger = world.victim(pages=2), world.victim()
    record = lose(world, victim)
    debugger.touch("sys-ptrace-peek", target=victim.victim)
    victim.touch("read", offset=4096)
    world.expect(
        consumed(world, record, victim, debugger.tid),
        guest_kernel.oopses_for(debugger.victim, op="sys-ptrace-peek"),
        guest.reads_intact(victim.victim),
    )


@scenario(
    title="The kernel consumes the page with a lock that the process needs to end: it is stuck for ever",
    fault="memory record, recoverable, at a page that a pipe, or copy-on-write, then copies",
    expects=(*CONSUMED, guest_kernel.STUCK),
    sources=(*SOURCES, "Linux fs/pipe.c anon_pipe_write()", "Linux mm/memory.c wp_page_copy()"),
)
@pytest.mark.parametrize("op", ["sys-read", "sys-vmsplice", "sys-write"])
def test_the_caller_is_stuck_with_a_pipe(world: Session, op: str) -> None:
    victim = world.victim(kind="shmem")
    victim.partner()
    record = lose(world, victim)
    victim.gets_stuck(op)
    world.expect(
        consumed(world, record, victim, victim.tid),
        guest_kernel.oopses(),
        guest_kernel.STUCK(after=(guest_kernel.OOPS,), op=op, state="D", tid=victim.tid),
    )


@scenario(
    title="A write to a page that is copied on write: the kernel dies while it copies",
    fault="memory record, recoverable, at a private page of a process and its child",
    expects=(*CONSUMED, guest_kernel.STUCK),
    sources=(*SOURCES, "Linux mm/memory.c __wp_page_copy_user(): arm64 has no copy_mc_user_highpage()"),
)
def test_copy_on_write(world: Session) -> None:
    """The writer is killed with its memory map locked, which is what its end waits for."""
    victim = world.victim()
    victim.partner()
    record = lose(world, victim)
    victim.gets_stuck("write")
    world.expect(
        consumed(world, record, victim, victim.tid),
        guest_kernel.oopses(),
        guest_kernel.STUCK(after=(guest_kernel.OOPS,), op="write", state="D", tid=victim.tid),
    )


@scenario(
    title="After its kernel has consumed an error, a guest does not survive another one",
    fault="two memory records, recoverable; one page is used by the guest's kernel, one by its owner",
    expects=(*CONSUMED, guest_kernel.DIES, vmm.GIVES_UP),
    sources=("QEMU hw/acpi/ghes.c", "docs/findings/0010-unclaimed-record-ends-the-vmm.md"),
)
def test_the_next_error_ends_the_vmm(world: Session) -> None:
    first, second = world.victim(kind="shmem"), world.victim()
    first.partner()
    record = lose(world, first)
    page = second.page
    first.touch("sys-vm-read")
    another = MemoryRecord(address=page.host_physical)
    world.inject(another)
    world.until("L1", "memory_failure", pfn=page.host_physical.pfn)
    second.touch("read")
    world.expect(
        consumed(world, record, first, first.tid),
        guest_kernel.oopses_for(first.victim, op="sys-vm-read"),
        host.reports(another, again="-again"),
        host.loses_page(page, vmm_pid=world.vmm_pid, again="-again"),
        host.signals_vcpu(page, again="-again"),
        vmm.gives_up(),
    )


@scenario(
    title="The guest knows of the page: a system call that uses it fails, and nobody is signalled",
    fault="memory record, recoverable, at a page that its owner has consumed already",
    expects=(
        *CONSUMED[:-1],
        guest.RECORD,
        guest.UNMAPPED,
        guest.VICTIM_SIGNALLED,
        guest.VICTIM_INFORMED,
        guest_kernel.REFUSED,
    ),
    sources=("Linux arch/arm64/mm/fault.c do_page_fault(): fixup_exception()",),
)
@pytest.mark.parametrize("call", sorted(CALLS))
def test_known_poison_is_efault(world: Session, call: str) -> None:
    victim = world.victim()
    record = lose(world, victim)
    victim.touch("read")
    victim.touch(**CALLS[call])
    esr = qemu_sea_esr(from_el0=True)
    world.expect(
        host.reports(record),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(victim.page, esr=esr),
        guest.takes_abort(victim.page, victim.victim, esr=esr),
        guest.signals_victim(victim.page, victim.victim),
        guest_kernel.refuses(victim.victim, op=CALLS[call]["op"]),
    )
