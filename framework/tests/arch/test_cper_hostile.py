# SPDX-License-Identifier: Apache-2.0
"""Damaged and hostile records: one kind of error, and no work beyond what the input is long."""

import tracemalloc
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seabus.arch import cper
from seabus.arch.kernel_cper_text import linux_lines
from seabus.arch.malformed import MalformedRecord

VECTORS = Path(__file__).parent / "vectors"
GUIDS = {
    "memory": "a5bc1114-6f64-4ede-b863-3e83ed7c83b1",
    "memory_uefi_2_2": "a5bc1114-6f64-4ede-b863-3e83ed7c83b1",
    "memory_2": "61ec04fc-48e6-d813-25c9-8daa44750b12",
    "processor": "9876ccad-47b4-4bdb-b65e-16f193c4f3db",
    "arm": "e19e3d16-bc11-11e4-9caa-c2051d5d46b0",
    "pcie": "d995e954-bbc1-430f-ad91-b44dcb3c6f35",
    "pcie_rcrb": "d995e954-bbc1-430f-ad91-b44dcb3c6f35",
    "firmware_0": "81212a96-09ed-4996-9471-8d729c8e69ed",
    "firmware_2": "81212a96-09ed-4996-9471-8d729c8e69ed",
    "pci_bus": "c5753963-3b84-4095-bf78-eddad3f9c9dd",
    "pci_component": "eb5e4685-ca66-4769-b6a2-26068b001326",
    "cxl_protocol": "80b9efb4-52b5-4de3-a777-68784b771048",
    "cxl_dram": "601dcbb3-9c06-4eab-b8af-4e9bfb5c9624",
    "cxl_general_media": "fbcd0a77-c260-417f-85a9-088b1621eba6",
    "cxl_memory_module": "fe927475-dd59-4339-a586-79bab113b774",
    "cxl_switch": "77cf9271-9c02-470b-9fe4-bc7b75f2da97",
}


def vector(name: str) -> bytes:
    lines = (VECTORS / f"{name}.hex").read_text(encoding="ascii").splitlines()
    return bytes.fromhex("".join(line.partition("#")[0] for line in lines))


def block(name: str, revision: int = 0x300) -> bytes:
    """A block laid out by hand around a section: 20 + 72 (or 64) bytes before it."""
    body = vector(name)
    size = 72 if revision >= 0x300 else 64
    header = bytearray(20 + size)
    header[0:4] = (0x11).to_bytes(4, "little")
    header[12:16] = (size + len(body)).to_bytes(4, "little")
    header[20:36] = uuid.UUID(GUIDS[name]).bytes_le
    header[40:42] = revision.to_bytes(2, "little")
    header[44:48] = len(body).to_bytes(4, "little")
    return bytes(header) + body


@pytest.mark.parametrize("revision", [0x201, 0x300])
@pytest.mark.parametrize("name", GUIDS)
def test_every_cut_of_every_golden_block_is_malformed(name: str, revision: int) -> None:
    data = block(name, revision)
    assert cper.decode_status_block(data).encode() == data
    for size in range(len(data)):
        with pytest.raises(MalformedRecord) as caught:
            cper.decode_status_block(data[:size])
        assert caught.value.field
        assert caught.value.reason


