# SPDX-License-Identifier: Apache-2.0
"""Records of CXL: protocol errors, and events that a memory device logged (UEFI 2.11 N.2.13, N.2.14).

Firmware forwards them where it owns CXL error handling. The host's kernel logs each and hands it to its CXL
drivers (drivers/acpi/apei/ghes.c cxl_cper_post_event(), cxl_cper_post_prot_err()); no driver is here to take
it. Their addresses are those of a device, not of the host: a general media event that names, as a device
address, the very number of a page of the guest must not take that page.
"""

from __future__ import annotations

import pytest

from seabus.arch.addresses import HostPhysical
from seabus.arch.cper import (
    CxlDram,
    CxlEventSection,
    CxlGeneralMedia,
    CxlMemoryModule,
    CxlMemorySparing,
    CxlProtocolSection,
    CxlRasCapability,
    Section,
    Severity,
    cxl_agent_address,
)
from seabus.catalogue import scenario
from seabus.chains import guest, host
from seabus.faults.record import SectionRecord
from seabus.session.session import Session

pytestmark = pytest.mark.emulated

#: UEFI 2.11 table N.52: a CXL 2.0 device.
DEVICE = 2


def section(name: str, address: HostPhysical) -> Section:
    """A section of CXL; the address is a device's in those that have one."""
    match name:
        case "dram":
            return CxlEventSection.of_event(CxlDram(physical_address=int(address)), serial_number=1)
        case "general-media":
            return CxlEventSection.of_event(CxlGeneralMedia(physical_address=int(address)), serial_number=1)
        case "memory-module":
            return CxlEventSection.of_event(CxlMemoryModule(health_status=1), serial_number=1)
        case "memory-sparing":
            return CxlEventSection.of_event(CxlMemorySparing(result=0), serial_number=1)
        case _:
            return CxlProtocolSection(
                agent_type=DEVICE,
                agent_address=cxl_agent_address(0, 0, 9, 0),
                serial_number=1,
                error_log=CxlRasCapability(uncorrectable_status=1).encode(),
            )


@scenario(
    title="A record of CXL is logged, and takes no page of the host",
    fault="record of one CXL section, corrected or recoverable",
    expects=(host.RECORD, guest.READS),
    sources=(
        "UEFI 2.11 appendix N.2.13 and N.2.14",
        "Linux drivers/acpi/apei/ghes.c cxl_cper_post_event()",
    ),
)
@pytest.mark.parametrize("severity", ["corrected", "recoverable"])
@pytest.mark.parametrize("name", ["dram", "general-media", "memory-module", "memory-sparing", "protocol"])
def test_logged(world: Session, name: str, severity: str) -> None:
    victim = world.victim()
    record = SectionRecord(
        sections=(section(name, victim.page.host_physical),), severity=Severity[severity.upper()]
    )
    world.inject(record)
    world.settle(0.3)
    victim.touch("read")
    world.expect(host.logs(record), guest.reads_intact(victim.victim))
