# SPDX-License-Identifier: Apache-2.0
"""A real kernel is the second opinion on our encoders: it prints each section as we say it does.

Each golden section is put into a status block and injected into L1; what its kernel prints is compared with
``seabus.arch.linux_lines`` line by line.
"""

from __future__ import annotations

import re
import time
import uuid
from pathlib import Path
from typing import Final

import pytest

from seabus.arch import linux_lines
from seabus.arch.cper import DataEntry, Severity, StatusBlock, Timestamp, decode_section, guids
from seabus.faults import record
from seabus.patience import STEP, scale
from seabus.session.session import Session

pytestmark = pytest.mark.emulated

VECTORS: Final = Path(__file__).parents[1] / "arch" / "vectors"
SECTIONS: Final = {
    "arm": guids.PROCESSOR_ARM,
    "cxl_dram": guids.CXL_DRAM,
    "cxl_general_media": guids.CXL_GENERAL_MEDIA,
    "cxl_memory_module": guids.CXL_MEMORY_MODULE,
    "cxl_memory_sparing": guids.CXL_MEMORY_SPARING,
    "cxl_protocol": guids.CXL_PROTOCOL,
    "firmware_0": guids.FIRMWARE_RECORD,
    "firmware_1": guids.FIRMWARE_RECORD,
    "firmware_2": guids.FIRMWARE_RECORD,
    "memory": guids.PLATFORM_MEMORY,
    "memory_2": guids.PLATFORM_MEMORY_2,
    "memory_uefi_2_2": guids.PLATFORM_MEMORY,
    "pci_bus": guids.PCI_BUS,
    "pci_component": guids.PCI_COMPONENT,
    "pcie": guids.PCIE,
    "pcie_rcrb": guids.PCIE,
    "processor": guids.PROCESSOR_GENERIC,
}
NOW: Final = Timestamp(year=2026, month=11, day=23, hour=10, minute=1, second=2)


def entry(name: str, *, revision: int = 0x300, severity: Severity = Severity.CORRECTED) -> DataEntry:
    lines = (VECTORS / f"{name}.hex").read_text(encoding="ascii").splitlines()
    body = bytes.fromhex("".join(line.partition("#")[0] for line in lines))
    return DataEntry(
        section=decode_section(SECTIONS[name], body),
        severity=severity,
        revision=revision,
        fru_id=uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"),
        fru_text="seabus",
        timestamp=NOW if revision == 0x300 else None,
    )


def printed(world: Session, block: StatusBlock) -> list[str]:
    """What L1's kernel says of a block, without times and without what drivers say of it later."""
    world.run(record.inject(world.world.firmware(), block.encode()))
    late = time.monotonic() + STEP * scale()
    before: list[str] = []
    while time.monotonic() < late:
        found = hardware_errors(world)
        if found and found == before:
            return found
        before = found
        time.sleep(0.05)  # a log that is read, not followed, has no other way to say that it grew
    return before


def hardware_errors(world: Session) -> list[str]:
    log = world.host.run("dmesg").must_succeed().text.splitlines()
    messages = [re.sub(r"^(?:<\d+>)?\[ *[\d.]+\] ", "", line) for line in log]
    return [text for text in messages if "[Hardware Error]" in text or "[Firmware Warn]" in text]


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_it_prints_what_we_say(world: Session, name: str) -> None:
    block = StatusBlock(severity=Severity.CORRECTED, entries=(entry(name),))
    assert printed(world, block) == linux_lines(block, source=1)


def test_entries_of_both_revisions_in_one_block(world: Session) -> None:
    block = StatusBlock(
        severity=Severity.CORRECTED,
        entries=(
            entry("memory", revision=0x201),
            entry("firmware_1", severity=Severity.INFORMATIONAL),
            entry("memory_2"),
        ),
    )
    assert printed(world, block) == linux_lines(block, source=1)
