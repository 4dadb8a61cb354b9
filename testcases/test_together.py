# SPDX-License-Identifier: Apache-2.0
"""Two errors at once, and an error while another is dealt with.

A GHESv2 source holds one record until the guest acknowledges it (ACPI 6.5, 18.3.2.8). QEMU has one source for
synchronous errors, whatever the number of vCPUs, and cannot wait: a second vCPU, or the guest's own handler,
that consumes a lost page before the acknowledgement ends the VMM, with a message that says why (QEMU
hw/acpi/ghes.c ghes_record_cper_errors(), target/arm/kvm.c kvm_arch_on_sigbus_vcpu()). That is what is
expected here; a VMM that learns to queue is noticed.

Where the error is in the memory that the record goes into, it is the VMM that touches it first, in the vCPU's
thread and before it is done with the SIGBUS before. It keeps one of those at a time, and lets itself be
killed (QEMU accel/kvm/kvm-all.c kvm_on_sigbus_vcpu()).
"""

from __future__ import annotations

import pytest

from seabus.arch.addresses import GuestPhysical
from seabus.arch.cper import MemorySection
from seabus.arch.esr import qemu_sea_esr
from seabus.arch.hest import GhesV2Source, decode_hest
from seabus.arch.sigbus import BusCode
from seabus.catalogue import scenario
from seabus.chains import guest, host, vmm
from seabus.faults.record import MemoryRecord, SectionRecord
from seabus.guest.translate import Addresses
from seabus.judge.expectation import Expectation
from seabus.session.session import Session, SessionVictim

pytestmark = pytest.mark.emulated

LOST = (host.RECORD, host.VMM_TOLD, host.UNMAPPED)
CONSUMED = (
    *LOST,
    host.VCPU_STOPPED,
    host.ABORT_INJECTED,
    guest.ABORT_TAKEN,
    guest.RECORD,
    guest.VICTIM_SIGNALLED,
    guest.UNMAPPED,
    guest.VICTIM_INFORMED,
)
AT_ONCE = (*LOST, host.VCPU_STOPPED, host.ABORT_INJECTED, vmm.GIVES_UP)
ONE_RECORD = ("ACPI 6.5, 18.3.2.8", "QEMU hw/acpi/ghes.c ghes_record_cper_errors()")
ESR = qemu_sea_esr(from_el0=True)
#: The kernel's image begins with 64 KiB of header; then comes its text, and that with what every exception
#: goes through (Linux arch/arm64/kernel/vmlinux.lds.S, ENTRY_TEXT).
VECTORS = 0x1_0000


def stops(vcpu: int, page: Addresses) -> Expectation:
    """One of two vCPUs touches its page, before or after the VMM is told of it."""
    return host.VCPU_STOPPED(
        again=f"-{vcpu}",
        code=int(BusCode.BUS_MCEERR_AR),
        comm=f"CPU {vcpu}/KVM",
        address=int(page.vmm_virtual.page()),
        lsb=12,
        result=host.DELIVERED,
    )


@scenario(
    title="Two vCPUs consume a page each at once: the VMM can tell of one, and ends",
    fault="one record, recoverable, of two pages that two vCPUs read without a pause",
    expects=(*AT_ONCE, guest.ABORT_TAKEN, guest.RECORD),
    sources=ONE_RECORD,
)
@pytest.mark.seabus(l2_cpus=2)
@pytest.mark.parametrize("op", ["read", "write"])
def test_two_vcpus(world: Session, op: str) -> None:
    victims = [world.victim(cpu=number) for number in range(2)]
    pages = [victim.page for victim in victims]
    sections = tuple(
        MemorySection(physical_address=int(page.host_physical), physical_address_mask=0xFFFF_FFFF_FFFF_F000)
        for page in pages
    )
    record = SectionRecord(sections=sections)
    with world.looping(*victims, op=op):
        world.inject(record)
    _, abort = host.stops_vcpu(pages[0], esr=ESR)
    taken = [expectation for victim in victims for expectation in may_take_abort(victim)]
    world.expect(
        host.logs(record, physical_address=int(pages[0].host_physical)),
        host.tells_vmm(vmm_pid=world.vmm_pid, address=pages[0].vmm_virtual),
        host.takes_page(pages[0].host_physical.pfn),
        host.tells_vmm(
            vmm_pid=world.vmm_pid, address=pages[1].vmm_virtual, again="-too", may_be_pending=True
        ),
        host.takes_page(pages[1].host_physical.pfn, again="-too"),
        stops(0, pages[0]),
        stops(1, pages[1]),
        abort,
        taken,
        vmm.GIVES_UP(who="VMM", exit=1, signal=None, words=vmm.UNACKNOWLEDGED),
    )


