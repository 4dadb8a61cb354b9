# SPDX-License-Identifier: Apache-2.0
"""libcper is another decoder of the same tables, by other people: what it reads is what we say.

Each section of the golden vectors is put into a whole record and given to libcper (the package ``cper``). The
tables below say what its names mean in ours. What it does not tell is listed, so that nothing is left out by
accident; where it differs stands in ``DIFFERENCES`` (docs/findings/0006-libcper.md).
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import cper as libcper
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch.cper import (
    ArmErrorInfo,
    ArmProcessorSection,
    CperRecord,
    MemorySection,
    ProcessorSection,
    RecordSection,
    Section,
    Severity,
    decode_cper_record,
    decode_section,
    guids,
)

VECTORS: Final = Path(__file__).parent / "vectors"
#: Our name to libcper's path, for each section: "a.b" is a member of a member.
_DEVICE: Final = {
    "vendor_id": "deviceID.vendorID",
    "device_id": "deviceID.deviceID",
    "slot": "deviceID.slotNumber",
}
_MEMORY: Final = {
    "physical_address": "physicalAddress",
    "node": "node",
    "card": "card",
    "device": "device",
    "column": "column",
    "bit_position": "bitPosition",
    "requestor_id": "requestorID",
    "responder_id": "responderID",
    "target_id": "targetID",
    "error_type": "memoryErrorType.value",
    "card_handle": "cardSmbiosHandle",
    "module_handle": "moduleSmbiosHandle",
}
SAME: Final[dict[str, tuple[Any, dict[str, str]]]] = {
    "arm": (
        guids.PROCESSOR_ARM,
        {
            "midr": "midrEl1",
            "mpidr": "mpidrEl1",
            "affinity_level": "errorAffinity.value",
            "running_state": "running",
            "psci_state": "psciState",
        },
    ),
    "cxl_dram": (
        guids.CXL_DRAM,
        {
            **_DEVICE,
            "function": "deviceID.functionNumber",
            "device": "deviceID.deviceNumber",
            "bus": "deviceID.busNumber",
            "segment": "deviceID.segmentNumber",
            "serial_number": "deviceSerial",
            "log": "cxlComponentEventLog.data",
        },
    ),
    "cxl_general_media": (guids.CXL_GENERAL_MEDIA, {"log": "cxlComponentEventLog.data"}),
    "cxl_memory_module": (
        guids.CXL_MEMORY_MODULE,
        {"serial_number": "deviceSerial", "log": "cxlComponentEventLog.data"},
    ),
    "cxl_protocol": (
        guids.CXL_PROTOCOL,
        {
            **_DEVICE,
            "agent_type": "agentType.value",
            "subsystem_vendor_id": "deviceID.subsystemVendorID",
            "subsystem_id": "deviceID.subsystemDeviceID",
            "class_code": "deviceID.classCode",
            "dvsec": "cxlDVSEC",
            "error_log": "cxlErrorLog",
        },
    ),
    "firmware_2": (
        guids.FIRMWARE_RECORD,
        {
            "record_type": "errorRecordType.value",
            "revision": "revision",
            "record_id": "recordID",
            "record_guid": "recordIDGUID",
        },
    ),
    "memory": (
        guids.PLATFORM_MEMORY,
        {**_MEMORY, "module": "moduleRank", "rank": "rankNumber", "chip_id": "extended.chipIdentification"},
    ),
    "memory_2": (
        guids.PLATFORM_MEMORY_2,
        {
            **_MEMORY,
            "module": "module",
            "row": "row",
            "rank": "rank",
            "chip_id": "chipID",
            "status": "status.value",
            "bank_group": "bank.group",
            "bank_address": "bank.address",
        },
    ),
    "pci_bus": (
        guids.PCI_BUS,
        {
            "error_type": "errorType.value",
            "bus_address": "busAddress",
            "bus_data": "busData",
            "requestor_id": "busRequestorID",
            "completer_id": "busCompleterID",
            "target_id": "targetID",
        },
    ),
    "pci_component": (
        guids.PCI_COMPONENT,
        {
            "vendor_id": "idInfo.vendorID",
            "device_id": "idInfo.deviceID",
            "class_code": "idInfo.classCode",
            "function": "idInfo.functionNumber",
            "device": "idInfo.deviceNumber",
            "bus": "idInfo.busNumber",
            "segment": "idInfo.segmentNumber",
            "memory_number": "memoryNumber",
            "io_number": "ioNumber",
        },
    ),
    "pcie": (
        guids.PCIE,
        {
            **_DEVICE,
            "port_type": "portType.value",
            "version_minor": "version.minor",
            "version_major": "version.major",
            "command": "commandStatus.commandRegister",
            "status": "commandStatus.statusRegister",
            "function": "deviceID.functionNumber",
            "device": "deviceID.deviceNumber",
            "segment": "deviceID.segmentNumber",
            "bus": "deviceID.primaryOrDeviceBusNumber",
            "secondary_bus": "deviceID.secondaryBusNumber",
            "serial_number": "deviceSerialNumber",
            "bridge_secondary_status": "bridgeControlStatus.secondaryStatusRegister",
            "bridge_control": "bridgeControlStatus.controlRegister",
        },
    ),
    "processor": (
        guids.PROCESSOR_GENERIC,
        {
            "processor_type": "processorType.value",
            "processor_isa": "processorISA.value",
            "error_type": "errorType.value",
            "operation": "operation.value",
            "level": "level",
            "cpu_version": "cpuVersionInfo",
            "cpu_brand": "cpuBrandString",
            "processor_id": "processorID",
            "target_address": "targetAddress",
            "requestor_id": "requestorID",
            "responder_id": "responderID",
            "instruction_ip": "instructionIP",
        },
    ),
}
#: Known to differ: our name to (libcper's path, what it says).
DIFFERENCES: Final[dict[str, dict[str, tuple[str, object]]]] = {
    # Its JSON has no integers of 64 bits.
    "memory": {"physical_address_mask": ("physicalAddressMask", 2**63 - 1), "row": ("row", None)},
    "memory_2": {"physical_address_mask": ("physicalAddressMask", 2**63 - 1)},
    # It reads the three bytes of a class code in the other order here, and in ours elsewhere.
    "pcie": {"class_code": ("deviceID.classCode", 0x000406)},
}
#: Told as bits or parts, compared below, or not at all.
ELSEWHERE: Final = {
    "arm": {"errors", "contexts", "vendor_info"},
    "cxl_protocol": {"capability", "agent_address", "serial_number"},
    "memory": {"error_status", "extended_row", "size"},
    "memory_2": {"error_status"},
    "pci_bus": {"error_status", "bus_id", "bus_command"},
    "pci_component": {"error_status", "registers"},
    "pcie": {"capability", "aer"},
    "processor": {"flags"},
}
#: How we keep what a record holds beyond its fields.
_KEPT: Final = {"unknown_valid", "residue", "trailing", "stated_valid", "guid"}


def body(name: str) -> bytes:
    lines = (VECTORS / f"{name}.hex").read_text(encoding="ascii").splitlines()
    return bytes.fromhex("".join(line.partition("#")[0] for line in lines))


def told(section: Section) -> Mapping[str, Any]:
    """What libcper says of a section."""
    whole = RecordSection(section=section, severity=Severity.CORRECTED)
    parsed = libcper.parse(CperRecord(severity=Severity.CORRECTED, sections=(whole,)).encode())
    (found,) = parsed["sections"]
    (content,) = found.values()
    assert isinstance(content, dict)
    return content


def at(content: Mapping[str, Any], path: str) -> object:
    value: Any = content
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def plain(value: object) -> object:
    """Our value, as JSON would have it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if value is None or isinstance(value, int | str) else str(value)


