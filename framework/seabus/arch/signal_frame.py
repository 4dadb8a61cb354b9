# SPDX-License-Identifier: Apache-2.0
"""The AArch64 signal frame: where a handler finds PC, FAR and ESR of the fault it handles.

A handler's third argument points to a ``ucontext``, and ``siginfo`` lies 128 bytes before it::

    0          176 = uc_mcontext                                          464 = __reserved        4560
    +----------+---------------+-----------+------+------+--------+-------+-----------------------+
    | uc_flags | fault_address | x0 to x30 |  sp  |  pc  | pstate |   0   | records, 16-aligned   |
    | ...      | 176           | 184       | 432  | 440  | 448    |       | magic, size, payload  |
    +----------+---------------+-----------+------+------+--------+-------+-----------------------+

``__reserved`` holds a chain of records, ended by one of magic and size 0. Records that do not fit go into
an extra space right behind the chain's end, which an ``extra_context`` announces.

Source: Linux arch/arm64/include/uapi/asm/ucontext.h, sigcontext.h; arch/arm64/kernel/signal.c
``parse_user_sigframe()``, ``struct rt_sigframe``.
"""

from dataclasses import dataclass
from typing import Final

from seabus.arch._siginfo_layout import SIGINFO_SIZE
from seabus.arch._slots import Slot, cut, read
from seabus.arch.frame_chain import read_records
from seabus.arch.frame_records import EsrRecord, FrameRecord
from seabus.arch.sigbus import SigbusInfo
from seabus.arch.siginfo import Siginfo, decode_siginfo

__all__ = ["UCONTEXT_SIZE", "SignalContext", "SignalFrame", "decode_signal_frame", "decode_ucontext"]

_MCONTEXT: Final = 176
_RESERVED: Final = _MCONTEXT + 288
_RESERVED_SIZE: Final = 4096
#: Bytes of a ``struct ucontext``, without any extra space.
UCONTEXT_SIZE: Final = _RESERVED + _RESERVED_SIZE

_FLAGS, _LINK = Slot("uc_flags", 0, 8), Slot("uc_link", 8, 8)
_STACK, _STACK_FLAGS, _STACK_SIZE = Slot("ss_sp", 16, 8), Slot("ss_flags", 24, 4), Slot("ss_size", 32, 8)
_MASK = Slot("uc_sigmask", 40, 8)
_FAULT_ADDRESS = Slot("fault_address", _MCONTEXT, 8)
_REGISTERS = tuple(Slot(f"regs[{n}]", _MCONTEXT + 8 + 8 * n, 8) for n in range(31))
_SP, _PC, _PSTATE = Slot("sp", 432, 8), Slot("pc", 440, 8), Slot("pstate", 448, 8)
_CHAIN = Slot("__reserved", _RESERVED, _RESERVED_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalContext:
    """A ``ucontext``: what the interrupted code was about.

    ``fault_address`` is FAR_EL1 with its tag bits removed, 0 where no fault was recorded, such as for a
    poisoned page; ``registers`` are x0 to x30; all addresses are virtual ones of the process. ``stack`` is
    the alternate stack's base, flags and size; ``sigmask`` has bit n-1 set for each blocked signal n.
    """

    flags: int
    link: int
    stack: tuple[int, int, int]
    sigmask: int
    fault_address: int
    registers: tuple[int, ...]
    sp: int
    pc: int
    pstate: int
    records: tuple[FrameRecord, ...]

    @property
    def esr(self) -> int | None:
        """ESR_EL1 of the fault; ``None`` where the kernel gives none, such as for a poisoned page."""
        return next((r.esr for r in self.records if isinstance(r, EsrRecord)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalFrame:
    """A whole frame: what happened, and to whom."""

    info: Siginfo
    context: SignalContext

    def sigbus(self) -> SigbusInfo:
        """Both in one report.

        :raises MalformedRecord: the signal is none of a fault.
        """
        told = self.info.sigbus()
        return SigbusInfo(
            signo=told.signo,
            code=told.code,
            address=told.address,
            lsb=told.lsb,
            pc=self.context.pc,
            fault_address=self.context.fault_address,
            esr=self.context.esr,
        )


def decode_ucontext(data: bytes, *, address: int | None = None, follow_extra: bool = True) -> SignalContext:
    """Read a ``ucontext``, with the extra space that follows it if the frame has one.

    :param data: from the structure's first byte, to its end or beyond.
    :param address: where it was in the process. With it, the pointer to the extra space is checked; without,
        only that the space is where it must be.
    :param follow_extra: False leaves the extra space and its records out, for a dump that lacks it.
    :raises MalformedRecord: it ends early, or its chain of records is broken; the offset is from the start of
        ``data``.
    """
    return _decode(data, 0, address, follow_extra)


def decode_signal_frame(data: bytes, *, address: int | None = None, follow_extra: bool = True) -> SignalFrame:
    """Read an ``rt_sigframe``: a ``siginfo_t`` and the ``ucontext`` behind it.

    Parameters and errors are those of :func:`decode_ucontext`.
    """
    info = decode_siginfo(data[:SIGINFO_SIZE])
    return SignalFrame(info=info, context=_decode(data, SIGINFO_SIZE, address, follow_extra))


def _decode(data: bytes, at: int, address: int | None, follow_extra: bool) -> SignalContext:
    # In order, so that the first field that is missing is the one that is named.
    flags, link = read(data, _FLAGS, at=at), read(data, _LINK, at=at)
    stack = (read(data, _STACK, at=at), read(data, _STACK_FLAGS, at=at), read(data, _STACK_SIZE, at=at))
    sigmask, fault_address = read(data, _MASK, at=at), read(data, _FAULT_ADDRESS, at=at)
    registers = tuple(read(data, slot, at=at) for slot in _REGISTERS)
    sp, pc, pstate = read(data, _SP, at=at), read(data, _PC, at=at), read(data, _PSTATE, at=at)
    cut(data, _CHAIN, at=at)
    start = at + _RESERVED
    records = read_records(
        data,
        start=start,
        end=start + _RESERVED_SIZE,
        address=None if address is None else address + start,
        follow_extra=follow_extra,
    )
    return SignalContext(
        flags=flags,
        link=link,
        stack=stack,
        sigmask=sigmask,
        fault_address=fault_address,
        registers=registers,
        sp=sp,
        pc=pc,
        pstate=pstate,
        records=records,
    )
