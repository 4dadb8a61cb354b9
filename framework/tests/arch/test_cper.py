# SPDX-License-Identifier: Apache-2.0
"""Error records: bytes laid out by hand from the tables, round trips, and hostile input."""

import json
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch import cper
from seabus.arch.addresses import HostPhysical
from seabus.arch.malformed import MalformedRecord

FRU = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")

# ACPI 6.5 section 18.3.2.7, Generic Error Status Block.
BLOCK = (
    "11000000"  # 0 block status: uncorrected, one entry
    "00000000"  # 4 raw data offset
    "00000000"  # 8 raw data length
    "98000000"  # 12 data length: 72 + 80 = 152
    "00000000"  # 16 severity: recoverable
)
# ACPI 6.5 section 18.3.2.7.1, Generic Error Data Entry.
ENTRY = (
    "1411bca5646fde4eb8633e83ed7c83b1"  # 0 section type, first three parts little-endian
    "00000000"  # 16 severity
    "0003"  # 20 revision
    "03"  # 22 validation: FRU id, FRU text
    "00"  # 23 flags
    "50000000"  # 24 length of the section: 80
    "33221100554477668899aabbccddeeff"  # 28 FRU id
    "73656162757300000000000000000000"  # 44 FRU text: "seabus"
    "00000000"
    "0000000000000000"  # 64 timestamp
)
# UEFI 2.11 appendix N.2.5, Memory Error Record.
MEMORY = (
    "0740000000000000"  # 0 validation: error status, address, mask, error type
    "0000000000000000"  # 8 error status
    "00f0230101000000"  # 16 physical address
    "00f0ffffffffffff"  # 24 physical address mask
    "0000"  # 32 node
    "0000"  # 34 card
    "0000"  # 36 module
    "0000"  # 38 bank
    "0000"  # 40 device
    "0000"  # 42 row
    "0000"  # 44 column
    "0000"  # 46 bit position
    "0000000000000000"  # 48 requestor
    "0000000000000000"  # 56 responder
    "0000000000000000"  # 64 target
    "03"  # 72 error type: multi-bit ECC
    "00"  # 73 extended
    "0000"  # 74 rank
    "0000"  # 76 card handle
    "0000"  # 78 module handle
)
GOLDEN = bytes.fromhex(BLOCK + ENTRY + MEMORY)


def record(severity: cper.Severity = cper.Severity.RECOVERABLE) -> cper.StatusBlock:
    address = HostPhysical(0x10123F000)
    return cper.memory_error_record(address, severity=severity, fru_id=FRU, fru_text="seabus")


def patched(offset: int, data: bytes) -> bytes:
    return GOLDEN[:offset] + data + GOLDEN[offset + len(data) :]


def test_the_record_that_was_measured_to_work() -> None:
    assert record().encode() == GOLDEN


def test_decoding_the_golden_record() -> None:
    block = cper.decode_status_block(GOLDEN)
    assert block.block_status == 0x11
    assert block.severity is cper.Severity.RECOVERABLE
    (entry,) = block.entries
    assert (entry.fru_id, entry.fru_text, entry.timestamp) == (FRU, "seabus", None)
    section = entry.section
    assert isinstance(section, cper.MemorySection)
    assert section.physical_address == 0x10123F000
    assert section.physical_address_mask == 0xFFFF_FFFF_FFFF_F000
    assert section.error_type == cper.MemoryErrorType.MULTI_BIT_ECC
    assert section.error_type_name == "multi-bit ECC"
    assert section.node is None


def test_a_corrected_error() -> None:
    block = record(cper.Severity.CORRECTED)
    data = block.encode()
    assert block.block_status == 0x12
    assert data[:4] == bytes.fromhex("12000000")
    assert data[16:20] == data[20 + 16 : 20 + 20] == bytes.fromhex("02000000")
    assert data[20 + 72 + 72] == 2  # single-bit ECC