@pytest.mark.parametrize("name", sorted(SAME))
def test_every_field_is_read_the_same(name: str) -> None:
    guid, paths = SAME[name]
    section = decode_section(guid, body(name))
    content = told(section)
    assert {ours: at(content, path) for ours, path in paths.items()} == {
        ours: plain(getattr(section, ours)) for ours in paths
    }


@pytest.mark.parametrize("name", sorted(SAME))
def test_no_field_is_left_out(name: str) -> None:
    guid, paths = SAME[name]
    section = decode_section(guid, body(name))
    known = {*paths, *DIFFERENCES.get(name, {}), *ELSEWHERE.get(name, ()), *_KEPT}
    fields = {one.name for one in dataclasses.fields(section)}
    assert {one for one in fields - known if getattr(section, one) is not None} == set()
    assert known - _KEPT <= fields


@pytest.mark.parametrize("name", sorted(DIFFERENCES))
def test_it_still_differs(name: str) -> None:
    section = decode_section(SAME[name][0], body(name))
    content = told(section)
    for ours, (path, theirs) in DIFFERENCES[name].items():
        assert at(content, path) == theirs
        assert plain(getattr(section, ours)) != theirs


def test_parts_of_an_arm_section() -> None:
    section = decode_section(guids.PROCESSOR_ARM, body("arm"))
    assert isinstance(section, ArmProcessorSection)
    content = told(section)
    assert (content["errorInfoNum"], content["contextInfoNum"]) == (
        len(section.errors),
        len(section.contexts),
    )
    for ours, theirs in zip(section.errors, content["errorInfo"], strict=True):
        assert theirs["errorType"]["value"] == ours.type
        assert theirs.get("virtualFaultAddress") == ours.virtual_address
        assert theirs.get("physicalFaultAddress") == ours.physical_address
        if ours.multiple_error is not None:
            assert theirs["multipleError"]["value"] == ours.multiple_error
    first = section.errors[0]
    assert first.flags is not None
    names = ("firstErrorCaptured", "lastErrorCaptured", "propagated", "overflow")
    assert [content["errorInfo"][0]["flags"][one] for one in names] == [
        bool(first.flags >> bit & 1) for bit in range(4)
    ]
    for context, theirs in zip(section.contexts, content["contextInfo"], strict=True):
        assert (theirs["version"], theirs["registerContextType"]["value"]) == (context.version, context.type)
        assert theirs["registerArraySize"] == len(context.data)


