# SPDX-License-Identifier: Apache-2.0
"""What a kernel logs about errors: records of firmware, bad pages, exceptions, and trouble of its own.

The functions take one line each, with or without what precedes a kernel's message: a level ``<6>``, a
time ``[   12.345678]``, a caller ``[  T123]``, a journal's ``kernel:``. They are for text that
anyone may have written: nothing here fails on a line, takes more than linear time, or stores without a cap.
:func:`parse_dmesg` and :class:`DmesgParser` read a whole log with all of them.

Wordings are those of Linux 6.1 to 7.3.

=======================  ============================================================================
:mod:`.line`             a line freed from what a console or ``dmesg`` puts around it
:mod:`.ghes`             error records put together from lines; :mod:`.sections` types their sections
:mod:`.memory_failure`   bad pages: hard, soft, injected and healed
:mod:`.exceptions`       lines that name an exception or a panic
:mod:`.trouble`          lines that begin a kernel's report on itself; :mod:`.report` reads on
:mod:`.kvm`              KVM's messages
:mod:`.drivers`          EDAC, AER, GHES's signals, complaints about firmware
:mod:`.dmesg`            a whole log; :mod:`.log_events` what it yields
=======================  ============================================================================
"""

from seabus.arch.kernel_text.arm_section import ArmContextInfo, ArmErrorInfo, ArmProcessorDetails
from seabus.arch.kernel_text.cxl_section import CxlProtocolDetails
from seabus.arch.kernel_text.dmesg import MAX_EVENTS, DmesgParser, log_lines, parse_dmesg
from seabus.arch.kernel_text.drivers import (
    AerReport,
    EdacReport,
    FirmwareComplaint,
    GhesSignal,
    parse_aer,
    parse_edac,
    parse_firmware_complaint,
    parse_ghes_signal,
)
from seabus.arch.kernel_text.exceptions import (
    ExceptionLine,
    InternalError,
    KernelAccess,
    KernelPanic,
    SErrorInterrupt,
    UnhandledException,
    UserException,
    parse_exception,
)
from seabus.arch.kernel_text.ghes import GhesRecord, GhesSection, GhesTextParser
from seabus.arch.kernel_text.kvm import KvmMessage, parse_kvm
from seabus.arch.kernel_text.line import MAX_LINE, LogLine, kernel_message, parse_log_line
from seabus.arch.kernel_text.log_events import DmesgReport, LogEvent, LogFinding, LostMessages
from seabus.arch.kernel_text.memory_failure import (
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
from seabus.arch.kernel_text.report import TroubleReport, TroubleTextParser
from seabus.arch.kernel_text.sections import (
    FirmwareDetails,
    MemoryDetails,
    PcieDetails,
    ProcessorDetails,
    SectionDetails,
    UnknownDetails,
    read_section,
)
from seabus.arch.kernel_text.trouble import TROUBLE_KINDS, find_trouble

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