def test_block_status_counts_entries() -> None:
    bad, corrected = record().entries[0], record(cper.Severity.CORRECTED).entries[0]
    for entries, status in (
        ((bad, bad), 0x25),
        ((corrected, corrected), 0x2A),
        ((bad, corrected), 0x23),
        ((replace(bad, severity=cper.Severity.INFORMATIONAL),), 0x10),
        ((), 0x00),
    ):
        assert replace(record(), entries=entries).block_status == status


def test_every_field_of_a_memory_section_has_its_place() -> None:
    # N.2.5: each field holds its own validation bit number (plus one), so a shifted one shows. Bit 18
    # declares the row with its extension, and then bit 8 is 0.
    section = cper.MemorySection(
        error_status=0x0101010101010101,
        physical_address=0x0202020202020202,
        physical_address_mask=0x0303030303030303,
        node=0x0404,
        card=0x0505,
        module=0x0606,
        bank=0x0707,
        device=0x0808,
        row=0x0909,
        column=0x0A0A,
        bit_position=0x0B0B,
        requestor_id=0x0C0C0C0C0C0C0C0C,
        responder_id=0x0D0D0D0D0D0D0D0D,
        target_id=0x0E0E0E0E0E0E0E0E,
        error_type=0x0F,
        rank=0x1010,
        card_handle=0x1111,
        module_handle=0x1212,
        extended_row=0b10,
        chip_id=0b101,
    )
    wanted = (
        "fffe270000000000"  # bits 0..7, 9..17, 18 extended row, 21 chip id; not 8, 19 and 20
        "0101010101010101"
        "0202020202020202"
        "0303030303030303"
        "04040505060607070808090910100b0b"
        "0c0c0c0c0c0c0c0c"
        "0d0d0d0d0d0d0d0d"
        "0e0e0e0e0e0e0e0e"
        "0fa2101011111212"  # extended: chip id 101, reserved 000, row 10
    ).replace("10100b0b", "0a0a0b0b")
    assert section.encode().hex() == wanted
    assert cper.MemorySection.decode(section.encode()) == section


def test_bank_and_its_halves_share_their_bytes() -> None:
    section = cper.MemorySection(bank_group=0x12, bank_address=0x34)
    data = section.encode()
    assert data[38:40] == bytes.fromhex("3412")
    assert data[:8] == bytes.fromhex("0000180000000000")
    assert cper.MemorySection(bank=0x1234, bank_group=0x12).encode()[38:40] == data[38:40]
    with pytest.raises(ValueError, match="bank_group contradicts"):
        cper.MemorySection(bank=0x1234, bank_group=0x13).encode()


def test_a_row_that_both_bits_declare() -> None:
    both = bytes.fromhex("0001040000000000") + bytes(34) + b"\x05" + bytes(37)
    section = cper.MemorySection.decode(both)
    assert (section.row, section.extended_row, section.full_row, section.unknown_valid) == (5, 0, 5, 0x100)
    assert section.encode() == both
    assert cper.remarks(section) == ("validation_bits at byte 0: more than one of the bits 0x40100 set",)


def test_a_section_of_uefi_2_2() -> None:
    section = cper.MemorySection.decode(bytes.fromhex(MEMORY)[:73])
    assert replace(section, size=80) == cper.decode_status_block(GOLDEN).entries[0].section
    assert section.encode() == bytes.fromhex(MEMORY)[:73]
    with pytest.raises(ValueError, match="rank lies beyond the 73 bytes"):
        replace(section, rank=1).encode()
    claims_rank = bytes.fromhex("0080000000000000") + bytes(65)
    with pytest.raises(MalformedRecord) as caught:
        cper.MemorySection.decode(claims_rank, 92)
    assert (caught.value.offset, caught.value.field) == (92 + 74, "rank")


def test_a_section_longer_than_its_specification_keeps_the_rest() -> None:
    section = cper.MemorySection.decode(bytes.fromhex(MEMORY) + b"more")
    assert section.trailing == b"more"
    assert section.encode() == bytes.fromhex(MEMORY) + b"more"


