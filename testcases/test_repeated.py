# SPDX-License-Identifier: Apache-2.0
"""More than one error: the same page again, pages side by side, many pages in a row.

A page is lost once: a second record for it is noted (`already poisoned`), and nobody is signalled twice.
Each other page is a fault of its own, with a chain of its own.
"""

from __future__ import annotations

import pytest

from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import scenario
from seabus.chains import guest, host
from seabus.faults.record import MemoryRecord
from seabus.session.session import Session

pytestmark = pytest.mark.emulated

HOST_LOSES = (host.RECORD, host.VMM_TOLD, host.UNMAPPED)
CONSUMED = (
    *HOST_LOSES,
    host.VCPU_STOPPED,
    host.ABORT_INJECTED,
    guest.ABORT_TAKEN,
    guest.RECORD,
    guest.VICTIM_SIGNALLED,
    guest.UNMAPPED,
    guest.VICTIM_INFORMED,
)
ESR = qemu_sea_esr(from_el0=True)


@scenario(
    title="Firmware reports the same page twice",
    fault="two memory records, recoverable, for one page",
    expects=HOST_LOSES,
    sources=("Linux mm/memory-failure.c memory_failure(): TestSetPageHWPoison()",),
)
def test_reported_twice(world: Session) -> None:
    victim = world.victim()
    first, second = (MemoryRecord(address=victim.page.host_physical) for _ in range(2))
    world.inject(first)
    world.until("L1", "memory_failure")
    world.inject(second)
    world.settle(0.3)
    world.expect(
        host.reports(first),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.reports(second, again="-again"),
        host.takes_page(victim.page.host_physical.pfn, result="Failed", again="-again"),
    )


@scenario(
    title="The victim touches its lost page a second time",
    fault="memory record, recoverable",
    expects=(*CONSUMED, guest.POISON_SIGNALLED, guest.POISON_INFORMED),
    sources=("Linux arch/arm64/mm/fault.c do_page_fault(): VM_FAULT_HWPOISON",),
)
def test_touched_twice(world: Session) -> None:
    """The guest's page table holds a poison mark by then: no abort, and this time FAR and ESR are known."""
    victim = world.victim()
    fault = world.fault_at(victim.page.host_physical)
    world.inject(fault)
    world.until("L1", "memory_failure")
    victim.touch("read")
    victim.touch("read")
    world.expect(
        host.announces(fault),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(victim.page, esr=ESR),
        guest.takes_abort(victim.page, victim.victim, esr=ESR),
        guest.signals_victim(victim.page, victim.victim),
        guest.meets_poison(victim.page, victim.victim),
    )


@scenario(
    title="Several pages of one process are lost, and each is consumed",
    fault="a memory record, recoverable, for each page",
    expects=CONSUMED,
)
@pytest.mark.parametrize("count", [2, 4])
def test_side_by_side(world: Session, count: int) -> None:
    victim = world.victim(pages=count)
    expected = []
    for number in range(count):
        page = victim.page_at(4096 * number)
        again = f"-{number}" if number else ""
        fault = world.fault_at(page.host_physical)
        world.inject(fault)
        world.until("L1", "memory_failure", pfn=page.host_physical.pfn)
        victim.touch("read", offset=4096 * number)
        expected += [
            *host.announces(fault, again=again, optional=number > 1),
            *host.loses_page(page, vmm_pid=world.vmm_pid, again=again),
            *host.stops_vcpu(page, esr=ESR, again=again),
            *guest.takes_abort(page, victim.victim, esr=ESR, again=again, optional=number > 1),
            *guest.signals_victim(page, victim.victim, again=again),
        ]
    world.expect(expected)


@scenario(
    title="A storm of records, none of them consumed",
    fault="64 memory records, recoverable, one after the other",
    expects=HOST_LOSES,
    sources=("Linux kernel/signal.c legacy_queue(): of two pending SIGBUS one is kept, and its address",),
)
def test_storm(world: Session) -> None:
    victim = world.victim(pages=64)
    pages = [victim.page_at(4096 * number) for number in range(64)]
    expected = []
    for number, page in enumerate(pages):
        record = MemoryRecord(address=page.host_physical)
        world.inject(record)
        again = f"-{number}" if number else ""
        expected += [
            host.reports(record, again=again, optional=number > 1),
            host.tells_vmm(vmm_pid=world.vmm_pid, again=again, may_be_pending=True),
            host.takes_page(page.host_physical.pfn, again=again),
        ]
    world.settle(0.5)
    world.expect(expected)
