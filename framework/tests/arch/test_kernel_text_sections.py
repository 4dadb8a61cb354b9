# SPDX-License-Identifier: Apache-2.0
"""Sections of printed records: real ones of 7.3, made from CPERs of known values, and older words."""

from pathlib import Path

import pytest

from seabus.arch.kernel_text import (
    ArmContextInfo,
    ArmErrorInfo,
    ArmProcessorDetails,
    CxlProtocolDetails,
    FirmwareDetails,
    GhesRecord,
    GhesTextParser,
    MemoryDetails,
    PcieDetails,
    ProcessorDetails,
    UnknownDetails,
    parse_dmesg,
    read_section,
)

SAMPLES = Path(__file__).parent / "samples"
RECORDS = SAMPLES / "linux-7.3" / "records"


def records() -> dict[str, GhesRecord]:
    """The record that follows each ``seabus-sample NAME``."""
    found: dict[str, GhesRecord] = {}
    text = (RECORDS / "dmesg.txt").read_text()
    for part in text.split("seabus-sample ")[1:]:
        name = part.split("\n", 1)[0]
        for record in parse_dmesg(part).ghes:
            found[name] = record
    return found


REAL = records()


def test_every_sample_that_linux_prints_was_read() -> None:
    assert {path.stem for path in RECORDS.glob("*.cper")} == set(REAL)
    assert all(record.source == 1 for record in REAL.values())
    assert [section.index for section in REAL["multi"].sections] == [0, 1]
    # A memory section with bits beyond its length: the kernel prints its kind, and trusts nothing else.
    (refused,) = REAL["mem_badbits"].sections
    assert refused.details == MemoryDetails()


def test_memory() -> None:
    record = REAL["mem_corrected"]
    assert record.severity == "corrected"
    (section,) = record.sections
    assert (section.timestamp, section.precise) == ("2026-12-31 23:48:59", True)
    assert (section.fru_text, section.kind) == ("board 3 slot 7", "memory error")
    assert section.details == MemoryDetails(
        error_status=0x400,
        error_status_name="Storage error in DRAM memory",
        physical_address=0x60004000,
        physical_address_mask=0xFFFF_FFFF_FFFF_F000,
        error_type=3,
        error_type_name="multi-bit ECC",
        dmi_handle=0x1101,
        # bank 0x0405 is group 4, address 5; the extension 0x63 gives row bits 17:16 and the chip id, UEFI
        # N.2.5.
        location={
            "node": 1,
            "card": 2,
            "module": 3,
            "rank": 9,
            "bank": 0x405,
            "bank_group": 4,
            "bank_address": 5,
            "device": 6,
            "row": 0x31111,
            "column": 0x222,
            "bit_position": 7,
            "requestor_id": 0xAAAA,
            "responder_id": 0xBBBB,
            "target_id": 0xCCCC,
            "chip_id": 3,
        },
    )


def test_two_sections_and_the_precision_of_their_times() -> None:
    first, second = REAL["multi"].sections
    assert (first.physical_address, first.precise) == (0x60008000, True)
    assert (second.physical_address, second.precise) == (0x60009000, False)


