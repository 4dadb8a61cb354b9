# SPDX-License-Identifier: Apache-2.0
"""The HEST: every type of source laid out by hand, hostile tables, and the bits of EINJ."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch import MalformedRecord, hest
from seabus.arch.einj import EINJ_ERROR_TYPES, einj_error_types

LINES = (Path(__file__).parent / "vectors" / "hest.hex").read_text(encoding="ascii").splitlines()
GOLDEN = bytes.fromhex("".join(line.partition("#")[0] for line in LINES))
BANK = bytes.fromhex("00000000 00040000 ffffffffffffffff 01040000 02040000 03040000")
TABLE = hest.HestTable(
    sources=(
        hest.MachineCheckSource(
            source_id=0, flags=1, global_capability=7, global_control=0xFF, banks=(BANK,)
        ),
        hest.CorrectedMachineCheckSource(
            source_id=1, flags=4, notification=hest.Notification.of(type="CMCI")
        ),
        hest.NmiSource(source_id=2, max_raw_data_length=256),
        hest.AerRootPortSource(
            source_id=3,
            flags=1,
            bus=0x13A,
            device=31,
            function=2,
            device_control=7,
            uncorrectable_mask=1,
            uncorrectable_severity=2,
            correctable_mask=3,
            advanced_capabilities=4,
            root_error_command=5,
        ),
        hest.AerDeviceSource.of(source_id=4, flags="global", enabled="disabled"),
        hest.AerBridgeSource(
            source_id=5,
            secondary_uncorrectable_mask=6,
            secondary_uncorrectable_severity=7,
            secondary_advanced_capabilities=8,
        ),
        hest.GhesSource(
            source_id=6,
            max_raw_data_length=1024,
            error_status_address=hest.GenericAddress(address=0x40000000),
            notification=hest.Notification.of(
                type="SCI",
                configuration_write_enable=0x3F,
                poll_interval=1000,
                vector=9,
                polling_threshold_value=1,
                polling_threshold_window=2,
                error_threshold_value=3,
                error_threshold_window=4,
            ),
        ),
        hest.GhesV2Source(
            source_id=7,
            max_raw_data_length=1024,
            error_status_address=hest.GenericAddress(address=0x40000008),
            notification=hest.Notification.of(type="ARMv8 SEA"),
            read_ack_register=hest.GenericAddress(address=0x40000010),
            read_ack_preserve=0xFFFF_FFFF_FFFF_FFFE,
            read_ack_write=1,
        ),
        hest.DeferredMachineCheckSource(
            source_id=8,
            notification=hest.Notification.of(type="software delegated exception (SDEI)", vector=800),
            banks=(b"\x01" + bytes(27),),
        ),
    ),
)


def patched(offset: int, data: bytes) -> bytes:
    return GOLDEN[:offset] + data + GOLDEN[offset + len(data) :]


def test_the_golden_table() -> None:
    assert hest.decode_hest(GOLDEN) == TABLE
    assert TABLE.encode().hex() == GOLDEN.hex()
    assert hest.decode_hest(GOLDEN + b"more") == TABLE
    assert TABLE.remarks() == ()


def test_every_type_is_there() -> None:
    # Types 3 to 5 are not used, those above 11 reserved.
    assert sorted(hest.SOURCE_CLASSES) == [0, 1, 2, *range(6, 12)]
    assert [source.type_number for source in TABLE.sources] == sorted(hest.SOURCE_CLASSES)


def test_notification_types() -> None:
    # ACPI 6.5 section 18.3.2.9 table 18.14.
    wanted = {3: "SCI", 4: "NMI", 8: "ARMv8 SEA", 9: "ARMv8 SEI", 10: "external interrupt - GSIV"}
    assert {number: hest.NOTIFICATION_TYPES[number] for number in wanted} == wanted
    assert hest.NOTIFICATION_TYPES[11].endswith("(SDEI)")
    assert sorted(hest.NOTIFICATION_TYPES) == list(range(12))
    assert hest.Notification(type=12).name == "reserved (12)"


def test_rows() -> None:
    rows = {f"{row.path}.{row.name}": row for row in TABLE.rows()}
    ghes = 40 + 68 + 48 + 20 + 48 + 44 + 56 + 64  # where the GHES version 2 begins
    row = rows["source[7].notification.type"]
    assert (row.offset, row.value, row.meaning) == (ghes + 32, 8, "ARMv8 SEA")
    assert rows["source[7].read_ack_register.address"].offset == ghes + 68
    assert rows["source[7].type"].meaning == "generic hardware error source version 2"
    assert rows["source[3].bus.segment"].value == 1
    assert rows["source[0].bank[0]"].value == BANK
    assert rows["hest.signature"].value == b"HEST"
    offsets = [row.offset for row in TABLE.rows()]
    assert offsets == sorted(offsets)


def test_a_wrong_checksum_is_a_remark() -> None:
    data = patched(9, b"\x00")
    table = hest.decode_hest(data)
    assert table.header.checksum == 0
    assert table.encode() == data
    assert table.remarks() == ("hest.checksum at byte 9: wrong, 0xec is right",)


def test_other_remarks() -> None:
    # Reserved byte of the root port's source, source id 7 given twice, notification 12, bytes behind.
    root = 40 + 68 + 48 + 20
    data = bytearray(GOLDEN + b"tail")
    data[4] += 4
    data[root + 4] = 1
    data[root + 2] = 7
    data[40 + 68 + 16] = 12
    table = hest.decode_hest(bytes(data))
    assert table.encode() == bytes(data)
    assert [remark.split(" at ")[0] for remark in table.remarks()] == [
        "hest.checksum",
        "source[1].notification.type",
        "source[3].reserved",
        "source[7].source_id",
        "hest.trailing",
    ]


MALFORMED = [
    (b"HES", 0, "signature"),
    (patched(0, b"BERT"), 0, "signature"),
    (patched(4, b"\xff\xff\xff\xff"), 4, "length"),
    (patched(4, b"\x27\0"), 4, "length"),
    (patched(36, b"\x0a"), 36, "error_source_count"),
    (patched(36, b"\xff\xff\xff\xff"), 36, "error_source_count"),
    (patched(40, b"\x03"), 40, "type"),
    (patched(40, b"\x0c"), 40, "type"),
    (patched(40 + 32, b"\xff"), 40 + 32, "hardware_banks"),
    (patched(40 + 68 + 17, b"\x1b"), 40 + 68 + 17, "length"),  # of a notification
    (patched(40 + 68 + 17, b"\x00"), 40 + 68 + 17, "length"),
]


@pytest.mark.parametrize(("data", "offset", "field"), MALFORMED)
def test_malformed(data: bytes, offset: int, field: str) -> None:
    with pytest.raises(MalformedRecord) as caught:
        hest.decode_hest(data)
    assert (caught.value.offset, caught.value.field) == (offset, field)


def test_every_cut_is_malformed() -> None:
    for size in range(len(GOLDEN)):
        with pytest.raises(MalformedRecord):
            hest.decode_hest(GOLDEN[:size])
        if size >= 40:  # the same with a length that fits
            with pytest.raises(MalformedRecord):
                hest.decode_hest(patched(4, size.to_bytes(4, "little"))[:size])


@given(st.data())
def test_a_damaged_table_is_a_table_or_malformed(draw: st.DataObject) -> None:
    data = bytearray(GOLDEN)
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    where: int | None = 0
    again = b""
    try:
        table = hest.decode_hest(bytes(data))
        again = table.encode()
        table.remarks()
    except MalformedRecord as error:
        where = error.offset
    assert where is not None
    assert bytes(data).startswith(again)


def test_banks_have_their_size() -> None:
    with pytest.raises(ValueError, match="a bank has 28 bytes"):
        replace(TABLE.sources[0], banks=(b"short",)).encode()  # type: ignore[call-arg]  # of a subclass


def test_einj_bits() -> None:
    # ACPI 6.5 section 18.6.4.
    assert einj_error_types(0x00000008) == ("Memory Correctable",)
    assert einj_error_types(0x00000030) == ("Memory Uncorrectable non-fatal", "Memory Uncorrectable fatal")
    assert einj_error_types(0x80000000) == ("Vendor Defined Error Types",)
    assert einj_error_types(1 << 12) == ("CXL.cache Protocol Correctable",)
    assert einj_error_types(1 << 17) == ("CXL.mem Protocol Uncorrectable fatal",)
    assert einj_error_types(1 << 18) == ("bit 18",)
    assert sorted(EINJ_ERROR_TYPES) == [*range(18), 30, 31]
