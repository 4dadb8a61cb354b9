# SPDX-License-Identifier: Apache-2.0
"""The lost page is of every kind that a process of the guest can own.

The guest's memory_failure() names what it found and says what came of it (Linux mm/memory-failure.c,
``error_states[]``). A page without a copy is lost: the consumer gets BUS_MCEERR_AR, and si_addr_lsb tells
how much is gone - 12 for a page, 21 where hugetlbfs can only lose 2 MiB. A transparent huge page is split,
and its other pages live on. A clean page of a file is read again from the disk, and nobody notices. That a
page is of its kind is asked of /proc/kpageflags before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import scenario
from seabus.chains import guest, guest_kernel, host
from seabus.faults.fault import Fault
from seabus.faults.record import MemoryRecord
from seabus.guest.disk import mount_disk
from seabus.session.session import Session, SessionVictim

pytestmark = pytest.mark.emulated

ESR = qemu_sea_esr(from_el0=True)
CONSUMED = (
    host.RECORD,
    host.VMM_TOLD,
    host.UNMAPPED,
    host.VCPU_STOPPED,
    host.ABORT_INJECTED,
    guest.ABORT_TAKEN,
    guest.RECORD,
    guest.UNMAPPED,
)
LOST = (*CONSUMED, guest.VICTIM_SIGNALLED, guest.VICTIM_INFORMED)
MIB_2 = 2 << 20


@dataclass(frozen=True)
class PageKind:
    """A kind of page.

    :param options: of the victim.
    :param flags: what /proc/kpageflags must say of it.
    :param page_type: what memory_failure() calls it.
    """

    options: dict[str, Any]
    flags: frozenset[str]
    page_type: str = "dirty LRU page"
    op: str = "read"


def kind(*flags: str, page_type: str = "dirty LRU page", op: str = "read", **options: Any) -> PageKind:  # noqa: ANN401
    return PageKind(options, frozenset(flags), page_type, op)


#: Since memory_failure() unmaps a page before it names it, one that was locked is no longer called so.
KINDS = {
    "anon": kind("anon", "swapbacked", "lru"),
    "code": kind("anon", kind="code", op="fetch"),
    "memfd": kind("swapbacked", "mmap", kind="memfd"),
    "memfd-private": kind("swapbacked", "mmap", kind="memfd", shared=False),
    "mlocked": kind("anon", "unevictable", locked=True),
    "shmem": kind("swapbacked", "mmap", kind="shmem"),
    "tmpfs-file": kind("swapbacked", "mmap", kind="file"),
}


def consume(world: Session, victim: SessionVictim, op: str = "read", *, at: int = 0) -> Fault:
    fault = world.fault_at(victim.page_at(at).host_physical)
    world.inject(fault)
    world.until("L1", "memory_failure")
    victim.touch(op, offset=at)
    return fault


@scenario(
    title="A process consumes a page of its own that has no other copy",
    fault="memory record, recoverable, at the page of L1 behind a page of each kind",
    expects=(*LOST, guest.FRAME),
    sources=("Linux mm/memory-failure.c error_states[]",),
)
@pytest.mark.parametrize("name", sorted(KINDS))
def test_lost(world: Session, name: str) -> None:
    of = KINDS[name]
    victim = world.victim(**of.options)
    assert of.flags <= world.guest.page_flags(victim.page.guest_physical)
    fault = consume(world, victim, of.op)
    world.look_at_frame(victim.page.guest_physical)
    world.expect(
        host.announces(fault),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(victim.page, esr=ESR),
        guest.takes_abort(victim.page, victim.victim, esr=ESR),
        guest.signals_victim(victim.page, victim.victim, page_type=of.page_type),
        guest.frame_is_lost(victim.page),
    )


@scenario(
    title="A transparent huge page loses one of its pages, and is split",
    fault="memory record, recoverable, at a page of L1 behind the middle of 2 MiB",
    expects=(*LOST, guest.READS, guest.FRAME),
    sources=("Linux mm/memory-failure.c try_to_split_thp_page()",),
)
@pytest.mark.parametrize("at", [0, 5 * 4096, MIB_2 - 4096], ids=["first", "inner", "last"])
def test_thp(world: Session, at: int) -> None:
    world.guest.write("/sys/kernel/mm/transparent_hugepage/enabled", b"madvise")
    victim = world.victim(kind="thp")
    assert victim.victim.huge == MIB_2
    page = victim.page_at(at)
    assert "thp" in world.guest.page_flags(page.guest_physical)
    fault = consume(world, victim, at=at)
    neighbours = [(at + 4096) % MIB_2, (at - 4096) % MIB_2]
    for offset in neighbours:
        victim.touch("read", offset=offset)
    world.look_at_frame(page.guest_physical)
    world.expect(
        host.announces(fault),
        host.loses_page(page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(page, esr=ESR),
        guest.takes_abort(page, victim.victim, esr=ESR),
        guest.signals_victim(page, victim.victim, page_type="dirty LRU page"),
        guest.reads_intact(victim.victim),
        guest.reads_intact(victim.victim, again="-below"),
        guest.frame_is_lost(page),
    )


@scenario(
    title="A page of hugetlbfs is lost as a whole",
    fault="memory record, recoverable, at a page of L1 behind some place of 2 MiB",
    expects=(*LOST, guest.POISON_SIGNALLED, guest.POISON_INFORMED),
    sources=("Linux mm/memory-failure.c try_memory_failure_hugetlb()",),
)
@pytest.mark.parametrize("at", [0, 5 * 4096], ids=["first", "inner"])
@pytest.mark.parametrize("kind", ["hugetlb", "memfd"])
def test_hugetlb(world: Session, kind: str, at: int) -> None:
    """si_addr_lsb is 21, and whoever touches another of its 512 pages is told the same."""
    world.guest.write("/proc/sys/vm/nr_hugepages", b"2")
    victim = world.victim(kind=kind, page_size=MIB_2)
    page = victim.page_at(at)
    beside = victim.page_at(64 * 4096)
    assert "huge" in world.guest.page_flags(page.guest_physical)
    fault = consume(world, victim, at=at)
    victim.touch("read", offset=64 * 4096)
    world.expect(
        host.announces(fault),
        host.loses_page(page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(page, esr=ESR),
        guest.takes_abort(page, victim.victim, esr=ESR),
        guest.signals_victim(page, victim.victim, page_type="huge page", lsb=21),
        guest.meets_poison(beside, victim.victim, lsb=21),
    )


@scenario(
    title="A clean page of a file is read again from the disk, and nobody notices",
    fault="memory record, recoverable, at a page of the guest's page cache",
    expects=(*CONSUMED, guest.READS, guest.FRAME, guest.PAGE_MOVED),
    sources=("Linux mm/memory-failure.c me_pagecache_clean()",),
)
@pytest.mark.parametrize(("kind", "op"), [("code-file", "fetch"), ("file", "read")], ids=["fetch", "load"])
def test_clean_file(world: Session, kind: str, op: str) -> None:
    victim = world.victim(kind=kind, path=world.run(mount_disk(world.guest.agent)))
    before = victim.page
    flags = world.guest.page_flags(before.guest_physical)
    assert {"lru", "mmap"} <= flags
    assert not {"dirty", "anon", "swapbacked"} & flags
    fault = consume(world, victim, op)
    victim.touch(op)
    victim.locate()
    world.look_at_frame(before.guest_physical)
    world.expect(
        host.announces(fault),
        host.loses_page(before, vmm_pid=world.vmm_pid),
        host.stops_vcpu(before, esr=ESR),
        guest.takes_abort(before, victim.victim, esr=ESR),
        guest.gives_up_page(before, page_type="clean LRU page"),
        guest.reads_intact(victim.victim, op=op),
        guest.reads_intact(victim.victim, op=op, again="-again"),
        guest.PAGE_MOVED(pfn=before.guest_physical.pfn),
        guest.frame_is_lost(before),
    )


@scenario(
    title="A dirty page of a file is lost: who touches it is told, and must not go on",
    fault="memory record, recoverable, at a dirty page of the guest's page cache",
    expects=(*LOST, guest_kernel.FORCED),
    sources=("Linux mm/memory-failure.c me_pagecache_dirty()",),
)
def test_dirty_file(world: Session) -> None:
    """FUSE keeps a reference to it, so it cannot be taken away, and SIGBUS is sent a second time."""
    victim = world.victim(kind="file", path=world.run(mount_disk(world.guest.agent)), dirty=True)
    assert "dirty" in world.guest.page_flags(victim.page.guest_physical)
    fault = consume(world, victim)
    world.expect(
        host.announces(fault),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(victim.page, esr=ESR),
        guest.takes_abort(victim.page, victim.victim, esr=ESR),
        guest.signals_victim(victim.page, victim.victim, page_type="dirty LRU page", result="Failed"),
        guest_kernel.forces_again(victim.victim),
    )


@scenario(
    title="Two processes share the page: who consumes it is told at once, the other when it touches it",
    fault="memory record, recoverable, at a page of L1 behind memory that two processes of the guest share",
    expects=(*LOST, guest.POISON_SIGNALLED, guest.POISON_INFORMED),
    sources=("Linux mm/memory-failure.c collect_procs_anon(), task_early_kill()",),
)
@pytest.mark.parametrize("kind", ["memfd", "shmem"])
def test_shared(world: Session, kind: str) -> None:
    victim = world.victim(kind=kind)
    other = victim.partner()
    fault = consume(world, victim)
    other.touch("read")
    world.expect(
        host.announces(fault),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(victim.page, esr=ESR),
        guest.takes_abort(victim.page, victim.victim, esr=ESR),
        guest.signals_victim(victim.page, victim.victim),
        guest.meets_poison(victim.page, other.victim),
    )


@scenario(
    title="The guest's zero page is the host's, which nobody can take away: nobody is told",
    fault="memory record, recoverable, at the page of L1 behind the guest's zero page",
    expects=(host.RECORD, host.UNMAPPED, guest.READS),
    sources=("Linux mm/memory-failure.c get_hwpoison_page()", "Linux virt/kvm/kvm_main.c hva_to_pfn()"),
)
def test_zero_page(world: Session) -> None:
    """The guest only ever read it, so that the VMM's page table has the host's zero page there."""
    victim = world.victim(kind="zero")
    assert "zero-page" in world.guest.page_flags(victim.page.guest_physical)
    record = MemoryRecord(address=victim.page.host_physical)  # no page to break for good on a real host
    world.inject(record)
    world.until("L1", "memory_failure")
    victim.touch("read")
    world.expect(
        host.reports(record),
        host.takes_page(victim.page.host_physical.pfn, page_type="reserved kernel page", result="Ignored"),
        guest.reads_intact(victim.victim),
    )