def test_arm_processor() -> None:
    (section,) = REAL["arm"].sections
    details = section.details
    assert section.physical_address == 0x60005000
    assert details == ArmProcessorDetails(
        midr=0x410FD4F0,
        mpidr=0x81000001,
        affinity_level=1,
        running_state=1,
        psci_state=0,
        errors=(
            ArmErrorInfo(
                index=0,
                count=1,
                flags=("first", "last"),
                error_type=0x02,
                error_type_names=("cache error",),
                error_info=0x1A8D007F,
                decoded=(
                    "transaction type: Data Access",
                    "cache error, operation type: Data read",
                    "cache level: 2",
                    "processor context corrupted",
                    "the error has not been corrected",
                    "PC is precise",
                    "Program execution can be restarted reliably at the PC associated with the error.",
                ),
                virtual_fault_address=0xFFFF000012345678,
                physical_fault_address=0x60005000,
            ),
            ArmErrorInfo(
                index=1,
                count=3,
                flags=("first", "propagated", "overflow"),
                error_type=0x08,
                error_type_names=("bus error",),
                error_info=0xFFFD4460FFF,
                decoded=(
                    "transaction type: Generic",
                    "bus error, operation type: Generic read (type of instruction or data request cannot be"
                    " determined)",
                    "affinity level at which the bus error occurred: 1",
                    "processor context not corrupted",
                    "the error has been corrected",
                    "PC is imprecise",
                    "Program execution can be restarted reliably at the PC associated with the error.",
                    "participation type: Local processor observed",
                    "request timed out",
                    "address space: Device Memory Access",
                    "memory access attributes:0x1ff",
                    "access mode: normal",
                ),
                virtual_fault_address=0xFFFF000087654320,
                physical_fault_address=0x60006000,
            ),
        ),
        contexts=(
            ArmContextInfo(
                index=0,
                kind="AArch64 EL1 context registers",
                data=b"".join((0xE1000000 + n).to_bytes(8, "little") for n in range(17)),
            ),
        ),
        vendor=b"vendor says hi!!",
    )


def test_an_arm_section_that_is_wrong_itself() -> None:
    (section,) = REAL["arm_short"].sections
    assert section.details == ArmProcessorDetails(
        midr=0x410FD4F0,
        complaints=(
            "section length: 264, CPER size: 60",
            "section length is too big",
            "firmware-generated error record is incorrect",
            "ERR_INFO_NUM is 2",
        ),
    )


def test_arm_processor_as_older_kernels_print_it() -> None:
    (record,) = parse_dmesg((SAMPLES / "derived" / "linux-6.1.txt").read_text()).ghes
    (section,) = record.sections
    assert (section.timestamp, section.precise) == ("2023-02-28 01:02:03", False)
    details = section.details
    assert isinstance(details, ArmProcessorDetails)
    (error,) = details.errors
    assert (error.error_type, error.error_type_names) == (0, ("cache error",))
    assert (error.count, error.flags) == (2, ("propagated",))
    assert error.decoded[1] == "cache level: 3"
    assert section.physical_address == error.physical_fault_address == 0xFE00DBA0


def test_pcie() -> None:
    (section,) = REAL["pcie"].sections
    assert section.details == PcieDetails(
        port_type=0,
        port_type_name="PCIe end point",
        version="3.1",
        command=0x0407,
        status=0x0010,
        device="0000:01:02.0",
        slot=5,
        secondary_bus=0,
        vendor_id=0x8086,
        device_id=0x1533,
        class_code=0x020000,
        serial_lower=0x11223344,
        serial_upper=0x55667788,
        bridge_secondary_status=0x2000,
        bridge_control=3,
        aer_cor_status=0x40,
        aer_cor_mask=0x2000,
        aer_uncor_status=0x4000,
        aer_uncor_mask=0x100,
        aer_uncor_severity=0x62030,
        tlp_header=(0x4A000001, 0x02000004, 0xDEADBEEF, 0),
    )


def test_generic_processor() -> None:
    (section,) = REAL["generic"].sections
    assert section.details == ProcessorDetails(
        processor_type=2,
        processor_type_name="ARM",
        processor_isa=4,
        processor_isa_name="ARM A64",
        error_type=3,
        operation=1,
        operation_name="data read",
        flags=0x0D,
        level=2,
        version_info=0x410FD4F0,
        processor_id=0x81000001,
        target_address=0x60007000,
        requestor_id=1,
        responder_id=2,
        ip=0xFFFF800012345678,
        names=("cache error", "TLB error", "restartable", "overflow", "corrected"),
    )


