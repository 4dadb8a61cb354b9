# SPDX-License-Identifier: Apache-2.0
"""rasdaemon is the third opinion: it reads our records from the kernel's trace events, with its own decoder.

The kernel hands it the body of each section that it has no driver for, byte for byte, and the fields of an
ARM processor section (Linux drivers/acpi/apei/ghes.c ghes_do_proc(), drivers/ras/ras.c). Memory sections
would need an EDAC driver for GHES, which the packaged kernel has not.
"""

from __future__ import annotations

import re
import time
import uuid
from pathlib import Path
from typing import Final

import pytest

from seabus.arch.cper import ArmProcessorSection, DataEntry, Severity, StatusBlock, decode_section, guids
from seabus.faults import record
from seabus.faults.record import MemoryRecord
from seabus.patience import STEP, scale
from seabus.session.session import Session

pytestmark = pytest.mark.emulated

VECTORS: Final = Path(__file__).parents[1] / "arch" / "vectors"
#: Sections that the kernel hands on as bytes.
RAW: Final = {
    "firmware_1": guids.FIRMWARE_RECORD,
    "pci_bus": guids.PCI_BUS,
    "pci_component": guids.PCI_COMPONENT,
    "processor": guids.PROCESSOR_GENERIC,
}
LOG: Final = "/run/rasdaemon.log"
# rasdaemon waits half a minute for each event that a kernel lacks. Told that it is there, it goes on at once,
# finds that it cannot be read, and leaves it out.
START: Final = (
    *("strace", "-f", "-o", "/dev/null", "-e", "trace=faccessat", "-e", "inject=faccessat:retval=0"),
    *("rasdaemon", "--foreground"),
)
INSTANCE: Final = "/sys/kernel/tracing/instances/rasdaemon"


def body(name: str) -> bytes:
    lines = (VECTORS / f"{name}.hex").read_text(encoding="ascii").splitlines()
    return bytes.fromhex("".join(line.partition("#")[0] for line in lines))


def said(world: Session, pattern: str) -> re.Match[str]:
    """What rasdaemon has said, once it has."""
    late = time.monotonic() + STEP * scale()
    while True:
        log = world.host.read(LOG).decode()
        if found := re.search(pattern, log):
            return found
        assert time.monotonic() < late, f"waited for {pattern} in:\n{log[-2000:]}"
        time.sleep(0.05)  # a log that is read, not followed, has no other way to say that it grew


def start(world: Session) -> None:
    world.run(world.stage.agent("L1").spawn(*START, output=LOG))
    said(world, "Listening to events")
    world.host.write(
        f"{INSTANCE}/buffer_percent", b"0"
    )  # it is woken by the first event, not by half a buffer


def inject(world: Session, entry: DataEntry) -> None:
    block = StatusBlock(severity=entry.severity, entries=(entry,))
    world.run(record.inject(world.world.firmware(), block.encode()))


def test_it_reads_the_same_bytes(world: Session) -> None:
    start(world)
    for name, guid in sorted(RAW.items()):
        fru = uuid.uuid4()
        section = decode_section(guid, body(name))
        inject(world, DataEntry(section=section, severity=Severity.CORRECTED, fru_id=fru, fru_text="seabus"))
        # "… section type: GUID fru text: seabus fru id: GUID  length: 64 error:", then lines of four words.
        size = len(body(name))
        told = said(
            world,
            rf"Corrected section type: ([\w-]+) fru text: seabus fru id: {fru}\s+length: (\d+) error:\n"
            rf"((?:  [0-9a-f]{{8}}: .*\n){{{-(-size // 16)}}})",
        )
        words = re.findall(r"\b[0-9a-f]{8}\b(?!:)", told[3])
        read = b"".join(int(word, 16).to_bytes(4, "little") for word in words)
        assert (uuid.UUID(told[1]), int(told[2])) == (guid, size)
        assert read == body(name)[: size // 4 * 4]  # it prints whole words


def test_it_reads_the_same_processor(world: Session) -> None:
    start(world)
    section = decode_section(guids.PROCESSOR_ARM, body("arm"))
    assert isinstance(section, ArmProcessorSection)
    inject(world, DataEntry(section=section, severity=Severity.CORRECTED))
    told = said(world, r"MPIDR: (\S+) MIDR: (\S+) running_state: (\d+) psci_state: (\d+)")
    assert int(told[1], 16) == section.mpidr
    assert int(told[2], 16) == section.midr
    assert int(told[3]) == section.running_state
    assert int(told[4]) == section.psci_state


def test_it_sees_the_same_page_lost(world: Session) -> None:
    start(world)
    page = world.victim(level="L1").host_page()
    world.inject(MemoryRecord(address=page))
    said(world, f"pfn={page.pfn:#x} page_type=dirty LRU page action_result=Recovered")