def may_take_abort(victim: SessionVictim) -> list[Expectation]:
    """What the guest still does before it is gone, and gets told to us."""
    again = f"-{victim.tid}"
    return [
        guest.ABORT_TAKEN(again=again, optional=True, esr=ESR, far=0, tid=victim.tid),
        guest.RECORD(
            again=again,
            optional=True,
            source=guest.SOURCE_SEA,
            severity="recoverable",
            physical_address=int(victim.page.guest_physical),
        ),
    ]


@scenario(
    title="The guest cannot even begin to handle an error: its exception vectors are lost, and the VMM ends",
    fault="memory record, recoverable, at the guest kernel's exception vectors",
    expects=AT_ONCE,
    sources=ONE_RECORD,
)
def test_in_the_handler(world: Session) -> None:
    """The abort for the lost page is taken through that page: the second error is inside the first."""
    code = world.guest.run("grep", "Kernel code", "/proc/iomem").must_succeed().text
    victim = world.victim()
    page = world.vmm.guest_page(GuestPhysical(int(code.split("-")[0], 16) + VECTORS))
    fault = world.fault_at(page.host_physical)
    world.inject(fault)
    world.until("L1", "memory_failure")
    victim.touch("read")
    first, abort = host.stops_vcpu(page, esr=qemu_sea_esr(from_el0=False), from_el=1, busy=True)
    second, _ = host.stops_vcpu(page, esr=0, again="-again", busy=True)
    world.expect(
        host.announces(fault),
        host.tells_vmm(vmm_pid=world.vmm_pid, address=page.vmm_virtual),
        host.takes_page(page.host_physical.pfn),
        first,
        abort,
        second,
        vmm.gives_up(),
    )


@scenario(
    title="The memory that the guest's records go into is lost: the VMM is killed as it writes one",
    fault="memory records, recoverable, at the guest's error status block, then at a victim's page",
    expects=(*LOST, host.VCPU_STOPPED, vmm.RAISES, vmm.KILLED),
    sources=("QEMU hw/acpi/ghes.c ghes_record_cper_errors()", "Linux kernel/signal.c"),
)
def test_where_records_go(world: Session) -> None:
    table = decode_hest(world.guest.read("/sys/firmware/acpi/tables/HEST"))
    source = next(source for source in table.sources if isinstance(source, GhesV2Source))
    where = world.vmm.guest_page(GuestPhysical(source.error_status_address.address))
    victim = world.victim()
    records = [MemoryRecord(address=at) for at in (where.host_physical, victim.page.host_physical)]
    for record in records:
        world.inject(record)
        world.until("L1", "memory_failure", pfn=record.address.pfn)
    victim.touch("read")
    first = host.signals_vcpu(victim.page, again="-too")
    second = host.signals_vcpu(where)
    world.expect(
        host.reports(records[0]),
        host.tells_vmm(vmm_pid=world.vmm_pid, address=where.vmm_virtual),
        host.takes_page(where.host_physical.pfn),
        host.reports(records[1], again="-too"),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid, again="-too", may_be_pending=True),
        first,
        second,
        vmm.lets_itself_be_killed(),
    )


@scenario(
    title="Two pages side by side are lost, and one access crosses from one into the other",
    fault="two memory records, recoverable, for adjacent pages of one victim",
    expects=(*CONSUMED, guest.POISON_SIGNALLED, guest.POISON_INFORMED),
)
@pytest.mark.parametrize("op", ["read", "write"])
def test_across_two_lost_pages(world: Session, op: str) -> None:
    """The first page is met first, and meets its mark the second time; the second is met by itself."""
    victim = world.victim(pages=2)
    pages = [victim.page_at(4096 * number) for number in range(2)]
    faults = [world.fault_at(page.host_physical) for page in pages]
    for fault, page in zip(faults, pages, strict=True):
        world.inject(fault)
        world.until("L1", "memory_failure", pfn=page.host_physical.pfn)
    for offset in (4096 - 4, 4096 - 4, 4096):
        victim.touch(op, offset=offset)
    expected = []
    for number, (fault, page) in enumerate(zip(faults, pages, strict=True)):
        again = "-second" if number else ""
        expected += [
            *host.announces(fault, again=again),
            *host.loses_page(page, vmm_pid=world.vmm_pid, again=again, may_be_pending=number > 0),
            *host.stops_vcpu(page, esr=ESR, again=again),
            *guest.takes_abort(page, victim.victim, esr=ESR, again=again),
            *guest.signals_victim(page, victim.victim, again=again),
        ]
    world.expect(expected, guest.meets_poison(pages[0], victim.victim, op=op, offset=4096 - 4))
