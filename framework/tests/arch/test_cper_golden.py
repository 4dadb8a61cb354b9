# SPDX-License-Identifier: Apache-2.0
"""Every kind of section against bytes laid out by hand: vectors/*.hex cite the table of each."""

import uuid
from pathlib import Path

import pytest

from seabus.arch import cper
from seabus.arch.malformed import MalformedRecord

VECTORS = Path(__file__).parent / "vectors"


def vector(name: str) -> bytes:
    lines = (VECTORS / f"{name}.hex").read_text(encoding="ascii").splitlines()
    return bytes.fromhex("".join(line.partition("#")[0] for line in lines))


GUID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")

GOLDEN: dict[str, cper.Section] = {
    "memory": cper.MemorySection(
        error_status=0x450400,
        physical_address=0x12345678,
        physical_address_mask=0xFFFF_FFFF_FFFF_FFC0,
        node=1,
        card=2,
        module=3,
        device=5,
        row=0xFFFF,
        column=7,
        bit_position=8,
        requestor_id=9,
        responder_id=10,
        target_id=11,
        error_type=3,
        rank=12,
        card_handle=13,
        module_handle=14,
        extended_row=2,
        chip_id=5,
    ),
    "memory_uefi_2_2": cper.MemorySection(physical_address=0x10123F000, error_type=2, size=73),
    "memory_2": cper.MemorySection2(
        error_status=0x400,
        physical_address=0x12345678,
        physical_address_mask=0xFFFF_FFFF_FFFF_F000,
        node=1,
        card=2,
        module=3,
        bank_group=4,
        bank_address=5,
        device=6,
        row=0x10007,
        column=8,
        rank=9,
        bit_position=10,
        chip_id=11,
        error_type=3,
        status=1,
        requestor_id=12,
        responder_id=13,
        target_id=14,
        card_handle=15,
        module_handle=16,
    ),
    "processor": cper.ProcessorSection.of(
        processor_type="ARM",
        processor_isa="ARM A64",
        error_type="cache error | bus error",
        operation="data read",
        flags="restartable | precise IP | corrected",
        level=2,
        cpu_version=0x410FD4F0,
        cpu_brand="Seabus 2",
        processor_id=0x81000001,
        target_address="0x12345678",
        requestor_id=3,
        responder_id=4,
        instruction_ip=0x800000001000,
    ),
    "arm": cper.ArmProcessorSection(
        mpidr=0x81000101,
        midr=0x410FD4F0,
        affinity_level=1,
        running_state=1,
        psci_state=0,
        errors=(
            cper.ArmErrorInfo.of(
                type="cache error",
                multiple_error=2,
                flags="first error captured | last error captured | overflow",
                error_info=cper.ArmCacheError.of(
                    transaction_type="data access",
                    operation="data read",
                    level=2,
                    context_corrupt="no",
                    corrected="yes",
                    precise_pc="yes",
                    restartable_pc="yes",
                ).word,
                virtual_address=0x800012345678,
                physical_address=0x10123F000,
            ),
            cper.ArmErrorInfo.of(
                type="bus error",
                error_info=cper.ArmBusError.of(
                    transaction_type="generic",
                    operation="data write",
                    level=3,
                    context_corrupt="yes",
                    corrected="no",
                    precise_pc="no",
                    restartable_pc="no",
                    participation_type="local processor responded to request",
                    time_out="yes",
                    address_space="device memory access",
                    memory_attributes=0x1FF,
                    access_mode="normal",
                ).word,
            ),
        ),
        contexts=(
            cper.ArmContext.of("AArch32 secure context registers", {"SCTLR_S": 0xC53038, "SPSR_mon": 0x1D3}),
            cper.ArmContext.of("misc. system registers", {"S3_0_C5_C2_0": 0x96000010}),
        ),
        vendor_info=bytes.fromhex("137b040501"),
    ),
    "pcie": cper.PcieSection(
        port_type=4,
        version_minor=0,
        version_major=4,
        command=0x547,
        status=0x10,
        vendor_id=0x1234,
        device_id=0x5678,
        class_code=0x060400,
        function=2,
        device=31,
        segment=1,
        bus=0x3A,
        secondary_bus=0x3B,
        slot=9,
        serial_number=0x0123456789ABCDEF,
        bridge_secondary_status=0x2000,
        bridge_control=3,
        capability=cper.ExpressCapability(
            capability_id=0x10,
            capabilities=0x42,
            device_capabilities=0x8001,
            device_control=0x3F,
            device_status=5,
            link_status=0x13,
        ),
        aer=cper.AerCapability.of(
            header=0x14010001,
            uncorrectable_status="poisoned_TLP_received | completion_timeout | malformed_TLP",
            uncorrectable_severity=0x462030,
            correctable_status="receiver_error|advisory_non_fatal_error",
            correctable_mask=0x2000,
            control="18 | ECRC_generation_capable | ECRC_check_capable",
            header_log_0=0x40000001,
            header_log_1=0x0100000F,
            header_log_2=0x1000,
            header_log_3=0xDEADBEEF,
            root_command=7,
            root_status=0x54,
            uncorrectable_source=0x3AFA,
        ),
    ),
    "pcie_rcrb": cper.PcieSection(
        rcrb_high=8,
        rcrb_low=0x40100000,
        vendor_id=0x1234,
        device_id=0x5678,
        class_code=0,
        bus=0,
        secondary_bus=0,
        slot=0,
    ),
    "firmware_0": cper.FirmwareSection(record_id=0xDEADBEEF, trailing=b"hello"),
    "firmware_1": cper.FirmwareSection(record_type=1, revision=1, trailing=b"crash!!!!"),
    "firmware_2": cper.FirmwareSection(record_type=2, revision=2, record_id=0, record_guid=GUID),
    "pci_bus": cper.PciBusSection.of(
        error_status=0x11000,
        error_type="address parity error",
        bus_id=0x13A,
        bus_address=0x12345678,
        bus_data=0xDEADBEEF,
        bus_command=1 << 56 | 6,
        requestor_id=7,
        completer_id=8,
        target_id=9,
    ),
    "pci_component": cper.PciComponentSection(
        error_status=0x100,
        vendor_id=0x1234,
        device_id=0x5678,
        class_code=0x020000,
        function=1,
        device=31,
        bus=0x3A,
        segment=2,
        memory_number=1,
        io_number=1,
        registers=b"".join(number.to_bytes(8, "little") for number in (0x1000, 0xDEADBEEF, 0xCF8, 1)),
    ),
    "cxl_protocol": cper.CxlProtocolSection(
        agent_type=2,
        agent_address=cper.cxl_agent_address(segment=3, bus=0x1F, device=1, function=2),
        vendor_id=0x1234,
        device_id=0x5678,
        subsystem_vendor_id=0x9ABC,
        subsystem_id=0xDEF0,
        class_code=0x0502,
        slot=9,
        serial_number=0x0123456789ABCDEF,
        capability=cper.ExpressCapability(capability_id=0x10, capabilities=0x42, device_status=5),
        dvsec=bytes.fromhex("23000114"),
        error_log=cper.CxlRasCapability.of(
            uncorrectable_status="memory_data_ECC|poison_received|component_specific",
            uncorrectable_severity=0xFF,
            correctable_status="physical_layer",
            control=7,
            header_log=bytes.fromhex("01000000020000000300000004000000") + bytes(48),
        ).encode(),
    ),
    "cxl_dram": cper.CxlEventSection.of_event(
        cper.CxlDram.of(
            physical_address=0x100000041,
            descriptor="uncorrectable_event",
            type="ECC error",
            transaction_type="host write",
            channel=1,
            rank=2,
            nibble_mask=0xF,
            bank_group=3,
            bank=4,
            row=0x105,
            column=6,
            correction_mask=b"\x01" + bytes(30) + b"\x80",
            component_id_is_pldm=True,
            sub_channel=1,
            threshold_flags="threshold_exceeded",
            error_count=7,
            sub_type="media link CRC error",
        ),
        cper.CxlEventHeader(flags=0xE, handle=1, timestamp=2_000_000_000, maintenance_class=2),
        vendor_id=0x1234,
        device_id=0x5678,
        function=1,
        device=2,
        bus=0x1F,
        segment=3,
        slot=9,
        serial_number=0x0123456789ABCDEF,
    ),
    "cxl_general_media": cper.CxlEventSection.of_event(
        cper.CxlGeneralMedia.of(
            physical_address=0x200000000,
            descriptor="threshold_event",
            type="scrub media ECC error",
            transaction_type="internal media scrub",
            channel=1,
            rank=2,
            device=3,
            component_id=bytes(range(16)),
            threshold_flags="several_media_components",
            error_count=10,
            sub_type="internal datapath error",
        ),
        cper.CxlEventHeader(flags=1, handle=1),
    ),
    "cxl_memory_module": cper.CxlEventSection.of_event(
        cper.CxlMemoryModule.of(
            event_type="temperature change",
            health_status="maintenance_needed|hardware_replacement_needed",
            media_status="write persistency lost",
            additional_status=0x19,
            life_used=99,
            device_temperature=0xFFF6,
            dirty_shutdown_count=1,
            corrected_volatile_errors=2,
            corrected_persistent_errors=3,
            component_id=b"\x01" + bytes(15),
            component_id_is_pldm=True,
            event_sub_type="unsupported config data",
        ),
        cper.CxlEventHeader(flags=3, handle=1),
        serial_number=1,
    ),
    "cxl_memory_sparing": cper.CxlEventSection.of_event(
        cper.CxlMemorySparing.of(
            flags="hard_sparing|device_initiated",
            result=1,
            resources_available=3,
            channel=1,
            rank=2,
            nibble_mask=3,
            bank_group=4,
            bank=5,
            row=6,
            column=7,
            sub_channel=1,
        ),
        cper.CxlEventHeader(handle=1),
    ),
    "cxl_switch": cper.CxlEventSection(
        guid=uuid.UUID("77cf9271-9c02-470b-9fe4-bc7b75f2da97"),
        log=cper.CxlEventHeader(length=52, flags=2, handle=1).encode() + bytes.fromhex("01000203"),
    ),
}
NAMES = sorted(GOLDEN)

