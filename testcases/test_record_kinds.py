# SPDX-License-Identifier: Apache-2.0
"""Firmware records that are not about memory, or about more than one thing, or about nothing.

The host's kernel must log each with the severity it came with, leave the guest alone, and go on: whatever
one record held, the next good one still works. Linux drivers/acpi/apei/ghes.c, drivers/firmware/efi/cper.c.
"""

from __future__ import annotations

import dataclasses
import uuid

import pytest

from seabus.arch.cper import (
    ArmErrorInfo,
    ArmProcessorSection,
    FirmwareSection,
    MemorySection,
    PcieSection,
    ProcessorSection,
    Section,
    Severity,
    UnknownSection,
)
from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import scenario
from seabus.chains import guest, host
from seabus.faults.record import MemoryRecord, SectionRecord
from seabus.session.session import Session

pytestmark = pytest.mark.emulated

SECTIONS: dict[str, Section] = {
    "arm-processor": ArmProcessorSection(
        midr=0x410F_D4F0, mpidr=0x8000_0000, running_state=1, errors=(ArmErrorInfo(type=2),)
    ),
    "processor": ProcessorSection(processor_type=2, processor_isa=4, error_type=1),
    "pcie": PcieSection(
        port_type=4, vendor_id=0x1AF4, device_id=0x1000, segment=0, bus=0, device=9, function=0
    ),
    "firmware": FirmwareSection(record_type=1, revision=0, record_id=7),
    "vendor": UnknownSection(uuid.UUID("5ea85ea8-0000-4000-8000-000000000001"), bytes(range(64))),
    "vendor-empty": UnknownSection(uuid.UUID("5ea85ea8-0000-4000-8000-000000000002"), b""),
}


@scenario(
    title="A record that is not about memory is logged, and changes nothing",
    fault="record, corrected, of one section of another kind",
    expects=(host.RECORD, guest.READS),
    sources=("UEFI 2.11 appendix N", "Linux drivers/firmware/efi/cper.c cper_estatus_print_section()"),
)
@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_logged(world: Session, name: str) -> None:
    victim = world.victim()
    record = SectionRecord(sections=(SECTIONS[name],), severity=Severity.CORRECTED)
    world.inject(record)
    world.settle(0.3)
    victim.touch("read")
    world.expect(host.logs(record), guest.reads_intact(victim.victim))


@scenario(
    title="Several sections in one record: two pages of memory are taken, in order",
    fault="record, recoverable, of two memory sections and a vendor's",
    expects=(host.RECORD, host.VMM_TOLD, host.UNMAPPED),
    sources=("ACPI 6.5, 18.3.2.7.1: a status block holds any number of entries",),
)
def test_several_sections(world: Session) -> None:
    victim = world.victim(pages=2)
    pages = [victim.page_at(0), victim.page_at(4096)]
    memory = [
        MemorySection(physical_address=int(page.host_physical), physical_address_mask=0xFFFF_FFFF_FFFF_F000)
        for page in pages
    ]
    record = SectionRecord(sections=(memory[0], SECTIONS["vendor"], memory[1]))
    world.inject(record)
    for page in pages:
        world.until("L1", "memory_failure", pfn=page.host_physical.pfn)
    tells, takes = host.loses_page(pages[1], vmm_pid=world.vmm_pid, again="-second", may_be_pending=True)
    world.expect(
        host.logs(record, physical_address=int(pages[0].host_physical)),
        host.loses_page(pages[0], vmm_pid=world.vmm_pid),
        dataclasses.replace(tells, after=(*tells.after, host.UNMAPPED.name)),
        takes,
    )


@scenario(
    title="After a record that was logged only, a fault still takes its whole way",
    fault="record of a vendor's section, then a memory record, recoverable",
    expects=(
        host.RECORD,
        host.VMM_TOLD,
        host.UNMAPPED,
        host.VCPU_STOPPED,
        host.ABORT_INJECTED,
        guest.ABORT_TAKEN,
        guest.RECORD,
        guest.VICTIM_SIGNALLED,
        guest.UNMAPPED,
        guest.VICTIM_INFORMED,
    ),
)
def test_and_then_a_fault(world: Session) -> None:
    victim = world.victim()
    before = SectionRecord(sections=(SECTIONS["vendor"],), severity=Severity.CORRECTED)
    world.inject(before)
    record = MemoryRecord(address=victim.page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure", pfn=victim.page.host_physical.pfn)
    victim.touch("read")
    esr = qemu_sea_esr(from_el0=True)
    world.expect(
        host.logs(before),
        host.reports(record, again="-of-memory"),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(victim.page, esr=esr),
        guest.takes_abort(victim.page, victim.victim, esr=esr),
        guest.signals_victim(victim.page, victim.victim),
    )
