# SPDX-License-Identifier: Apache-2.0
"""Formats of the architecture: what travels between the levels, as values and pure functions.

No I/O, no state, and nothing of Seabus is imported, so all of it can be read, tested and used
alone. Numbers come from tables that name their source; what cannot be read raises
:exc:`MalformedRecord`.

=====================================  ===================================================================
:mod:`~seabus.arch.addresses`          the four address spaces of a nested world, as types
:mod:`~seabus.arch.esr`                ESR_ELx: why an exception was taken
:mod:`~seabus.arch.expected_abort`     what hardware, KVM, QEMU or a register-writing VMM make of an abort
:mod:`~seabus.arch.exception_entry`    PSTATE, SPSR and ELR when EL1 takes an exception
:mod:`~seabus.arch.abort_deviations`   where an injected abort differs from a real one, and why
:mod:`~seabus.arch.cper`               error records: GHES status blocks, CPER records, all their sections
:mod:`~seabus.arch.hest`               the ACPI table that says who reports errors, how, and where
:mod:`~seabus.arch.einj`               the error types that firmware can inject
:mod:`~seabus.arch.sigbus`             SIGBUS: its codes, and what an agent reports of one
:mod:`~seabus.arch.siginfo`            the bytes of a ``siginfo_t``; :mod:`.signalfd` those of a signalfd
:mod:`~seabus.arch.signal_frame`       the AArch64 signal frame: PC, FAR, ESR and all other records
:mod:`~seabus.arch.trace`              lines of a tracefs ``trace_pipe``, and their events
:mod:`~seabus.arch.kernel_text`        what a kernel prints about errors and about itself, and whole logs
:mod:`~seabus.arch.kernel_cper_text`   the lines that Linux prints for an error record
=====================================  ============================================================"""

from seabus.arch.abort_deviations import Deviation, deviations
from seabus.arch.addresses import (
    PAGE_SHIFT,
    GuestPhysical,
    GuestVirtual,
    HostPhysical,
    VmmVirtual,
)
from seabus.arch.cper import (
    SECTION_TYPES,
    CperRecord,
    DataEntry,
    FieldRow,
    MemoryErrorType,
    MemorySection,
    RecordSection,
    Severity,
    StatusBlock,
    Timestamp,
    UnknownSection,
    decode_cper_record,
    decode_record,
    decode_status_block,
    describe,
    memory_error_record,
    remarks,
)
from seabus.arch.esr import (
    DATA_FAULTS,
    EXCEPTION_CLASSES,
    INSTRUCTION_FAULTS,
    BadEsrField,
    Esr,
    ExceptionClass,
    FaultStatus,
    Field,
    Syndrome,
    decode_esr,
    encode_data_abort,
    encode_esr,
    encode_instruction_abort,
    encode_serror,
    qemu_sea_esr,
)
from seabus.arch.expected_abort import (
    Abort,
    Access,
    ExpectedAbort,
    FarRule,
    Injector,
    KvmInjection,
    Origin,
    kvm_injection,
    predict_abort,
)
from seabus.arch.hest import HestTable, decode_hest
from seabus.arch.kernel_cper_text import linux_lines
from seabus.arch.kernel_text import (
    DmesgParser,
    DmesgReport,
    GhesRecord,
    GhesSection,
    GhesTextParser,
    MemoryFailure,
    find_trouble,
    kernel_message,
    log_lines,
    parse_dmesg,
    parse_memory_failure,
)
from seabus.arch.malformed import MalformedRecord
from seabus.arch.sigbus import SIGBUS, BusCode, SigbusInfo
from seabus.arch.siginfo import SegvCode, Siginfo, decode_siginfo, encode_siginfo
from seabus.arch.signal_frame import SignalContext, SignalFrame, decode_signal_frame, decode_ucontext
from seabus.arch.signalfd import SignalfdSiginfo, decode_signalfd_siginfo
from seabus.arch.trace import (
    LostEvents,
    MceProbe,
    MemoryFailureEvent,
    SeaProbe,
    SignalGenerate,
    TraceLine,
    console_message,
    parse_trace_event,
    parse_trace_line,
)

# Most important first; the table above lists the modules in the same order.
__all__ = [  # noqa: RUF022  # ordered for readers
    "GuestVirtual",
    "GuestPhysical",
    "VmmVirtual",
    "HostPhysical",
    "PAGE_SHIFT",
    "MalformedRecord",
    "decode_esr",
    "Syndrome",
    "Field",
    "FaultStatus",
    "Esr",
    "encode_esr",
    "encode_data_abort",
    "encode_instruction_abort",
    "encode_serror",
    "BadEsrField",
    "qemu_sea_esr",
    "EXCEPTION_CLASSES",
    "ExceptionClass",
    "DATA_FAULTS",
    "INSTRUCTION_FAULTS",
    "Abort",
    "Origin",
    "Access",
    "Injector",
    "predict_abort",
    "ExpectedAbort",
    "FarRule",
    "KvmInjection",
    "kvm_injection",
    "deviations",
    "Deviation",
    "memory_error_record",
    "decode_record",
    "decode_status_block",
    "decode_cper_record",
    "describe",
    "remarks",
    "FieldRow",
    "StatusBlock",
    "DataEntry",
    "CperRecord",
    "RecordSection",
    "MemorySection",
    "UnknownSection",
    "Severity",
    "MemoryErrorType",
    "Timestamp",
    "SECTION_TYPES",
    "decode_hest",
    "HestTable",
    "linux_lines",
    "SigbusInfo",
    "BusCode",
    "SIGBUS",
    "decode_siginfo",
    "encode_siginfo",
    "Siginfo",
    "SegvCode",
    "decode_signal_frame",
    "SignalFrame",
    "decode_ucontext",
    "SignalContext",
    "decode_signalfd_siginfo",
    "SignalfdSiginfo",
    "parse_trace_line",
    "parse_trace_event",
    "TraceLine",
    "LostEvents",
    "MemoryFailureEvent",
    "SignalGenerate",
    "SeaProbe",
    "MceProbe",
    "console_message",
    "parse_dmesg",
    "DmesgReport",
    "DmesgParser",
    "log_lines",
    "GhesTextParser",
    "GhesRecord",
    "GhesSection",
    "parse_memory_failure",
    "MemoryFailure",
    "find_trouble",
    "kernel_message",
]
