# SPDX-License-Identifier: Apache-2.0
# What `import seabus.arch.kernel_text` offers, and where that is imported from when it is first used.
from .arm_section import ArmContextInfo, ArmErrorInfo, ArmProcessorDetails
from .cxl_section import CxlProtocolDetails
from .dmesg import MAX_EVENTS, DmesgParser, log_lines, parse_dmesg
from .drivers import (
    AerReport,
    EdacReport,
    FirmwareComplaint,
    GhesSignal,
    parse_aer,
    parse_edac,
    parse_firmware_complaint,
    parse_ghes_signal,
)
from .exceptions import (
    ExceptionLine,
    InternalError,
    KernelAccess,
    KernelPanic,
    SErrorInterrupt,
    UnhandledException,
    UserException,
    parse_exception,
)
from .ghes import GhesRecord, GhesSection, GhesTextParser
from .kvm import KvmMessage, parse_kvm
from .line import MAX_LINE, LogLine, kernel_message, parse_log_line
from .log_events import DmesgReport, LogEvent, LogFinding, LostMessages
from .memory_failure import (
    PAGE_TYPES,
    RECOVERY_RESULTS,
    MemoryFailure,
    MemoryFailureNote,
    PageEvent,
    PoisonInjection,
    SoftOffline,
    Unpoison,
    parse_memory_failure,
    parse_page_event,
)
from .report import TroubleReport, TroubleTextParser
from .sections import (
    FirmwareDetails,
    MemoryDetails,
    PcieDetails,
    ProcessorDetails,
    SectionDetails,
    UnknownDetails,
    read_section,
)
from .trouble import TROUBLE_KINDS, find_trouble

__all__ = [
    "MAX_EVENTS",
    "MAX_LINE",
    "PAGE_TYPES",
    "RECOVERY_RESULTS",
    "TROUBLE_KINDS",
    "AerReport",
    "ArmContextInfo",
    "ArmErrorInfo",
    "ArmProcessorDetails",
    "CxlProtocolDetails",
    "DmesgParser",
    "DmesgReport",
    "EdacReport",
    "ExceptionLine",
    "FirmwareComplaint",
    "FirmwareDetails",
    "GhesRecord",
    "GhesSection",
    "GhesSignal",
    "GhesTextParser",
    "InternalError",
    "KernelAccess",
    "KernelPanic",
    "KvmMessage",
    "LogEvent",
    "LogFinding",
    "LogLine",
    "LostMessages",
    "MemoryDetails",
    "MemoryFailure",
    "MemoryFailureNote",
    "PageEvent",
    "PcieDetails",
    "PoisonInjection",
    "ProcessorDetails",
    "SErrorInterrupt",
    "SectionDetails",
    "SoftOffline",
    "TroubleReport",
    "TroubleTextParser",
    "UnhandledException",
    "UnknownDetails",
    "Unpoison",
    "UserException",
    "find_trouble",
    "kernel_message",
    "log_lines",
    "parse_aer",
    "parse_dmesg",
    "parse_edac",
    "parse_exception",
    "parse_firmware_complaint",
    "parse_ghes_signal",
    "parse_kvm",
    "parse_log_line",
    "parse_memory_failure",
    "parse_page_event",
    "read_section",
]
