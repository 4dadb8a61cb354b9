# SPDX-License-Identifier: Apache-2.0
"""The lines Linux prints for a block, against its format strings and against a log of a real kernel."""

import re
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from seabus.arch import cper
from seabus.arch.kernel_cper_text import (
    KERNEL_DIFFERENCES,
    KERNEL_FORMATS,
    linux_ghes_warnings,
    linux_lines,
)
from seabus.arch.kernel_text import GhesTextParser
from seabus.arch.malformed import MalformedRecord

VECTORS = Path(__file__).parent / "vectors"


def vector(name: str) -> bytes:
    lines = (VECTORS / f"{name}.hex").read_text(encoding="ascii").splitlines()
    return bytes.fromhex("".join(line.partition("#")[0] for line in lines))


def block(
    guid: str,
    body: bytes,
    severity: cper.Severity = cper.Severity.RECOVERABLE,
) -> cper.StatusBlock:
    section = cper.UnknownSection(uuid.UUID(guid), body)
    entry = cper.DataEntry(section=section, severity=severity)
    return cper.StatusBlock(severity=severity, entries=(entry,))


MEMORY = "a5bc1114-6f64-4ede-b863-3e83ed7c83b1"
ARM = "e19e3d16-bc11-11e4-9caa-c2051d5d46b0"
PCIE = "d995e954-bbc1-430f-ad91-b44dcb3c6f35"
PROCESSOR = "9876ccad-47b4-4bdb-b65e-16f193c4f3db"
FIRMWARE = "81212a96-09ed-4996-9471-8d729c8e69ed"
CXL_PROTOCOL = "80b9efb4-52b5-4de3-a777-68784b771048"

