# SPDX-License-Identifier: Apache-2.0
"""CPER records with header and descriptors, as firmware logs and ERST hold them."""

import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch import cper
from seabus.arch.malformed import MalformedRecord

LINES = (Path(__file__).parent / "vectors" / "record.hex").read_text(encoding="ascii").splitlines()
GOLDEN = bytes.fromhex("".join(line.partition("#")[0] for line in LINES))


def patched(offset: int, data: bytes) -> bytes:
    return GOLDEN[:offset] + data + GOLDEN[offset + len(data) :]


RECORD = cper.CperRecord(
    severity=cper.Severity.FATAL,
    sections=(
        cper.RecordSection(
            section=cper.MemorySection(physical_address=0x10123F000, error_type=3),
            severity=cper.Severity.FATAL,
            fru_id=uuid.UUID("ccddeeff-aabb-8899-7766-554433221100"),
            fru_text="DIMM A1",
            flags=1,
        ),
        cper.RecordSection(
            section=cper.UnknownSection(uuid.UUID("5b51fef7-c79d-4434-8f1b-aa62de3e2c64"), bytes(range(16))),
            severity=cper.Severity.INFORMATIONAL,
            offset=369,
        ),
    ),
    timestamp=cper.Timestamp.parse("2026-12-31 23:48:59 precise"),
    platform_id=uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"),
    creator_id=uuid.UUID("00000000-0000-0000-0000-000000000001"),
    notification_type=uuid.UUID("9a78788a-bbe8-11e4-809e-67611e5d46b0"),
    record_id=7,
    flags=6,
    persistence_information=8,
    slack=bytes(368) + b"\xaa",
)


def test_the_golden_record() -> None:
    assert cper.decode_cper_record(GOLDEN) == RECORD
    assert RECORD.encode() == GOLDEN
    assert cper.decode_record(GOLDEN + b"more") == RECORD
    assert RECORD.notification == "synchronous external abort (SEA)"
    assert cper.remarks(RECORD) == (
        "record.slack at byte 0: bytes of no header, descriptor or section are not zero",
    )


def test_a_status_block_is_told_from_a_record() -> None:
    block = cper.StatusBlock(severity=cper.Severity.CORRECTED, entries=())
    assert cper.decode_record(block.encode()) == block


def test_rows_of_the_golden_record() -> None:
    rows = {f"{row.path}.{row.name}": row for row in cper.describe(RECORD)}
    assert rows["record.notification_type"].meaning == "synchronous external abort (SEA)"
    assert (rows["descriptor[1].section_type"].offset, rows["descriptor[1].section_type"].meaning) == (
        216,
        "DMAr, generic",
    )
    assert rows["section[0].error_type"].offset == 272 + 72
    assert rows["section[1].data"].offset == 369
    assert rows["record.flags.previous_session"].bits == "1"


def test_sections_follow_one_another_by_default() -> None:
    plain = replace(RECORD, sections=tuple(replace(part, offset=None) for part in RECORD.sections), slack=b"")
    data = plain.encode()
    assert len(data) == 128 + 2 * 72 + 80 + 16
    assert int.from_bytes(data[200:204], "little") == 352
    assert cper.decode_cper_record(data) == plain
    longer = replace(plain, length=1000)
    assert cper.decode_cper_record(longer.encode()) == longer


def test_a_record_without_sections() -> None:
    record = cper.CperRecord(severity=cper.Severity.INFORMATIONAL, sections=())
    assert cper.decode_cper_record(record.encode()) == record
    assert cper.remarks(record) == ("record.section_count at byte 10: a record has one section or more",)


MALFORMED = [
    (b"CPE", 0, "signature_start"),
    (patched(0, b"REPC"), 0, "signature_start"),
    (GOLDEN[:100], 96, "record_id"),
    (patched(6, b"\x00"), 6, "signature_end"),
    (patched(10, b"\xff\xff"), 10, "section_count"),
    (patched(12, b"\x04"), 12, "error_severity"),
    (patched(20, b"\x82"), 20, "record_length"),  # one byte more than there is
    (patched(20, b"\x7f\0"), 10, "section_count"),  # less than the header
    (patched(20, bytes(4)), 10, "section_count"),
    (patched(24, b"\xaa"), 24, "timestamp"),
    (patched(128, b"\0\0"), 128, "section_offset"),  # over the header
    (patched(128, b"\xc8\0"), 128, "section_offset"),  # over the descriptors
    (patched(200, b"\x10"), 200, "section_offset"),  # the second over the first
    (patched(128, b"\xff\xff\xff\xff"), 132, "section_length"),
    (patched(204, b"\x11"), 204, "section_length"),
    (patched(132, b"\x48"), 272, "memory error section"),
    (patched(132, b"\0"), 272, "memory error section"),
    (patched(176, b"\x07"), 176, "section_severity"),
]


@pytest.mark.parametrize(("data", "offset", "field"), MALFORMED)
def test_malformed(data: bytes, offset: int, field: str) -> None:
    with pytest.raises(MalformedRecord) as caught:
        cper.decode_cper_record(data)
    assert (caught.value.offset, caught.value.field) == (offset, field)


def test_every_cut_is_malformed() -> None:
    for size in range(len(GOLDEN)):
        with pytest.raises(MalformedRecord):
            cper.decode_cper_record(GOLDEN[:size])


def test_sections_of_no_length_may_share_their_place() -> None:
    section = cper.UnknownSection(uuid.UUID(int=1), b"")
    part = cper.RecordSection(section=section, severity=cper.Severity.CORRECTED)
    record = cper.CperRecord(severity=cper.Severity.CORRECTED, sections=(part, part))
    assert cper.decode_cper_record(record.encode()) == record


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (replace(RECORD, length=384), "a record of 384 bytes, its parts take 385"),
        (
            replace(RECORD, sections=(replace(RECORD.sections[0], offset=100),)),
            "section 0: it lies over the header",
        ),
        (
            replace(RECORD, sections=tuple(replace(part, offset=272) for part in RECORD.sections)),
            "section 1: it lies over section 0",
        ),
    ],
)
def test_records_that_cannot_be(record: cper.CperRecord, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        record.encode()


@given(st.data())
def test_a_damaged_record_is_a_record_or_malformed(draw: st.DataObject) -> None:
    data = bytearray(GOLDEN)
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    where: int | None = 0
    again = b""
    try:
        record = cper.decode_cper_record(bytes(data))
        again = record.encode()
        cper.remarks(record)
    except MalformedRecord as error:
        where = error.offset
    assert where is not None
    assert bytes(data).startswith(again)