# What each file says of its section type, once more, so that a wrong constant shows.
TYPES = {
    "memory": "a5bc1114-6f64-4ede-b863-3e83ed7c83b1",
    "memory_uefi_2_2": "a5bc1114-6f64-4ede-b863-3e83ed7c83b1",
    "memory_2": "61ec04fc-48e6-d813-25c9-8daa44750b12",
    "processor": "9876ccad-47b4-4bdb-b65e-16f193c4f3db",
    "arm": "e19e3d16-bc11-11e4-9caa-c2051d5d46b0",
    "pcie": "d995e954-bbc1-430f-ad91-b44dcb3c6f35",
    "pcie_rcrb": "d995e954-bbc1-430f-ad91-b44dcb3c6f35",
    "firmware_0": "81212a96-09ed-4996-9471-8d729c8e69ed",
    "firmware_1": "81212a96-09ed-4996-9471-8d729c8e69ed",
    "firmware_2": "81212a96-09ed-4996-9471-8d729c8e69ed",
    "pci_bus": "c5753963-3b84-4095-bf78-eddad3f9c9dd",
    "pci_component": "eb5e4685-ca66-4769-b6a2-26068b001326",
    "cxl_protocol": "80b9efb4-52b5-4de3-a777-68784b771048",
    "cxl_dram": "601dcbb3-9c06-4eab-b8af-4e9bfb5c9624",
    "cxl_general_media": "fbcd0a77-c260-417f-85a9-088b1621eba6",
    "cxl_memory_module": "fe927475-dd59-4339-a586-79bab113b774",
    "cxl_memory_sparing": "e71f3a40-2d29-4092-8a39-4d1c966c7c65",
    "cxl_switch": "77cf9271-9c02-470b-9fe4-bc7b75f2da97",
}