def test_an_entry_of_acpi_4() -> None:
    old = bytes.fromhex(ENTRY)[:64]
    old = old[:20] + bytes.fromhex("0102") + old[22:]
    block = bytes.fromhex(BLOCK.replace("98000000", "90000000")) + old + bytes.fromhex(MEMORY)
    (entry,) = cper.decode_status_block(block).entries
    assert (entry.revision, entry.fru_text) == (0x201, "seabus")
    assert cper.decode_status_block(block).encode() == block
    time = cper.Timestamp(year=2026, month=1, day=1, hour=0, minute=0, second=0)
    with pytest.raises(ValueError, match="no timestamp"):
        replace(entry, timestamp=time).encode()


def test_a_timestamp() -> None:
    # Second, minute, hour, precise, day, month, year, century: BCD.
    data = bytes.fromhex("5948230131122620")
    time = cper.Timestamp.decode(data)
    assert str(time) == "2026-12-31 23:48:59"
    assert time.precise
    assert time.encode() == data
    assert cper.Timestamp.parse("2026-12-31 23:48:59 precise") == time
    with pytest.raises(ValueError, match="not a time such as"):
        cper.Timestamp.parse("yesterday")


def test_an_unknown_section_is_kept() -> None:
    guid = uuid.UUID("dc3ea0b0-a144-4797-b95b-53fa242b6e1d")
    section = cper.UnknownSection(guid, b"\x01\x02\x03")
    block = replace(record(), entries=(replace(record().entries[0], section=section),))
    assert cper.decode_status_block(block.encode()) == block
    assert section.name == "processor, IA32/X64"
    assert cper.UnknownSection(uuid.UUID(int=5), b"").name == str(uuid.UUID(int=5))


def test_a_block_that_states_another_status_says_so() -> None:
    block = cper.decode_status_block(patched(0, bytes.fromhex("01000000")))
    assert block.block_status == block.stated_status == 0x01
    assert block.encode()[:4] == bytes.fromhex("01000000")
    assert cper.remarks(block) == ("block.block_status at byte 0: the entries call for 0x11",)


def test_raw_data_follows_the_entries() -> None:
    block = replace(record(), raw_data=b"vendor")
    data = block.encode()
    assert data[4:12] == bytes.fromhex("ac00000006000000")  # at 172, 6 bytes
    assert cper.decode_status_block(data + bytes(4096)) == block


def test_raw_data_after_a_gap() -> None:
    data = patched(4, bytes.fromhex("b000000006000000")) + b"gap.vendor"
    block = cper.decode_status_block(data)
    assert (block.gap, block.raw_data) == (b"gap.", b"vendor")
    assert block.encode() == data
    with pytest.raises(ValueError, match="entries and gap end at 176"):
        replace(block, raw_data_offset=175).encode()


def test_an_offset_without_raw_data_is_kept() -> None:
    data = patched(4, bytes.fromhex("ffffffff"))
    assert cper.decode_status_block(data).raw_data_offset == 0xFFFF_FFFF
    assert cper.decode_status_block(data).encode() == data


def test_bytes_without_a_valid_field_are_kept_and_reported() -> None:
    # Node (not declared valid) is 7, reserved bits of "extended" are set, validation bit 40 is set, and
    # something follows the NUL of the FRU text.
    data = bytearray(GOLDEN)
    data[92 + 32] = 7
    data[92 + 73] = 0b11100
    data[92 + 5] = 1
    data[64 + 10] = 0xAA
    block = cper.decode_status_block(bytes(data))
    (entry,) = block.entries
    section = entry.section
    assert isinstance(section, cper.MemorySection)
    assert (section.node, section.unknown_valid, entry.fru_text) == (None, 1 << 40, "seabus")
    assert section.residue == bytes(32) + b"\x07" + bytes(40) + b"\x1c"
    assert block.encode() == bytes(data)
    assert cper.remarks(block) == (
        "entry[0].section.validation_bits at byte 92: undefined bits 0x10000000000 set",
        "entry[0].section.node at byte 124: not declared valid, but not zero",
        "entry[0].section.reserved at byte 165: reserved, but not zero",
    )


