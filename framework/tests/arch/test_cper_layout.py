# SPDX-License-Identifier: Apache-2.0
"""The tables behind the structures: complete, free of clashes, and read the same way by all."""

import dataclasses
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seabus.arch import cper, hest
from seabus.arch._layout import Item, Table, flags, reserved
from seabus.arch._structure import Structure
from seabus.arch.malformed import MalformedRecord

STRUCTURES: tuple[type[Structure], ...] = (
    cper.MemorySection,
    cper.MemorySection2,
    cper.ProcessorSection,
    cper.ArmProcessorSection,
    cper.ArmErrorInfo,
    cper.ArmCacheError,
    cper.ArmTlbError,
    cper.ArmBusError,
    cper.PcieSection,
    cper.ExpressCapability,
    cper.AerCapability,
    cper.PciBusSection,
    cper.PciComponentSection,
    cper.FirmwareSection,
    cper.CxlProtocolSection,
    cper.CxlRasCapability,
    cper.CxlEventHeader,
    cper.CxlGeneralMedia,
    cper.CxlDram,
    cper.CxlMemoryModule,
    cper.CxlMemorySparing,
    hest.GenericAddress,
    hest.Notification,
    *hest.SOURCE_CLASSES.values(),
)
# Fields that the classes derive from what is inside.
DERIVED = {
    "type",
    "length",
    "section_length",
    "err_info_num",
    "context_info_num",
    "dvsec_length",
    "error_log_length",
    "hardware_banks",
}
# Bits that two fields read, one or the other being valid.
SHARED = {
    ("bank", "bank_address"),
    ("bank", "bank_group"),
    ("function", "rcrb_low"),
    ("device", "rcrb_low"),
    ("segment", "rcrb_low"),
}


@pytest.mark.parametrize("kind", STRUCTURES, ids=lambda kind: kind.__name__)
def test_every_bit_of_a_table_has_a_name(kind: type[Structure]) -> None:
    covered = 0
    for item in kind.table.items:
        covered |= item.mask
    assert covered == (1 << 8 * kind.table.size) - 1


@pytest.mark.parametrize("kind", STRUCTURES, ids=lambda kind: kind.__name__)
def test_fields_share_bits_only_where_the_specification_says_so(kind: type[Structure]) -> None:
    items = kind.table.items
    shared = {
        (one.name, other.name)
        for index, one in enumerate(items)
        for other in items[index + 1 :]
        if one.mask & other.mask
    }
    assert shared <= SHARED


@pytest.mark.parametrize("kind", STRUCTURES, ids=lambda kind: kind.__name__)
def test_every_field_is_an_attribute(kind: type[Structure]) -> None:
    attributes = {field.name for field in dataclasses.fields(kind)}
    assert set(kind.table.fields) - attributes <= DERIVED


@pytest.mark.parametrize("kind", STRUCTURES, ids=lambda kind: kind.__name__)
def test_parts_lie_in_their_field_and_apart(kind: type[Structure]) -> None:
    for item in kind.table.items:
        seen = 0
        for part in item.parts:
            assert part.high < item.bits
            assert not part.mask & seen
            seen |= part.mask


@pytest.mark.parametrize("kind", STRUCTURES, ids=lambda kind: kind.__name__)
def test_a_table_names_its_source(kind: type[Structure]) -> None:
    assert kind.table.source.startswith(
        ("UEFI 2.11 N.2.", "ACPI 6.5 section ", "CXL 3.", "PCIe 6.0 section ")
    )


TYPES = sorted(set(cper.SECTION_TYPES) | {uuid.UUID(int=1)}, key=str)


@settings(max_examples=400)
@given(st.sampled_from(TYPES), st.binary(max_size=260), st.binary(max_size=3))
def test_any_bytes_of_any_section_come_back(guid: uuid.UUID, head: bytes, seed: bytes) -> None:
    # Lengths and counts are mostly absurd in random bytes, so most of the head is made zero now and then.
    data = head if len(seed) < 2 else bytes(byte if index % 7 else 0 for index, byte in enumerate(head))
    where: int | None = 5
    section: cper.Section = cper.UnknownSection(guid, data)
    try:
        section = cper.decode_section(guid, data, 5)
    except MalformedRecord as error:
        where = error.offset
    assert where is not None
    assert 5 <= where <= 5 + len(data) + 208
    assert section.encode() == data
    if isinstance(section, cper.UnknownSection):
        return
    assert cper.decode_section(guid, section.encode()) == section
    for row in section.rows(5, "section"):
        assert 5 <= row.offset <= row.offset + row.length <= 5 + len(data)