@pytest.mark.parametrize("name", NAMES)
def test_readable_values_become_the_bytes_of_the_tables(name: str) -> None:
    assert GOLDEN[name].encode().hex() == vector(name).hex()


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_of_the_tables_become_values(name: str) -> None:
    assert cper.decode_section(uuid.UUID(TYPES[name]), vector(name)) == GOLDEN[name]


@pytest.mark.parametrize("name", NAMES)
def test_golden_sections_keep_to_their_specification(name: str) -> None:
    assert cper.remarks(GOLDEN[name]) == ()


@pytest.mark.parametrize("name", NAMES)
def test_each_byte_of_a_golden_section_has_a_row(name: str) -> None:
    data = vector(name)
    told: set[int] = set()
    for row in cper.describe(GOLDEN[name]):
        told |= set(range(row.offset, row.offset + row.length))
    untold = bytes(byte for index, byte in enumerate(data) if index not in told)
    assert not any(untold)  # what has no row is reserved or padding, and zero


@pytest.mark.parametrize("name", NAMES)
def test_a_section_cut_anywhere_is_a_section_or_malformed(name: str) -> None:
    data = vector(name)
    for size in range(len(data)):
        where: int | None = 1000
        whole = True
        try:
            section = cper.decode_section(uuid.UUID(TYPES[name]), data[:size], 1000)
            assert section.encode() == data[:size]
        except MalformedRecord as error:
            where, whole = error.offset, False
        assert where is not None
        assert 1000 <= where <= 1000 + len(data)
        # A memory section may end from byte 73 on, and the record in a firmware section anywhere.
        assert not whole or name in {"memory", "firmware_0", "firmware_1"}