def test_fields_may_be_replaced_in_what_was_read() -> None:
    block = cper.decode_status_block(patched(92 + 32, b"\x07"))
    (entry,) = block.entries
    assert isinstance(entry.section, cper.MemorySection)
    entry = replace(entry, section=replace(entry.section, node=9, error_type=2))
    data = replace(block, entries=(entry,)).encode()
    assert (data[92 + 32], data[92 + 72]) == (9, 2)
    assert data[92:94] == bytes.fromhex("0f40")


def test_text_that_is_not_ascii_survives() -> None:
    data = patched(64, b"h\xf6her\0")
    block = cper.decode_status_block(data)
    assert block.entries[0].fru_text == "h\udcf6her"
    assert block.encode() == data
    row = next(row for row in cper.describe(block) if row.name == "fru_text")
    assert row.text == r"h\udcf6her"


def test_rows_of_the_golden_record() -> None:
    rows = {f"{row.path}.{row.name}": row for row in cper.describe(cper.decode_status_block(GOLDEN))}
    row = rows["entry[0].section.physical_address"]
    assert (row.offset, row.length, row.value, row.bits, row.valid) == (108, 8, 0x10123F000, "", True)
    assert row.source == "UEFI 2.11 N.2.5, Memory Error Record"
    assert str(row) == "entry[0].section.physical_address 0x000000010123f000 where the error occurred"
    count = rows["block.block_status.entry_count"]
    assert (count.value, count.bits, count.offset) == (1, "13:4", 0)
    assert rows["entry[0].section_type"].meaning == "platform memory"
    assert rows["entry[0].error_severity"].meaning == "recoverable"
    assert not rows["entry[0].section.rank"].valid
    assert rows["entry[0].section.error_type"].as_dict() == {
        "path": "entry[0].section",
        "name": "error_type",
        "offset": 164,
        "length": 1,
        "bits": "",
        "value": 3,
        "meaning": "multi-bit ECC",
        "source": "UEFI 2.11 N.2.5, Memory Error Record",
        "valid": True,
        "problem": "",
    }
    offsets = [row.offset for row in cper.describe(cper.decode_status_block(GOLDEN))]
    assert offsets == sorted(offsets)


def test_text_that_does_not_fit() -> None:
    for text in ("a" * 21, "höher"):
        block = replace(record(), entries=(replace(record().entries[0], fru_text=text),))
        with pytest.raises(ValueError, match=r"fru_text|ascii"):
            block.encode()


MALFORMED = [
    (GOLDEN[:3], 0, "block_status"),
    (GOLDEN[:19], 16, "error_severity"),
    (GOLDEN[:-1], 12, "data_length"),
    (patched(16, b"\x04"), 16, "error_severity"),
    (patched(12, b"\x99"), 12, "data_length"),  # one byte more than there is
    (patched(12, b"\x50"), 44, "error_data_length"),  # the entry overruns the data length
    (patched(12, b"\x05"), 40, "revision"),  # no room for an entry
    (patched(36, b"\x09"), 36, "error_severity"),
    (patched(44, b"\x51"), 44, "error_data_length"),
    (patched(44, b"\xff\xff\xff\xff"), 44, "error_data_length"),
    (patched(44, b"\x48"), 92, "memory error section"),  # 72 bytes of section
    (patched(42, b"\x07")[:84] + b"\xaa" + GOLDEN[85:], 84, "timestamp"),
    (patched(8, b"\x01"), 4, "raw_data_offset"),
    (patched(4, b"\xac\0\0\0\x01"), 8, "raw_data_length"),
]


@pytest.mark.parametrize(("data", "offset", "field"), MALFORMED)
def test_malformed(data: bytes, offset: int, field: str) -> None:
    with pytest.raises(MalformedRecord) as caught:
        cper.decode_status_block(data)
    assert (caught.value.offset, caught.value.field) == (offset, field)
    assert str(caught.value).startswith(f"{field} at byte {offset}: ")


