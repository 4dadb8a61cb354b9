# SPDX-License-Identifier: Apache-2.0
"""Formats of the architecture: what travels between the levels, as values and pure functions.

No I/O, no state, and nothing of Seabus is imported, so all of it can be read, tested and used
alone. Numbers come from tables that name their source; what cannot be read raises
:exc:`MalformedRecord`.

=================================  ==================================================================
:mod:`~seabus.arch.addresses`      the four address spaces of a nested world, as types
:mod:`~seabus.arch.esr`            ESR_ELx: why an exception was taken
:mod:`~seabus.arch.cper`           error records: GHES status blocks and their CPER sections
:mod:`~seabus.arch.sigbus`         SIGBUS: its codes, and what an agent reports of one
:mod:`~seabus.arch.siginfo`        the bytes of a ``siginfo_t``; :mod:`.signalfd` those of a signalfd
:mod:`~seabus.arch.signal_frame`   the AArch64 signal frame: PC, FAR, ESR and all other records
:mod:`~seabus.arch.trace`          lines of a tracefs ``trace_pipe``, and their events
:mod:`~seabus.arch.kernel_text`    what a kernel prints about errors and about itself, and whole logs
=================================  ==================================================================
"""

from seabus.arch.addresses import (
    PAGE_SHIFT,
    GuestPhysical,
    GuestVirtual,
    HostPhysical,
    VmmVirtual,
)
from seabus.arch.cper import (
    SECTION_TYPES,
    DataEntry,
    MemoryErrorType,
    MemorySection,
    Severity,
    StatusBlock,
    Timestamp,
    UnknownSection,
    decode_status_block,
    memory_error_record,
)
from seabus.arch.esr import (
    DATA_FAULTS,
    EXCEPTION_CLASSES,
    INSTRUCTION_FAULTS,
    Esr,
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
    "qemu_sea_esr",
    "EXCEPTION_CLASSES",
    "DATA_FAULTS",
    "INSTRUCTION_FAULTS",
    "memory_error_record",
    "decode_status_block",
    "StatusBlock",
    "DataEntry",
    "MemorySection",
    "UnknownSection",
    "Severity",
    "MemoryErrorType",
    "Timestamp",
    "SECTION_TYPES",
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