@pytest.mark.parametrize("kind", STRUCTURES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_values_come_back_without_residue(kind: type[Structure], data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.binary(min_size=kind.table.size, max_size=kind.table.size)))
    notification = kind.table.fields.get("notification")
    if notification is not None:
        raw[notification.offset + 1] = 28  # its length
    values, _unknown, _residue, _tail = kind.table.unpack(bytes(raw))
    again = kind.table.unpack(kind.table.pack(values))
    assert again.values == values
    assert again.residue == b""


def test_words_and_flags_are_read_as_people_write_them() -> None:
    section = cper.MemorySection.of(
        error_type="Multi-bit ECC", physical_address="0x1000", error_status="overflow | 0x400", row=3
    )
    assert (section.error_type, section.physical_address, section.row) == (3, 0x1000, 3)
    assert section.error_status == 1 << 22 | 0x400
    assert cper.PcieSection.of(aer=cper.AerCapability()).aer == cper.AerCapability()
    assert hest.GenericAddress.of(space_id="system memory", address="0x10").address == 16
    assert cper.FirmwareSection.of(record_guid=str(uuid.UUID(int=7)), revision=2).record_guid == uuid.UUID(
        int=7
    )
    assert cper.CxlGeneralMedia.of(component_id="00" * 16).component_id == bytes(16)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"colour": 1}, "has no field colour; it has error_status"),
        ({"error_type": "melted"}, "'melted' is not a number, or one of: unknown, no error"),
        ({"row": "0xg"}, "row: '0xg' is not a number"),
    ],
)
def test_what_people_write_wrongly(values: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        cper.MemorySection.of(**values)


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        (cper.MemorySection(row=0x10000), "row has 16 bits: 0x10000"),
        (cper.MemorySection(row=-1), "row has 16 bits"),
        (cper.MemorySection(unknown_valid=1), "unknown_valid has bits of known fields"),
        (cper.MemorySection(unknown_valid=1 << 64), "unknown_valid has bits"),
        (cper.MemorySection(residue=bytes(81)), "residue: more than 80 bytes"),
        (cper.MemorySection(size=72), "a memory section of 72 bytes"),
        (cper.MemorySection(size=73, trailing=b"x"), "a memory section of 73 bytes, and 1 behind it"),
        (cper.ProcessorSection(cpu_brand="x" * 129), "cpu_brand: 128 bytes of ASCII"),
        (cper.ProcessorSection(cpu_brand="a\0b"), "cpu_brand: 128 bytes of ASCII without NUL"),
        (
            cper.FirmwareSection(revision=1, record_id=1, trailing=bytes(8)),
            "record_id does not exist in revision 1",
        ),
        (cper.FirmwareSection(revision=1), "16 bytes or more"),
        (cper.PciComponentSection(memory_number=1), "registers: not as many"),
    ],
)
def test_values_that_do_not_fit(section: cper.Section, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        section.encode()


def test_a_repr_tells_what_is_set() -> None:
    assert repr(cper.MemorySection(row=3)) == "MemorySection(row=3)"


def test_one_of_several_bits_declares_a_field() -> None:
    valid = Item("valid", 0, 1)
    table = Table(
        "test",
        3,
        (valid, Item("a", 1, 1, valid=(0, 1)), Item("b", 2, 1, valid=1, parts=flags("x"))),
        valid=valid,
    )
    assert table.pack({"a": 1}) == b"\x01\x01\x00"
    assert table.pack({"a": 1, "b": 2}) == b"\x02\x01\x02"
    assert table.unpack(b"\x03\x01\x02").unknown_valid == 1
    assert table.pack({"a": 1, "b": 2}, unknown_valid=1) == b"\x03\x01\x02"
    assert [row.problem for row in table.rows(b"\x03\x01\x02")] == [
        "more than one of the bits 0x3 set",
        "",
        "reserved bits 0x2 set",
    ]


def test_reserved_bits_of_a_byte() -> None:
    table = Table("test", 1, (Item("low", 0, 1, shift=0, width=4), reserved(0, 1, shift=4, width=4)))
    assert table.unpack(b"\x12") == ({"low": 2}, 0, b"\x10", 0)
    low, high = table.rows(b"\x12", base=8, path="p")
    assert (low.bits, low.text, low.offset) == ("3:0", "0x2", 8)
    assert (high.bits, high.problem) == ("7:4", "reserved, but not zero")