def test_entries_are_capped() -> None:
    entry = bytes.fromhex("00" * 64)
    header = bytearray(20)
    header[12:16] = (64 * 1024).to_bytes(4, "little")
    with pytest.raises(MalformedRecord, match="more than 1023 entries"):
        cper.decode_status_block(bytes(header) + entry * 1024)


# --- Properties -----------------------------------------------------------------------------------


def uint(bits: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(0, 2**bits - 1)


severities = st.sampled_from(cper.Severity)
rows = st.none() | st.integers(0, 2**16 - 1).map(lambda row: {"row": row})
extended_rows = st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 3)).map(
    lambda row: {"row": row[0], "extended_row": row[1]}
)
memory_sections = st.builds(
    lambda row, **fields: cper.MemorySection(**fields, **(row or {})),
    row=rows | extended_rows,
    error_status=uint(64),
    physical_address=uint(64),
    physical_address_mask=uint(64),
    node=uint(16),
    card=uint(16),
    module=uint(16),
    device=uint(16),
    column=uint(16),
    bit_position=uint(16),
    requestor_id=uint(64),
    responder_id=uint(64),
    target_id=uint(64),
    error_type=uint(8),
    rank=uint(16),
    card_handle=uint(16),
    module_handle=uint(16),
    bank_group=uint(8),
    bank_address=uint(8),
    chip_id=uint(3),
    unknown_valid=st.integers(0, 2**42 - 1).map(lambda bits: bits << 22),
    trailing=st.binary(max_size=8),
)
unknown_sections = st.builds(
    cper.UnknownSection,
    st.uuids().filter(lambda guid: guid not in cper.SECTION_TYPES),
    st.binary(max_size=100),
)
timestamps = st.builds(
    cper.Timestamp,
    year=st.integers(0, 9999),
    month=st.integers(1, 12),
    day=st.integers(1, 31),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    second=st.integers(0, 60),
    precise=st.booleans(),
)
entries = st.builds(
    cper.DataEntry,
    section=memory_sections | unknown_sections,
    severity=severities,
    fru_id=st.none() | st.uuids(),
    fru_text=st.none() | st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=20),
    timestamp=st.none() | timestamps,
    flags=st.integers(0, 255),
    revision=st.integers(0x300, 0xFFFF),
    unknown_valid=st.integers(0, 31).map(lambda bits: bits << 3),
)
blocks = st.builds(
    cper.StatusBlock,
    severity=severities,
    entries=st.lists(entries, max_size=4).map(tuple),
    raw_data=st.binary(max_size=32),
)


@given(blocks)
def test_rows_of_any_block_lie_in_it(block: cper.StatusBlock) -> None:
    size = len(block.encode())
    for row in cper.describe(block):
        assert 0 <= row.offset < row.offset + row.length <= size
        assert row.source
        json.dumps(row.as_dict())


@given(blocks, st.binary(max_size=16))
def test_blocks_survive_encode_and_decode(block: cper.StatusBlock, after: bytes) -> None:
    assert cper.decode_status_block(block.encode() + after) == block


@given(st.binary(max_size=400))
def test_any_bytes_are_a_block_or_malformed(data: bytes) -> None:
    _decode_or_refuse(data)


@given(blocks, st.data())
def test_damaged_blocks_are_a_block_or_malformed(block: cper.StatusBlock, draw: st.DataObject) -> None:
    data = bytearray(block.encode())
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    _decode_or_refuse(bytes(data[: draw.draw(st.integers(0, len(data)))]))


def _decode_or_refuse(data: bytes) -> None:
    where: int | None = 0
    again = b""
    try:
        block = cper.decode_status_block(data)
        again = block.encode()
        cper.remarks(block)
    except MalformedRecord as error:
        where = error.offset
    assert where is not None
    assert 0 <= where <= len(data) + 80
    assert data.startswith(again)