# Format strings of Linux 7.3.4 drivers/firmware/efi/cper.c, filled in by hand from vectors/*.hex. Each
# line begins with "{1}[Hardware Error]: ", and the section's lines with two more spaces.
BODIES = {
    "memory": (
        MEMORY,
        """\
section_type: memory error
 error_status: Storage error in DRAM memory (0x0000000000450400)
physical_address: 0x0000000012345678
physical_address_mask: 0xffffffffffffffc0
node:1 card:2 module:3 rank:12 device:5 row:196607 column:7 bit_position:8 requestor_id:0x0000000000000009 \
responder_id:0x000000000000000a target_id:0x000000000000000b chip_id:5\x20
error_type: 3, multi-bit ECC
DIMM location: not present. DMI handle: 0x000e\x20
""",
    ),
    "memory_uefi_2_2": (
        MEMORY,
        """\
section_type: memory error
physical_address: 0x000000010123f000
error_type: 2, single-bit ECC
""",
    ),
    "processor": (
        PROCESSOR,
        """\
section_type: general processor error
processor_type: 2, ARM
processor_isa: 4, ARM A64
error_type: 0x05
cache error, bus error
operation: 1, data read
flags: 0x0b
restartable, precise IP, corrected
level: 2
version_info: 0x00000000410fd4f0
processor_id: 0x0000000081000001
target_address: 0x0000000012345678
requestor_id: 0x0000000000000003
responder_id: 0x0000000000000004
IP: 0x0000800000001000
""",
    ),
    "arm": (
        ARM,
        """\
section_type: ARM processor error
MIDR: 0x00000000410fd4f0
Multiprocessor Affinity Register (MPIDR): 0x0000000081000101
error affinity level: 1
running state: 0x1
Power State Coordination Interface state: 0
Error info structure 0:
num errors: 3
 first error captured
 last error captured
 overflow occurred, error info is incomplete
 error_type: 0x02: cache error
 error_info: 0x000000001c8d007f
  transaction type: Data Access
  cache error, operation type: Data read
  cache level: 2
  processor context not corrupted
  the error has been corrected
  PC is precise
  Program execution can be restarted reliably at the PC associated with the error.
 virtual fault address: 0x0000800012345678
 physical fault address: 0x000000010123f000
Error info structure 1:
num errors: 1
 error_type: 0x08: bus error
 error_info: 0x00000fffa2d20fff
  transaction type: Generic
  bus error, operation type: Data write
  affinity level at which the bus error occurred: 3
  processor context corrupted
  the error has not been corrected
  PC is imprecise
  participation type: Local processor responded to request
  request timed out
  address space: Device Memory Access
  memory access attributes:0x1ff
  access mode: normal
Context info structure 0:
 register context type: AArch32 secure context registers
 00000000: 00c53038 000001d3
Context info structure 1:
 register context type: Misc. system register structure
 00000000: 90 42 10 00 00 96 00 00 00 00
Vendor specific error info has 5 bytes:
 00000000: 13 7b 04 05 01                                   .{...
""",
    ),
    "pcie": (
        PCIE,
        """\
section_type: PCIe error
port_type: 4, root port
version: 4.0
command: 0x0547, status: 0x0010
device_id: 0001:3a:1f.2
slot: 9
secondary_bus: 0x3b
vendor_id: 0x1234, device_id: 0x5678
class_code: 060400
serial number: 0x89abcdef, 0x1234567
bridge: secondary_status: 0x2000, control: 0x0003
aer_cor_status: 0x00002001, aer_cor_mask: 0x00002000
aer_uncor_status: 0x00045000, aer_uncor_mask: 0x00000000
aer_uncor_severity: 0x00462030
TLP Header: 40000001 0100000f 00001000 deadbeef
""",
    ),
    "firmware_0": (
        FIRMWARE,
        """\
section_type: Firmware Error Record Reference
Firmware Error Record Type: IPF SAL Error Record
Revision: 0
Record Identifier: deadbeef
00000000: 68 65 6c 6c 6f                                   hello
""",
    ),
    "firmware_1": (
        FIRMWARE,
        """\
section_type: Firmware Error Record Reference
Firmware Error Record Type: SOC Firmware Error Record Type1 (Legacy CrashLog Support)
Revision: 1
00000000: 63 72 61 73 68 21 21 21 21                       crash!!!!
""",
    ),
    "firmware_2": (
        FIRMWARE,
        """\
section_type: Firmware Error Record Reference
Firmware Error Record Type: SOC Firmware Error Record Type2
Revision: 2
Record Identifier: 00112233-4455-6677-8899-aabbccddeeff
""",
    ),
    "cxl_protocol": (
        CXL_PROTOCOL,
        """\
section_type: CXL Protocol Error
 agent_type: 2, CXL Device
 agent_address: 0003:1f:01.2
 slot: 9
 vendor_id: 0x1234, device_id: 0x5678
 sub_vendor_id: 0x9abc, sub_device_id: 0xdef0
 class_code: 0502
 lower_dw: 0x89abcdef, upper_dw: 0x01234567
00000000: 00420010 00000000 00050000 00000000
00000010: 00000000 00000000 00000000 00000000
00000020: 00000000 00000000 00000000 00000000
00000030: 00000000 00000000 00000000
 DVSEC length: 0x0004
 CXL DVSEC:
00000000: 14010023
 Error log length: 0x0058
 CXL Error Log:
 cxl_ras_uncor_status: 0x00004480
 cxl_ras_uncor_mask: 0x00000000
 cxl_ras_uncor_severity: 0x000000ff
 cxl_ras_cor_status: 0x00000040
 cxl_ras_cor_mask: 0x00000000
 cap_control: 0x00000007
 Header Log Registers:
00000000: 00000001 00000002 00000003 00000004
00000010: 00000000 00000000 00000000 00000000
00000020: 00000000 00000000 00000000 00000000
00000030: 00000000 00000000 00000000 00000000
""",
    ),
    "cxl_dram": ("601dcbb3-9c06-4eab-b8af-4e9bfb5c9624", "section_type: CXL DRAM Event\n"),
    "pci_bus": (
        "c5753963-3b84-4095-bf78-eddad3f9c9dd",
        """\
section type: unknown, c5753963-3b84-4095-bf78-eddad3f9c9dd
section length: 0x48
00000000: 000001ff 00000000 00011000 00000000  ................
00000010: 013a0006 00000000 12345678 00000000  ..:.....xV4.....
00000020: deadbeef 00000000 00000006 01000000  ................
00000030: 00000007 00000000 00000008 00000000  ................
00000040: 00000009 00000000                    ........
""",
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_lines_of_a_section(name: str) -> None:
    guid, text = BODIES[name]
    lines = linux_lines(block(guid, vector(name)), source=1)
    assert lines[:3] == [
        "{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 1",
        "{1}[Hardware Error]: event severity: recoverable",
        "{1}[Hardware Error]:  Error 0, type: recoverable",
    ]
    assert lines[3:] == [f"{{1}}[Hardware Error]:   {line}" for line in text.splitlines()]


# What `scripts/ghes_inject.py arm --mpidr 0x444 --running --affinity 1 --error-info 12345678
# --vendor 0x13,123,4,5,1 --ctx-array 0,1,2,3,4,5 -t cache tlb bus micro-arch tlb,micro-arch` of QEMU made
# a Linux guest print, from the documentation at the head of QEMU scripts/arm_processor_error.py. (Its
# kernel did not pad contexts yet, so the context and what follows it are left out.)
CAPTURED = """\
  Error info structure 0:
  num errors: 2
   error_type: 0x02: cache error
   error_info: 0x0000000000bc614e
    cache level: 2
    processor context not corrupted
  Error info structure 1:
  num errors: 2
   error_type: 0x04: TLB error
   error_info: 0x000000000054007f
    transaction type: Instruction
    TLB error, operation type: Instruction fetch
    TLB level: 1
    processor context not corrupted
    the error has not been corrected
    PC is imprecise
  Error info structure 2:
  num errors: 2
   error_type: 0x08: bus error
   error_info: 0x00000080d6460fff
    transaction type: Generic
    bus error, operation type: Generic read (type of instruction or data request cannot be determined)
    affinity level at which the bus error occurred: 1
    processor context corrupted
    the error has been corrected
    PC is imprecise
    Program execution can be restarted reliably at the PC associated with the error.
    participation type: Local processor observed
    request timed out
    address space: External Memory Access
    memory access attributes:0x20
    access mode: secure
  Error info structure 3:
  num errors: 2
   error_type: 0x10: micro-architectural error
   error_info: 0x0000000078da03ff
  Error info structure 4:
  num errors: 2
   error_type: 0x14: TLB error|micro-architectural error
"""
CAPTURED_WARNINGS = """\
[Firmware Warn]: GHES: Unhandled processor error type 0x02: cache error
[Firmware Warn]: GHES: Unhandled processor error type 0x04: TLB error
[Firmware Warn]: GHES: Unhandled processor error type 0x08: bus error
[Firmware Warn]: GHES: Unhandled processor error type 0x10: micro-architectural error
[Firmware Warn]: GHES: Unhandled processor error type 0x14: TLB error|micro-architectural error
"""
WORDS = (
    ("cache error", 12345678),
    ("TLB error", 0x54007F),
    ("bus error", 0x80D6460FFF),
    ("micro-architectural error", 0x78DA03FF),
)


def captured() -> cper.StatusBlock:
    errors = [cper.ArmErrorInfo.of(type=kind, multiple_error=1, error_info=word) for kind, word in WORDS]
    errors.append(cper.ArmErrorInfo.of(type="TLB error|micro-architectural error", multiple_error=1))
    section = cper.ArmProcessorSection(running_state=1, psci_state=0, errors=tuple(errors))
    entry = cper.DataEntry(section=section, severity=cper.Severity.RECOVERABLE)
    return cper.StatusBlock(severity=cper.Severity.RECOVERABLE, entries=(entry,))


def test_lines_of_a_real_kernel() -> None:
    lines = linux_lines(captured(), prefix="[Hardware Error]: ")
    start = lines.index("[Hardware Error]:   Error info structure 0:")
    assert lines[start:] == [f"[Hardware Error]: {line}" for line in CAPTURED.splitlines()]


def test_warnings_of_a_real_kernel() -> None:
    assert linux_ghes_warnings(captured()) == CAPTURED_WARNINGS.splitlines()
    assert linux_ghes_warnings(replace(captured(), severity=cper.Severity.FATAL)) == []


def test_a_cache_error_with_an_address_is_handled() -> None:
    warnings = linux_ghes_warnings(block(ARM, vector("arm")))
    assert warnings == ["[Firmware Warn]: GHES: Unhandled processor error type 0x08: bus error"]
    assert linux_ghes_warnings(block(ARM, bytes(39)))[0] == "[Firmware Bug]: arm error length: 39"


def test_what_precedes_a_section() -> None:
    fru_id = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
    time = cper.Timestamp.parse("2026-12-31 23:48:59 precise")
    plain = block("00000000-0000-0000-0000-000000000001", b"", cper.Severity.CORRECTED)
    (entry,) = plain.entries
    first = replace(entry, fru_id=fru_id, fru_text="DIMM A1", timestamp=time)
    second = replace(entry, severity=cper.Severity.INFORMATIONAL)
    third = replace(first, timestamp=replace(time, precise=False), severity=cper.Severity.FATAL)
    lines = linux_lines(replace(plain, entries=(first, second, third)), prefix="> ")
    assert lines == [
        "> It has been corrected by h/w and requires no further action",
        "> event severity: corrected",
        ">  precise tstamp: 2026-12-31 23:48:59",
        ">  Error 0, type: corrected",
        ">  fru_id: 00112233-4455-6677-8899-aabbccddeeff",
        ">  fru_text: DIMM A1",
        ">   section type: unknown, 00000000-0000-0000-0000-000000000001",
        ">   section length: 0x0",
        ">  Error 1, type: info",
        ">   section type: unknown, 00000000-0000-0000-0000-000000000001",
        ">   section length: 0x0",
        ">  imprecise tstamp: 2026-12-31 23:48:59",
        ">  Error 2, type: fatal",
        ">  fru_id: 00112233-4455-6677-8899-aabbccddeeff",
        ">  fru_text: DIMM A1",
        ">   section type: unknown, 00000000-0000-0000-0000-000000000001",
        ">   section length: 0x0",
    ]


def test_all_bits_of_a_processor_error_take_two_lines() -> None:
    # cper_print_bits() wraps at 80 columns, level and prefix included.
    body = b"\x04" + bytes(9) + b"\x0f" + bytes(181)
    lines = linux_lines(block(PROCESSOR, body))
    assert lines[-2:] == [
        "{1}[Hardware Error]:   cache error, TLB error, bus error",
        "{1}[Hardware Error]:   micro-architectural error",
    ]


@pytest.mark.parametrize(
    ("guid", "body", "lines"),
    [
        (
            MEMORY,
            bytes(72),
            ["  section_type: memory error", "[Firmware Warn]: error section length is too small"],
        ),
        (
            MEMORY,
            b"\0\x80" + bytes(71),
            [
                "  section_type: memory error",
                "[Firmware Warn]: valid bits set for fields beyond structure",
            ],
        ),
        (
            FIRMWARE,
            b"\x03\x02" + bytes(14),
            [
                "  section_type: Firmware Error Record Reference",
                "  Firmware Error Record Type: unknown",
                "  Revision: 2",
                "  Record Identifier: 00000000-0000-0000-0000-000000000000",
                "  error section length is too small: offset=32, length=16",
            ],
        ),
        (
            ARM,
            bytes(4) + b"\x02\0" + bytes(2) + b"\x28" + bytes(31),
            [
                "  section_type: ARM processor error",
                "  MIDR: 0x0000000000000000",
                "  section length: 40, CPER size: 40",
                "  section length is too small",
                "  firmware-generated error record is incorrect",
                "  ERR_INFO_NUM is 2",
            ],
        ),
        (
            ARM,
            bytes(8) + b"\x29" + bytes(31),
            [
                "  section_type: ARM processor error",
                "  MIDR: 0x0000000000000000",
                "  section length: 41, CPER size: 40",
                "  section length is too big",
                "  firmware-generated error record is incorrect",
                "  ERR_INFO_NUM is 0",
            ],
        ),
        (
            ARM,
            bytes(6) + b"\x01\0\x38" + bytes(31) + bytes(2) + b"\x09" + bytes(13),
            [
                "  section_type: ARM processor error",
                "  MIDR: 0x0000000000000000",
                "  Context info structure 0:",
                "   Invalid context type: 9 (max: 8)",
            ],
        ),
    ],
)
def test_what_the_kernel_says_of_bad_sections(guid: str, body: bytes, lines: list[str]) -> None:
    printed = linux_lines(block(guid, body))
    prefix = "{1}[Hardware Error]: "
    wanted = [line if line.startswith("[Firmware") else prefix + line for line in lines]
    assert printed[2:] == wanted


def test_a_dimm_that_dmi_knows() -> None:
    lines = linux_lines(block(MEMORY, vector("memory")), dimms={14: ("BANK 0", "DIMM A1")})
    assert lines[-1] == "{1}[Hardware Error]:   DIMM location: BANK 0 DIMM A1 "


def test_the_kernel_refuses_a_block() -> None:
    data = block(MEMORY, vector("memory")).encode()
    for bad in (data[:19], data[:-1], data[:44] + b"\xff" + data[45:]):
        with pytest.raises(MalformedRecord):
            linux_lines(bad)
    assert linux_lines(data) == linux_lines(block(MEMORY, vector("memory")))


def test_our_own_parser_reads_the_lines() -> None:
    parser = GhesTextParser()
    for line in linux_lines(block(MEMORY, vector("memory")), source=7):
        parser.feed(line)
    (record,) = parser.records.values()
    (section,) = record.sections
    assert (record.source, record.severity) == (7, "recoverable")
    assert (section.physical_address, section.error_type) == (0x12345678, 3)
    assert section.fields["row"] == str(0x2FFFF)


CLASSES = {
    "memory": ("MemorySection",),
    "processor": ("ProcessorSection",),
    "arm": ("ArmProcessorSection", "ArmErrorInfo", "ArmErrorDetails", "ArmContext"),
    "pcie": ("PcieSection",),
    "firmware_0": ("FirmwareSection",),
    "firmware_2": ("FirmwareSection",),
    "cxl_protocol": ("CxlProtocolSection",),
    "cxl_dram": ("CxlEventSection",),
    "pci_bus": ("UnknownSection",),
}
CONVERSION = re.compile(r"%[-#.0-9]*(?:ll)?(pUl|[dxus])")
DIGITS = {"d": r"-?\d+", "u": r"\d+", "x": r"[0-9a-fx]+", "s": ".*", "pUl": "[0-9a-f-]{36}"}


def pattern(text: str) -> str:
    parts = CONVERSION.split(text)
    return "".join(DIGITS[part] if index % 2 else re.escape(part) for index, part in enumerate(parts))


@pytest.mark.parametrize("name", CLASSES)
def test_each_line_has_its_format(name: str) -> None:
    _guid, text = BODIES[name]
    formats = [form for kind in CLASSES[name] for _fields, form in KERNEL_FORMATS[kind]]
    location = "(?:" + "|".join(pattern(form) for form in formats if form.endswith(" ")) + ")+"
    patterns = [pattern(form) for form in formats] + ([location] if name == "memory" else [])
    dump = r" *[0-9a-f]{8}: .*"
    bits = r"(?:cache error|restartable), .*"
    for line in text.splitlines():
        assert re.fullmatch("|".join((*patterns, dump, bits)), line), line


def test_each_format_is_of_a_field() -> None:
    for kind, formats in KERNEL_FORMATS.items():
        holder = cper.ArmBusError if kind == "ArmErrorDetails" else getattr(cper, kind)
        for names, _form in formats:
            assert all(name == "*" or hasattr(holder, name) for name in names.split()), (kind, names)


def test_differences_name_what_was_read() -> None:
    assert {difference.section for difference in KERNEL_DIFFERENCES} >= {"ARM processor", "PCIe"}
    assert all(difference.what and difference.seen for difference in KERNEL_DIFFERENCES)
