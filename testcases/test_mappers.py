# SPDX-License-Identifier: Apache-2.0
"""Who maps the page: every process that does is told of its loss, as it asked to be told.

``memory_failure()`` finds them by walking the page's reverse mappings (mm/memory-failure.c collect_procs()).
A process chooses by prctl PR_MCE_KILL: early - at once, BUS_MCEERR_AO, "action optional", although it did not
touch the page; or late, which is the default (sysctl vm.memory_failure_early_kill is 0) - BUS_MCEERR_AR when
it does. Early does not save it from late: who touches the page after all is signalled again. A child made
by fork has its parent's choice (Documentation/mm/hwpoison.rst, PR_MCE_KILL in prctl(2)).

These are processes of the host; ``test_host_backing.py`` has a second mapper of the guest's memory.
"""

from __future__ import annotations

import pytest

from seabus.catalogue import scenario
from seabus.chains import guest, host
from seabus.faults.record import MemoryRecord
from seabus.guest.touch import MceKill
from seabus.session.session import Session, SessionVictim

pytestmark = pytest.mark.emulated

LATE = (host.PROCESS_SIGNALLED, host.PROCESS_INFORMED)
EARLY = (host.PROCESS_TOLD, host.PROCESS_HEARS)
LOST = (host.RECORD, host.UNMAPPED)
#: Kinds of memory that two processes share, and log2 of the bytes that are lost with one page of each. A fork
#: shares anonymous memory as well, until one of the two writes.
SHARED = {"anon": 12, "hugetlb": 21, "memfd": 12, "shmem": 12}
SOURCES = ("Linux mm/memory-failure.c collect_procs(), kill_procs()", "Linux Documentation/mm/hwpoison.rst")


def strike(world: Session, victim: SessionVictim) -> tuple[MemoryRecord, int]:
    """Report the victim's page; the record, and the page frame."""
    page = victim.host_page()
    record = MemoryRecord(address=page)
    world.inject(record)
    world.until("L1", "memory_failure")
    return record, page.pfn


def mapping(world: Session, kind: str, mce_kill: MceKill) -> SessionVictim:
    if kind == "hugetlb":
        world.host.write("/proc/sys/vm/nr_hugepages", b"4\n")
    return world.victim(level="L1", kind=kind, shared=True, mce_kill=mce_kill)


@scenario(
    title="Two processes share a page and asked for early kill: both are told at once, and again on a touch",
    fault="memory record, recoverable, at a page that two processes of the host map",
    expects=(*LOST, *EARLY, *LATE),
    sources=SOURCES,
)
@pytest.mark.parametrize("kind", sorted(SHARED))
def test_two_early(world: Session, kind: str) -> None:
    first = mapping(world, kind, "early")
    second = first.partner(mce_kill="early")
    record, pfn = strike(world, first)
    for one in (first, second):
        one.hear()
        one.touch("read")
    address, lsb = int(first.address), SHARED[kind]
    world.expect(
        host.reports(record),
        host.tells_process(address, tid=first.tid, lsb=lsb),
        host.tells_process(address, tid=second.tid, lsb=lsb, again="-too"),
        host.takes_page(pfn),
        host.signals_process(address, tid=first.tid, lsb=lsb),
        host.signals_process(address, tid=second.tid, lsb=lsb, again="-too"),
    )


@scenario(
    title="Two processes share a page, one early, one late: one is told at once, the other on a touch",
    fault="memory record, recoverable, at a page that two processes of the host map",
    expects=(*LOST, *EARLY, *LATE),
    sources=SOURCES,
)
@pytest.mark.parametrize("kind", sorted(SHARED))
def test_early_and_late(world: Session, kind: str) -> None:
    late = mapping(world, kind, "late")
    early = late.partner(mce_kill="early")
    record, pfn = strike(world, late)
    early.hear()
    late.touch("read")
    address, lsb = int(late.address), SHARED[kind]
    world.expect(
        host.reports(record),
        host.tells_process(address, tid=early.tid, lsb=lsb),
        host.takes_page(pfn),
        host.signals_process(address, tid=late.tid, lsb=lsb),
    )


