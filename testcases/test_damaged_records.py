# SPDX-License-Identifier: Apache-2.0
"""Records that are not what the specifications call one: cut short, overlong, miscounted, unknown.

A host must survive whatever its firmware writes, and go on: after each of them a good record takes its whole
way. Linux checks the lengths of a block against one another and against the room that HEST gives it
(drivers/acpi/apei/ghes.c __ghes_check_estatus(), drivers/firmware/efi/cper.c cper_estatus_check()); what
fails is firmware's fault, is said so, acknowledged, and otherwise ignored. It believes lengths, never the
count of entries. A severity that it does not know is the worst of all in a block (ghes_severity(): "Unknown,
go panic"), and none at all in an entry.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from seabus.arch.cper import Severity
from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import KnownDefectError, known_defect, scenario
from seabus.chains import guest, host
from seabus.errors import MachineError
from seabus.faults.record import DamagedRecord, MemoryRecord
from seabus.judge.expectation import Expectation
from seabus.session.session import Session, SessionVictim

pytestmark = pytest.mark.emulated

Damage = Callable[[bytes], bytes]
#: Where things are in a block of one entry (ACPI 6.5, 18.3.2.7).
STATUS, RAW_OFFSET, RAW_LENGTH, LENGTH, SEVERITY, ENTRY = 0, 4, 8, 12, 16, 20
ENTRY_SEVERITY, ENTRY_REVISION, ENTRY_LENGTH, SECTION = ENTRY + 16, ENTRY + 20, ENTRY + 24, ENTRY + 72
ROOM = 4096

TAKEN = (host.VMM_TOLD, host.UNMAPPED)
CONSUMED = (
    host.RECORD,
    *TAKEN,
    host.VCPU_STOPPED,
    host.ABORT_INJECTED,
    guest.ABORT_TAKEN,
    guest.RECORD,
    guest.VICTIM_SIGNALLED,
    guest.UNMAPPED,
    guest.VICTIM_INFORMED,
)
CHECKS = (
    "Linux drivers/acpi/apei/ghes.c __ghes_check_estatus()",
    "Linux drivers/firmware/efi/cper.c cper_estatus_check()",
)


def put(*changes: tuple[int, int], size: str = "I", keep: int | None = None) -> Damage:
    """Numbers at offsets; and so many bytes kept of the whole."""

    def damage(record: bytes) -> bytes:
        changed = bytearray(record)
        for offset, value in changes:
            struct.pack_into(f"<{size}", changed, offset, value)
        return bytes(changed[:keep])

    return damage


BLOCK_TOO_LONG = "GHES: Invalid error status block length!"
BLOCK_TRUNCATED = "GHES: Truncated error status block!"
BLOCK_UNREADABLE = "GHES: Failed to read error status block!"
HEADER_WRONG = "GHES: Invalid CPER header!"

UNREADABLE: dict[str, tuple[Damage, str]] = {
    "all-ones": (lambda record: b"\xff" * len(record), BLOCK_TOO_LONG),
    "data-beyond-the-room": (put((LENGTH, ROOM)), BLOCK_TOO_LONG),
    "data-of-4-gib": (put((LENGTH, 0xFFFF_FFFF)), BLOCK_TRUNCATED),
    "data-too-long": (put((LENGTH, 1000)), BLOCK_UNREADABLE),
    "data-too-short": (put((LENGTH, 100)), BLOCK_UNREADABLE),
    "entry-of-4-gib": (put((ENTRY_LENGTH, 0xFFFF_FFFF)), BLOCK_UNREADABLE),
    "entry-too-long": (put((ENTRY_LENGTH, 1000)), BLOCK_UNREADABLE),
    "entry-too-short": (put((ENTRY_LENGTH, 40)), BLOCK_UNREADABLE),
    "raw-data-beyond-the-room": (put((RAW_OFFSET, 4000), (RAW_LENGTH, 4000)), BLOCK_TOO_LONG),
    "raw-data-over-the-entries": (put((RAW_OFFSET, ENTRY), (RAW_LENGTH, 100)), HEADER_WRONG),
}

NOTHING_IN_IT: dict[str, Damage] = {
    "cut-after-10-bytes": put(keep=10),
    "header-alone": put((LENGTH, 0), keep=ENTRY),
    "no-data": put((LENGTH, 0), (STATUS, 1)),
    "raw-data-alone": put((LENGTH, 0), (RAW_OFFSET, ENTRY), (RAW_LENGTH, 152)),
}

BELIEVED: dict[str, Damage] = {
    "counts-0": put((STATUS, 0x01)),
    "counts-1023": put((STATUS, 0x3FF1)),
    "entry-revision-9": put((ENTRY_REVISION, 0x0900), size="H"),
}

HARMLESS: dict[str, Damage] = {
    "entry-severity-7": put((ENTRY_SEVERITY, 7)),
    "no-valid-address": put((SECTION, 0x4005), size="Q"),
}


def strike(world: Session, damage: Damage, words: str) -> tuple[SessionVictim, DamagedRecord]:
    """A victim of two pages, and the first of them reported by a damaged record."""
    victim = world.victim(pages=2)
    victim.page_at(4096)
    original = MemoryRecord(address=victim.page.host_physical)
    damaged = DamagedRecord(nonce=original.nonce, original=original, damage=damage, words=words)
    world.inject(damaged)
    return victim, damaged


def and_then_a_good_one(world: Session, victim: SessionVictim) -> list[Expectation]:
    """The second page is reported as it should be, and read."""
    page = victim.page_at(4096)
    record = MemoryRecord(address=page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure", pfn=page.host_physical.pfn)
    victim.touch("read", offset=4096)
    esr = qemu_sea_esr(from_el0=True)
    return [
        host.reports(record),
        *host.loses_page(page, vmm_pid=world.vmm_pid),
        *host.stops_vcpu(page, esr=esr),
        *guest.takes_abort(page, victim.victim, esr=esr),
        *guest.signals_victim(page, victim.victim),
    ]


@scenario(
    title="A record whose lengths do not fit: firmware is blamed, and the next good one works",
    fault="memory record, recoverable, with a wrong length; then a good one",
    expects=(*CONSUMED, host.FIRMWARE_BLAMED, guest.READS),
    sources=CHECKS,
)
@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_unreadable(world: Session, name: str) -> None:
    damage, complaint = UNREADABLE[name]
    victim, _ = strike(world, damage, name)
    victim.touch("read")
    good = and_then_a_good_one(world, victim)
    world.expect(host.FIRMWARE_BLAMED(what=complaint), guest.reads_intact(victim.victim), good)


@scenario(
    title="A record with nothing in it is logged as that, and the next good one works",
    fault="status block, recoverable, without an entry; then a good memory record",
    expects=(*CONSUMED, guest.READS),
    sources=("ACPI 6.5, 18.3.2.7: an entry count of 0 is allowed", *CHECKS),
)
@pytest.mark.parametrize("name", sorted(NOTHING_IN_IT))
def test_nothing_in_it(world: Session, name: str) -> None:
    victim, damaged = strike(world, NOTHING_IN_IT[name], name)
    victim.touch("read")
    good = and_then_a_good_one(world, victim)
    world.expect(nameless(damaged), guest.reads_intact(victim.victim), good)


def nameless(damaged: DamagedRecord) -> Expectation:
    """The host logs a record of which it can tell the severity only."""
    return host.RECORD(
        again="-of-nothing",
        source=host.SOURCE_QMP,
        severity=damaged.severity.name.lower(),
        physical_address=None,
        fru_id=None,
    )


@scenario(
    title="An entry without its section: firmware is blamed, and the next good one works",
    fault="memory record, recoverable, whose section has a length of 0; then a good one",
    expects=(*CONSUMED, host.FIRMWARE_BLAMED, guest.READS),
    sources=("Linux drivers/firmware/efi/cper.c cper_estatus_print_section(): err_section_too_small",),
)
def test_entry_without_section(world: Session) -> None:
    victim, damaged = strike(world, put((ENTRY_LENGTH, 0), (LENGTH, 72), keep=SECTION), "no section")
    victim.touch("read")
    good = and_then_a_good_one(world, victim)
    world.expect(
        host.logs(damaged, again="-damaged"),
        host.FIRMWARE_BLAMED(what="error section length is too small"),
        guest.reads_intact(victim.victim),
        good,
    )


@scenario(
    title="A record that names no page, or has an entry of no known severity, takes none",
    fault="memory record, recoverable, with one field changed; then a good one",
    expects=(*CONSUMED, guest.READS),
    sources=("Linux drivers/acpi/apei/ghes.c ghes_handle_memory_failure()",),
)
@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_harmless(world: Session, name: str) -> None:
    victim, damaged = strike(world, HARMLESS[name], name)
    victim.touch("read")
    good = and_then_a_good_one(world, victim)
    address = None if name == "no-valid-address" else int(damaged.original.address)
    world.expect(
        host.logs(damaged, again="-damaged", physical_address=address),
        guest.reads_intact(victim.victim),
        good,
    )


@scenario(
    title="A record that counts its entries wrongly, or is of the future, is believed all the same",
    fault="memory record, recoverable, with one field changed; then a good one",
    expects=CONSUMED,
    sources=("Linux include/acpi/ghes.h apei_estatus_for_each_section(): lengths alone count",),
)
@pytest.mark.parametrize("name", sorted(BELIEVED))
def test_believed(world: Session, name: str) -> None:
    victim, damaged = strike(world, BELIEVED[name], name)
    world.until("L1", "memory_failure", pfn=victim.page.host_physical.pfn)
    good = and_then_a_good_one(world, victim)
    world.expect(
        host.reports(damaged.original, again="-damaged"),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid, again="-damaged"),
        good,
    )


@scenario(
    title="A block of no known severity stops the host",
    fault="memory record whose block has a severity that is none",
    expects=(host.RECORD_ON_CONSOLE, host.PANICS),
    sources=("Linux drivers/acpi/apei/ghes.c ghes_severity(): unknown, go panic",),
)
@pytest.mark.parametrize("severity", [4, 7, 0xFFFF_FFFF], ids=["4", "7", "4-gib"])
def test_block_of_unknown_severity(world: Session, severity: int) -> None:
    _, damaged = strike(world, put((SEVERITY, severity)), "severity")
    world.expect(host.panics_of_unknown(damaged.original))


@pytest.mark.xfail(
    strict=True,
    raises=KnownDefectError,
    reason="docs/findings/0021: a source is never acknowledged after a block that says there is no error",
)
@pytest.mark.parametrize("damage", [put((STATUS, 0)), put(keep=0)], ids=["status-0", "empty"])
def test_no_error_at_all(world: Session, damage: Damage) -> None:
    """Firmware rings, and there is nothing: the next good record must work, and L0 refuses to write it."""
    victim = world.victim(pages=2)
    victim.page_at(4096)
    original = MemoryRecord(address=victim.page.host_physical, severity=Severity.RECOVERABLE)
    world.run(DamagedRecord(original=original, damage=damage, words="none").put_in(world.world))
    world.settle(0.3)
    with known_defect("docs/findings/0021", MachineError, match="L0 refused .*OSPM does not acknowledge"):
        good = and_then_a_good_one(world, victim)
    world.expect(good)
