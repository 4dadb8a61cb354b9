# SPDX-License-Identifier: Apache-2.0
# What `import seabus.arch.cper` offers, and where that is imported from when it is first used.
from ._section import UnknownSection
from .arm import ArmProcessorSection
from .arm_context import ARM_CONTEXT_TYPES, ArmContext
from .arm_details import (
    ArmBusError,
    ArmCacheError,
    ArmErrorDetails,
    ArmErrorKind,
    ArmTlbError,
    ArmTypeEncoding,
    arm_error_kinds,
)
from .arm_error import ArmErrorInfo
from .block import StatusBlock, decode_status_block
from .cxl_event import CxlEvent, CxlEventSection
from .cxl_events import CxlDram, CxlEventHeader, CxlGeneralMedia
from .cxl_module_events import CxlMemoryModule, CxlMemorySparing
from .cxl_protocol import CxlProtocolSection, CxlRasCapability, cxl_agent_address
from .describe import decode_record, describe, remarks
from .entry import DataEntry
from .firmware import FirmwareSection
from .guids import NOTIFICATION_TYPES, SECTION_TYPES
from .memory import MEMORY_ERROR_SECTION, MemoryErrorType, MemorySection
from .memory2 import MemorySection2
from .memory_record import memory_error_record
from .pci import PciBusSection, PciComponentSection
from .pcie import PcieSection
from .pcie_registers import AerCapability, ExpressCapability
from .processor import ProcessorSection
from .record import CperRecord, decode_cper_record
from .record_section import RecordSection
from .sections import SECTION_CLASSES, Section, decode_section
from .severity import Severity
from .timestamp import Timestamp

# Most important first.
__all__ = [  # noqa: RUF022  # ordered for readers
    "decode_record",
    "decode_status_block",
    "decode_cper_record",
    "describe",
    "remarks",
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