@scenario(
    title="Two processes share a page and asked for nothing: each is told when it touches it",
    fault="memory record, recoverable, at a page that two processes of the host map",
    expects=(*LOST, *LATE),
    sources=SOURCES,
)
@pytest.mark.parametrize("kind", sorted(SHARED))
def test_two_late(world: Session, kind: str) -> None:
    first = mapping(world, kind, "default")
    second = first.partner()
    record, pfn = strike(world, first)
    for one in (first, second):
        one.touch("write")
    address, lsb = int(first.address), SHARED[kind]
    world.expect(
        host.reports(record),
        host.takes_page(pfn),
        host.signals_process(address, tid=first.tid, lsb=lsb),
        host.signals_process(address, tid=second.tid, lsb=lsb, again="-too"),
    )


@scenario(
    title="A child has its parent's choice",
    fault="memory record, recoverable, at a page that parent and child map",
    expects=(*LOST, *EARLY),
    sources=("prctl(2), PR_MCE_KILL: the policy is inherited by fork",),
)
def test_child(world: Session) -> None:
    parent = mapping(world, "shmem", "early")
    child = parent.partner()
    record, pfn = strike(world, parent)
    for one in (parent, child):
        one.hear()
    world.expect(
        host.reports(record),
        host.tells_process(int(parent.address), tid=parent.tid),
        host.tells_process(int(parent.address), tid=child.tid, again="-too"),
        host.takes_page(pfn),
    )


@scenario(
    title="A process has three threads: it is told once, and only who touches the page is signalled",
    fault="memory record, recoverable, at a page of a process with three threads",
    expects=(*LOST, *EARLY, *LATE),
    sources=("Linux mm/memory-failure.c find_early_kill_thread(): one thread of a process",),
)
def test_three_threads(world: Session) -> None:
    victim = world.victim(level="L1", kind="anon", threads=3, mce_kill="early")
    record, pfn = strike(world, victim)
    victim.hear()
    victim.touch("read", thread=2)
    toucher = victim.victim.tids[2]
    world.expect(
        host.reports(record),
        host.tells_process(int(victim.address), tid=victim.tid),
        host.takes_page(pfn),
        host.signals_process(int(victim.address), tid=toucher),
    )


@scenario(
    title="A fork has written: the pages are two, and the other process loses nothing",
    fault="memory record, recoverable, at the page of one of two processes after copy-on-write",
    expects=(*LOST, *LATE, host.READS),
    sources=("Linux mm/memory-failure.c collect_procs_anon(): page_mapped_in_vma()",),
)
def test_after_copy_on_write(world: Session) -> None:
    victim = mapping(world, "anon", "late")
    other = victim.partner(mce_kill="early")
    other.touch("write", value=1)
    record, pfn = strike(world, victim)
    other.touch("read")
    victim.touch("read")
    world.expect(
        host.reports(record),
        host.takes_page(pfn),
        host.signals_process(int(victim.address), tid=victim.tid),
        host.READS(op="read", value=1, intact=True, tid=other.tid),
    )


@scenario(
    title="A process of the host that shares nothing is lost alone: the guest reads on",
    fault="memory record, recoverable, at a page of a process beside the VMM that asked for early kill",
    expects=(*LOST, *EARLY, guest.READS),
    sources=SOURCES,
)
@pytest.mark.parametrize("kind", sorted(SHARED))
def test_beside_the_vmm(world: Session, kind: str) -> None:
    inside = world.victim()
    victim = mapping(world, kind, "early")
    record, pfn = strike(world, victim)
    victim.hear()
    inside.touch("read")
    world.expect(
        host.reports(record),
        host.tells_process(int(victim.address), tid=victim.tid, lsb=SHARED[kind]),
        host.takes_page(pfn),
        guest.reads_intact(inside.victim),
    )