def test_firmware() -> None:
    kind = "SOC Firmware Error Record Type1 (Legacy CrashLog Support)"
    (section,) = REAL["firmware"].sections
    assert section.details == FirmwareDetails(
        record_type=kind,
        revision=2,
        identifier="12345678-9abc-def0-1122-334455667788",
        data=b"crash log bytes.",
    )
    (section,) = REAL["firmware0"].sections
    guid = bytes.fromhex("78563412bc9af0de1122334455667788")
    assert section.details == FirmwareDetails(
        record_type=kind, revision=0, identifier="1122334455667788", data=guid + b"crash log bytes."
    )


def test_unknown() -> None:
    (section,) = REAL["unknown"].sections
    assert section.kind == "unknown, 01020304-0506-0708-090a-0b0c0d0e0f10"
    assert section.details == UnknownDetails(
        guid="01020304-0506-0708-090a-0b0c0d0e0f10", length=39, data=bytes(range(39))
    )


def test_cxl() -> None:
    (section,) = REAL["cxl"].sections
    assert section.details == CxlProtocolDetails(
        agent_type=2,
        agent_type_name="CXL Device",
        agent_address="0000:02:00.0",
        slot=9,
        vendor_id=0x1E98,
        device_id=0x0D93,
        sub_vendor_id=0x1AF4,
        sub_device_id=0x1100,
        class_code=0x0502,
        lower_dw=0xCAFE0001,
        upper_dw=0xCAFE0002,
        capability=bytes(range(60)),
        dvsec=bytes(range(16)),
        header_log=bytes(range(64)),
        registers={
            "cxl_ras_uncor_status": 1,
            "cxl_ras_uncor_mask": 2,
            "cxl_ras_uncor_severity": 3,
            "cxl_ras_cor_status": 4,
            "cxl_ras_cor_mask": 5,
            "cap_control": 6,
        },
    )
    (event,) = REAL["cxlgm"].sections
    assert (event.kind, event.details) == ("CXL General Media Event", None)


def test_a_dump_ends_where_a_row_is_missing() -> None:
    rows = ["00000000: 03020100 07060504", "00000010: 0b0a0908", "00000008: 0b0a0908  ...."]
    details = read_section("unknown, x", rows)
    assert details == UnknownDetails(guid="x", data=bytes(range(8)))


@pytest.mark.parametrize(
    ("name", "kind", "needed"),
    [
        ("arm", "ARM processor error", "error_type: 0x02"),
        ("pcie", "PCIe error", "vendor_id: "),
        ("generic", "general processor error", "error_type: 0x03"),
        ("firmware", "Firmware Error Record Reference", "Revision: 2"),
        ("unknown", "unknown, 01020304", "section length: "),
        ("cxl", "CXL Protocol Error", "agent_type: "),
        ("cxlgm", "CXL General Media Event", "section_type: "),
    ],
)
def test_a_record_is_not_held_back_for_lines_that_never_come(name: str, kind: str, needed: str) -> None:
    parser = GhesTextParser()
    for line in (RECORDS / "dmesg.txt").read_text().split(f"sample {name}\n")[1].splitlines():
        record = parser.feed(line)
        if record is not None:
            assert needed in line
            assert record.sections[0].kind.startswith(kind)
            return
    pytest.fail("never handed out")


def test_records_of_the_boot_error_record_table() -> None:
    first, second = parse_dmesg((SAMPLES / "derived" / "linux-6.12.txt").read_text()).ghes
    assert first.previous_boot
    assert (first.sequence, first.source, first.severity) == (0, None, "fatal")
    assert first.physical_address == 0xFE00D000
    assert second.severity == "recoverable"
    assert second.sections[0].details == UnknownDetails(
        guid="c8b328a8-9917-4af6-9a13-2e08ab2e7586", length=6, data=bytes(range(1, 7))
    )


def test_others_that_use_the_mark_open_no_record() -> None:
    parser = GhesTextParser()
    assert parser.feed("mce: [Hardware Error]: CPU 0: Machine Check: 0 Bank 4") is None
    assert parser.feed("[Hardware Error]:  Error 0, type: fatal") is None
    assert parser.finish() == []
