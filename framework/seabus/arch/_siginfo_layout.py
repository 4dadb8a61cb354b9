# SPDX-License-Identifier: Apache-2.0
"""Which fields of a ``siginfo_t`` a signal and its code select, as the kernel decides it."""

import enum
from typing import Final

from seabus.arch.malformed import MalformedRecord
from seabus.arch.sigbus import SIGBUS, BusCode

#: Bytes of either structure. Source: SI_MAX_SIZE, Linux include/uapi/asm-generic/siginfo.h.
SIGINFO_SIZE: Final = 128
#: Number of the signal. Source: Linux include/uapi/asm-generic/signal.h.
SIGSEGV: Final = 11


class SegvCode(enum.IntEnum):
    """``si_code`` of a SIGSEGV. Source: Linux include/uapi/asm-generic/siginfo.h."""

    SEGV_MAPERR = 1
    SEGV_ACCERR = 2
    SEGV_BNDERR = 3
    SEGV_PKUERR = 4
    SEGV_ACCADI = 5
    SEGV_ADIDERR = 6
    SEGV_ADIPERR = 7
    SEGV_MTEAERR = 8
    SEGV_MTESERR = 9
    SEGV_CPERR = 10


class SiCode(enum.IntEnum):
    """``si_code`` that any signal may have. Source: Linux include/uapi/asm-generic/siginfo.h."""

    SI_USER = 0
    SI_KERNEL = 0x80
    SI_QUEUE = -1
    SI_TIMER = -2
    SI_MESGQ = -3
    SI_ASYNCIO = -4
    SI_SIGIO = -5
    SI_TKILL = -6
    SI_DETHREAD = -7
    SI_ASYNCNL = -60


class SigLayout(enum.Enum):
    """Which part of the union a signal and its code select.

    Source: Linux include/linux/signal_types.h ``enum siginfo_layout``.
    """

    KILL = "kill"
    TIMER = "timer"
    POLL = "poll"
    FAULT = "fault"
    FAULT_MCEERR = "fault with lsb"
    FAULT_BNDERR = "fault with bounds"
    FAULT_PKUERR = "fault with key"
    FAULT_PERF_EVENT = "fault of perf"
    CHLD = "child"
    RT = "queued"
    SYS = "system call"


# Signal to the highest code of its own, and the layout of those. Source: Linux kernel/signal.c
# sig_sicodes[], with NSIG* of include/uapi/asm-generic/siginfo.h.
_SICODES: Final = {
    4: (11, SigLayout.FAULT),  # SIGILL
    5: (6, SigLayout.FAULT),  # SIGTRAP
    SIGBUS: (5, SigLayout.FAULT),
    8: (15, SigLayout.FAULT),  # SIGFPE
    SIGSEGV: (10, SigLayout.FAULT),
    17: (6, SigLayout.CHLD),  # SIGCHLD
    29: (6, SigLayout.POLL),  # SIGPOLL
    31: (2, SigLayout.SYS),  # SIGSYS
}
_SPECIAL: Final = {
    (SIGBUS, BusCode.BUS_MCEERR_AR): SigLayout.FAULT_MCEERR,
    (SIGBUS, BusCode.BUS_MCEERR_AO): SigLayout.FAULT_MCEERR,
    (SIGSEGV, SegvCode.SEGV_BNDERR): SigLayout.FAULT_BNDERR,
    (SIGSEGV, SegvCode.SEGV_PKUERR): SigLayout.FAULT_PKUERR,
    (5, 6): SigLayout.FAULT_PERF_EVENT,  # SIGTRAP, TRAP_PERF
}
_NSIGPOLL: Final = 6


def layout_of(signo: int, code: int) -> SigLayout:
    """The kernel's ``siginfo_layout()``, Linux kernel/signal.c."""
    if SiCode.SI_USER < code < SiCode.SI_KERNEL:
        limit, layout = _SICODES.get(signo, (0, SigLayout.KILL))
        if code <= limit:
            return _SPECIAL.get((signo, code), layout)
        return SigLayout.POLL if code <= _NSIGPOLL else SigLayout.KILL
    if code == SiCode.SI_TIMER:
        return SigLayout.TIMER
    if code == SiCode.SI_SIGIO:
        return SigLayout.POLL
    return SigLayout.RT if code < 0 else SigLayout.KILL


#: The layouts that have an address.
FAULTS: Final = frozenset(
    {
        *(SigLayout.FAULT, SigLayout.FAULT_MCEERR, SigLayout.FAULT_BNDERR, SigLayout.FAULT_PKUERR),
        SigLayout.FAULT_PERF_EVENT,
    }
)
#: ``si_addr_lsb`` is the number of a bit of an address.
LSB_BITS: Final = 64


def must_be_whole(data: bytes) -> None:
    if len(data) < SIGINFO_SIZE:
        raise MalformedRecord(len(data), "siginfo", f"it ends before its {SIGINFO_SIZE} bytes")
    if len(data) > SIGINFO_SIZE:
        raise MalformedRecord(SIGINFO_SIZE, "siginfo", f"{len(data) - SIGINFO_SIZE} bytes follow it")


def signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def unsigned(value: int, name: str) -> int:
    """Return the 32 bits of a signed value.

    :raises ValueError: it does not fit.
    """
    if not -(1 << 31) <= value < 1 << 31:
        raise ValueError(f"{name} has 32 bits: {value:#x}")
    return value & 0xFFFF_FFFF
