# SPDX-License-Identifier: Apache-2.0
"""Error records: status blocks of ACPI and CPER records of UEFI, with the sections inside.

The same formats travel at two levels: L1's firmware describes L1's memory, QEMU describes the guest's.
So a :class:`MemorySection` holds plain integers, and the caller, who knows the level, gives them a type
of :mod:`seabus.arch.addresses`.

>>> import uuid
>>> from seabus.arch.addresses import HostPhysical
>>> record = memory_error_record(HostPhysical(0x10123f000), fru_id=uuid.UUID(int=1))
>>> hex(record.block_status), len(record.encode())
('0x11', 172)
>>> decode_status_block(record.encode()) == record
True
>>> print(next(row for row in describe(record) if row.name == "error_type"))
entry[0].section.error_type 0x03 multi-bit ECC

Three rules hold for all of them. A field that is ``None`` is not declared valid by the record. What no
valid field stands for (reserved bytes, fields that are not valid) is kept as ``residue``, undefined
validation bits as ``unknown_valid``, so that a record is written back bit by bit as it was read; what is
wrong with it is in :func:`remarks`. And what cannot be read raises :exc:`MalformedRecord`.
"""

from seabus.arch.cper._section import UnknownSection
from seabus.arch.cper.arm import ArmProcessorSection
from seabus.arch.cper.arm_context import ARM_CONTEXT_TYPES, ArmContext
from seabus.arch.cper.arm_details import (
    ArmBusError,
    ArmCacheError,
    ArmErrorDetails,
    ArmErrorKind,
    ArmTlbError,
    ArmTypeEncoding,
    arm_error_kinds,
)
from seabus.arch.cper.arm_error import ArmErrorInfo
from seabus.arch.cper.block import StatusBlock, decode_status_block
from seabus.arch.cper.cxl_event import CxlEvent, CxlEventSection
from seabus.arch.cper.cxl_events import CxlDram, CxlEventHeader, CxlGeneralMedia
from seabus.arch.cper.cxl_module_events import CxlMemoryModule, CxlMemorySparing
from seabus.arch.cper.cxl_protocol import CxlProtocolSection, CxlRasCapability, cxl_agent_address
from seabus.arch.cper.describe import decode_record, describe, remarks
from seabus.arch.cper.entry import DataEntry
from seabus.arch.cper.firmware import FirmwareSection
from seabus.arch.cper.guids import NOTIFICATION_TYPES, SECTION_TYPES
from seabus.arch.cper.memory import MEMORY_ERROR_SECTION, MemoryErrorType, MemorySection
from seabus.arch.cper.memory2 import MemorySection2
from seabus.arch.cper.memory_record import memory_error_record
from seabus.arch.cper.pci import PciBusSection, PciComponentSection
from seabus.arch.cper.pcie import PcieSection
from seabus.arch.cper.pcie_registers import AerCapability, ExpressCapability
from seabus.arch.cper.processor import ProcessorSection
from seabus.arch.cper.record import CperRecord, decode_cper_record
from seabus.arch.cper.record_section import RecordSection
from seabus.arch.cper.sections import SECTION_CLASSES, Section, decode_section
from seabus.arch.cper.severity import Severity
from seabus.arch.cper.timestamp import Timestamp
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

# Most important first.
__all__ = [  # noqa: RUF022  # ordered for readers
    "decode_record",
    "decode_status_block",
    "decode_cper_record",
    "describe",
    "remarks",
    "FieldRow",
    "MalformedRecord",
    "memory_error_record",
    "StatusBlock",
    "DataEntry",
    "CperRecord",
    "RecordSection",
    "Severity",
    "Timestamp",
    "SECTION_TYPES",
    "SECTION_CLASSES",
    "NOTIFICATION_TYPES",
    "Section",
    "decode_section",
    "MemorySection",
    "MemorySection2",
    "MemoryErrorType",
    "MEMORY_ERROR_SECTION",
    "ArmProcessorSection",
    "ArmErrorInfo",
    "ArmErrorKind",
    "ArmTypeEncoding",
    "arm_error_kinds",
    "ArmErrorDetails",
    "ArmCacheError",
    "ArmTlbError",
    "ArmBusError",
    "ArmContext",
    "ARM_CONTEXT_TYPES",
    "ProcessorSection",
    "PcieSection",
    "ExpressCapability",
    "AerCapability",
    "PciBusSection",
    "PciComponentSection",
    "FirmwareSection",
    "CxlProtocolSection",
    "CxlRasCapability",
    "cxl_agent_address",
    "CxlEventSection",
    "CxlEventHeader",
    "CxlEvent",
    "CxlGeneralMedia",
    "CxlDram",
    "CxlMemoryModule",
    "CxlMemorySparing",
    "UnknownSection",
]