@settings(max_examples=600)
@given(st.sampled_from(sorted(GUIDS)), st.data())
def test_damaged_blocks_are_blocks_or_malformed(name: str, draw: st.DataObject) -> None:
    data = bytearray(block(name))
    for _ in range(draw.draw(st.integers(1, 5))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    where: int | None = 0
    again = b""
    try:
        decoded = cper.decode_status_block(bytes(data))
        again = decoded.encode()
        for row in cper.describe(decoded):
            assert row.offset + row.length <= len(data)
        linux_lines(bytes(data))
    except MalformedRecord as error:
        where = error.offset
    assert where is not None
    assert 0 <= where <= len(data) + 208
    assert bytes(data).startswith(again)


def patched(name: str, offset: int, data: bytes) -> bytes:
    body = vector(name)
    return body[:offset] + data + body[offset + len(data) :]


# Offsets are those of the vectors; the section starts at byte 1000.
MALFORMED = [
    ("arm", patched("arm", 4, b"\xff\xff"), 1004, "err_info_num"),
    ("arm", patched("arm", 4, b"\x04"), 1004, "err_info_num"),
    ("arm", patched("arm", 8, b"\x9e"), 1008, "section_length"),
    ("arm", patched("arm", 8, b"\x27"), 1008, "section_length"),
    ("arm", patched("arm", 8, bytes(4)), 1008, "section_length"),
    ("arm", patched("arm", 8, b"\xff\xff\xff\xff"), 1008, "section_length"),
    ("arm", patched("arm", 6, b"\xff\xff"), 1006, "context_info_num"),
    ("arm", patched("arm", 6, b"\x06"), 1156, "size"),  # room for headers only
    ("arm", patched("arm", 41, b"\x00"), 1041, "length"),
    ("arm", patched("arm", 73, b"\x40"), 1073, "length"),
    ("arm", patched("arm", 108, b"\xff\xff\xff\xff"), 1108, "size"),
    ("arm", patched("arm", 124, b"\xf0\xff\xff\xff"), 1124, "size"),
    ("firmware_2", vector("firmware_2")[:31], 1000, "firmware error record reference"),
    ("pci_component", patched("pci_component", 32, b"\x02"), 1032, "memory_number"),
    ("pci_component", patched("pci_component", 36, b"\xff\xff\xff\xff"), 1032, "memory_number"),
    ("cxl_protocol", patched("cxl_protocol", 108, b"\xff\xff"), 1108, "dvsec_length"),
    ("cxl_protocol", patched("cxl_protocol", 110, b"\x59"), 1110, "error_log_length"),
    ("cxl_dram", patched("cxl_dram", 0, b"\x91"), 1000, "length"),
    ("cxl_dram", patched("cxl_dram", 0, b"\x1f"), 1000, "length"),
    ("cxl_dram", patched("cxl_dram", 0, bytes(4)), 1000, "length"),
    ("memory_uefi_2_2", patched("memory_uefi_2_2", 1, b"\xc0"), 1074, "rank"),
]


@pytest.mark.parametrize(("name", "body", "offset", "field"), MALFORMED)
def test_malformed_sections(name: str, body: bytes, offset: int, field: str) -> None:
    with pytest.raises(MalformedRecord) as caught:
        cper.decode_section(uuid.UUID(GUIDS[name]), body, 1000)
    assert (caught.value.offset, caught.value.field) == (offset, field)


def test_contexts_without_padding() -> None:
    packed = vector("arm")[:138] + vector("arm")[152:]
    packed = packed[:8] + len(packed).to_bytes(4, "little") + packed[12:]
    section = cper.ArmProcessorSection.decode(packed)
    assert [context.padded for context in section.contexts] == [True, False]  # the first needs none
    assert section.contexts[1].registers == (("S3_0_C5_C2_0", 0x96000010),)
    assert section.vendor_info == vector("arm")[152:]
    assert section.encode() == packed


def test_validation_bits_that_contradict_what_is_there() -> None:
    silent = patched("arm", 0, b"\x07")
    section = cper.ArmProcessorSection.decode(silent)
    assert (section.vendor_info, section.stated_valid) == (vector("arm")[152:], 0)
    assert section.encode() == silent
    empty = patched("cxl_protocol", 108, b"\0\0")[:116] + vector("cxl_protocol")[120:]
    protocol = cper.CxlProtocolSection.decode(empty)
    assert (protocol.dvsec, protocol.stated_valid) == (b"", 0x60)
    assert protocol.encode() == empty


def test_arm_type_bytes_by_specification() -> None:
    encoding, kind = cper.ArmTypeEncoding, cper.ArmErrorKind
    assert cper.arm_error_kinds(0x02) == (kind.CACHE,)
    assert cper.arm_error_kinds(0x02, encoding.UEFI_2_11) == (kind.TLB,)
    assert cper.arm_error_kinds(0x02, encoding.NUMBER) == (kind.BUS,)
    assert cper.arm_error_kinds(0x14) == (kind.TLB, kind.MICRO_ARCHITECTURAL)
    assert cper.arm_error_kinds(0x00, encoding.NUMBER) == (kind.CACHE,)
    assert cper.arm_error_kinds(0x21) == ()
    (remark,) = cper.remarks(cper.ArmProcessorSection(errors=(cper.ArmErrorInfo(type=1),)))
    assert remark == "error[0].type at byte 44: reserved bits 0x1 set"


def test_registers_of_a_context() -> None:
    # UEFI 2.11 appendix N.2.4.4.2: sizes of the register arrays by type.
    sizes = {0: 64, 1: 96, 2: 64, 3: 8, 4: 256, 5: 136, 6: 120, 7: 80, 9: 96}
    for number, size in sizes.items():
        context = cper.ArmContext.of(number, {})
        assert len(context.data) == size
        assert len({name for name, _value in context.registers}) == len(context.registers)
    context = cper.ArmContext.of("AArch64 EL1 context registers", {"ESR_EL1": 0x96000410, "FAR_EL1": 7})
    assert dict(context.registers)["ESR_EL1"] == 0x96000410
    assert context.data[8:24] == bytes.fromhex("10040096000000000700000000000000")
    assert cper.ArmContext(type=5, data=context.data[:20]).registers[-1] == ("ESR_EL1", 0x96000410)
    assert cper.ArmContext(type=77, data=b"x").registers == ()


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: cper.ArmContext.of("AArch64", {}), "no register context 'AArch64'"),
        (lambda: cper.ArmContext.of(5, {"X0": 1}), "AArch64 EL1 context registers have no X0"),
        (lambda: cper.ArmContext.of(4, {"X0": 1 << 64}), "a register of 64 bits"),
        (lambda: cper.ArmContext.of(8, {"ESR_EL1": 1}), "not a system register such as S3_0_C5_C2_0"),
        (lambda: cper.ArmContext.of(8, {"S1_0_C5_C2_0": 1}), "not a system register"),
        (lambda: cper.cxl_agent_address(0, 256, 0, 0), "bus has 8 bits"),
    ],
)
def test_what_cannot_be_built(build: Callable[[], object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        build()


def test_memory_grows_with_the_input_only() -> None:
    # As many contexts as a section can count, each as short as can be.
    count = 0xFFFF
    body = bytearray(40 + 16 * count)
    body[6:8] = count.to_bytes(2, "little")
    body[8:12] = len(body).to_bytes(4, "little")
    for index in range(count):
        body[40 + 16 * index + 4] = 8
    guid = uuid.UUID(GUIDS["arm"])
    tracemalloc.start()
    section = cper.decode_section(guid, bytes(body))
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(section, cper.ArmProcessorSection)
    assert len(section.contexts) == count
    assert peak < 64 << 20


def test_sections_that_overlap_are_refused_before_they_are_read() -> None:
    count = 5000
    body = 4096
    record = cper.CperRecord(
        severity=cper.Severity.CORRECTED,
        sections=(
            cper.RecordSection(
                section=cper.UnknownSection(uuid.UUID(int=1), bytes(body)),
                severity=cper.Severity.CORRECTED,
            ),
        ),
    )
    one = record.encode()
    header = one[:10] + count.to_bytes(2, "little") + one[12:20]
    start = 128 + count * 72
    descriptor = start.to_bytes(4, "little") + one[132:200]
    data = header + (start + body).to_bytes(4, "little") + one[24:128] + descriptor * count + bytes(body)
    with pytest.raises(MalformedRecord, match="it lies over section"):
        cper.decode_cper_record(data)