def test_details_of_arm_errors() -> None:
    section = GOLDEN["arm"]
    assert isinstance(section, cper.ArmProcessorSection)
    first, second = section.errors
    assert first.kinds == (cper.ArmErrorKind.CACHE,)
    assert second.kinds == (cper.ArmErrorKind.BUS,)
    details = second.details
    assert isinstance(details, cper.ArmBusError)
    assert (details.address_space, details.access_mode, details.level) == (3, 1, 3)
    assert section.contexts[0].registers == (("SCTLR_S", 0xC53038), ("SPSR_mon", 0x1D3))
    assert section.contexts[1].registers == (("S3_0_C5_C2_0", 0x96000010),)


def test_errors_that_aer_names() -> None:
    section = GOLDEN["pcie"]
    assert isinstance(section, cper.PcieSection)
    assert section.address == "0001:3a:1f.2"
    assert section.aer is not None
    assert section.aer.uncorrectable_errors == (
        "poisoned_TLP_received",
        "completion_timeout",
        "malformed_TLP",
    )
    assert section.aer.correctable_errors == ("receiver_error", "advisory_non_fatal_error")
    assert section.aer.header_log == (0x40000001, 0x0100000F, 0x1000, 0xDEADBEEF)


def test_details_of_cxl_sections() -> None:
    protocol, event, switch = GOLDEN["cxl_protocol"], GOLDEN["cxl_dram"], GOLDEN["cxl_switch"]
    assert isinstance(protocol, cper.CxlProtocolSection)
    assert protocol.address == "0003:1f:01.2"
    assert protocol.ras is not None
    assert protocol.ras.uncorrectable_status == 0x4480
    assert isinstance(event, cper.CxlEventSection)
    assert event.name == "CXL DRAM event"
    assert isinstance(event.event, cper.CxlDram)
    assert event.event.component_id is None
    assert isinstance(switch, cper.CxlEventSection)
    assert (switch.name, switch.event) == ("CXL physical switch event", None)
    assert switch.header is not None
    assert switch.header.length == 52


def test_registers_of_a_pci_component() -> None:
    section = GOLDEN["pci_component"]
    assert isinstance(section, cper.PciComponentSection)
    assert section.register_pairs == ((0x1000, 0xDEADBEEF), (0xCF8, 1))