@pytest.mark.parametrize("name", ["memory", "memory_2", "pci_bus", "pci_component"])
def test_the_error_status(name: str) -> None:
    """UEFI 2.11 N.2.10: error status, in bits from 8 up."""
    section: Any = decode_section(SAME[name][0], body(name))
    status = told(section)["errorStatus"]
    assert status["errorType"]["value"] == section.error_status >> 8 & 0xFF
    for bit, one in enumerate(
        ("addressSignal", "controlSignal", "dataSignal", "detectedByResponder", "detectedByRequester"),
        start=16,
    ):
        assert status[one] == bool(section.error_status >> bit & 1), one
    assert status["firstError"] == bool(section.error_status >> 21 & 1)
    assert status["overflowDroppedLogs"] == bool(section.error_status >> 22 & 1)


def test_header_and_descriptors() -> None:
    data = body("record")
    ours, theirs = decode_cper_record(data), libcper.parse(data)
    header = theirs["header"]
    assert header["sectionCount"] == len(ours.sections)
    assert header["severity"]["code"] == ours.severity
    assert header["recordLength"] == len(data)
    assert header["platformID"] == str(ours.platform_id)
    assert header["creatorID"] == str(ours.creator_id)
    assert header["notificationType"]["guid"] == str(ours.notification_type)
    assert header["recordID"] == ours.record_id
    assert header["flags"]["value"] == ours.flags
    assert header["persistenceInfo"] == ours.persistence_information
    assert ours.timestamp is not None
    assert header["timestamp"].startswith("2026-12-31T23:48:59")
    for one, descriptor in zip(ours.sections, theirs["sectionDescriptors"], strict=True):
        assert descriptor["sectionType"]["data"] == str(one.section.guid)
        assert descriptor["severity"]["code"] == one.severity
        assert descriptor.get("fruID") == (None if one.fru_id is None else str(one.fru_id))
        assert descriptor.get("fruText") == one.fru_text
        assert descriptor["flags"]["primary"] == bool(one.flags & 1)


_U16: Final = st.integers(0, 0xFFFF)
_ADDRESS: Final = st.integers(0, (1 << 63) - 1)


@given(_ADDRESS, _U16, _U16, _U16, st.integers(0, 15))
def test_any_memory_error(address: int, node: int, card: int, column: int, kind: int) -> None:
    section = MemorySection(physical_address=address, node=node, card=card, column=column, error_type=kind)
    content = told(section)
    for ours in ("physical_address", "node", "card", "column", "error_type"):
        assert at(content, SAME["memory"][1][ours]) == getattr(section, ours)


@given(st.integers(0, (1 << 32) - 1), _ADDRESS, st.integers(0, 3), st.sampled_from([1, 2, 4, 8]), _ADDRESS)
def test_any_arm_error(midr: int, mpidr: int, affinity: int, kind: int, address: int) -> None:
    section = ArmProcessorSection(
        midr=midr,
        mpidr=mpidr,
        affinity_level=affinity,
        running_state=1,
        errors=(ArmErrorInfo(type=kind, physical_address=address),),
    )
    content = told(section)
    for ours in ("midr", "mpidr", "affinity_level"):
        assert at(content, SAME["arm"][1][ours]) == getattr(section, ours)
    assert content["errorInfo"][0]["errorType"]["value"] == kind
    assert content["errorInfo"][0]["physicalFaultAddress"] == address


@given(st.integers(0, 2), st.integers(0, 4), st.integers(0, 3), _ADDRESS, _ADDRESS)
def test_any_processor_error(kind: int, isa: int, operation: int, target: int, ip: int) -> None:
    section = ProcessorSection(
        processor_type=kind, processor_isa=isa, operation=operation, target_address=target, instruction_ip=ip
    )
    content = told(section)
    for ours in ("processor_type", "processor_isa", "operation", "target_address", "instruction_ip"):
        assert at(content, SAME["processor"][1][ours]) == getattr(section, ours)
