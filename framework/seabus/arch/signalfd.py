# SPDX-License-Identifier: Apache-2.0
"""``struct signalfd_siginfo`` as bytes: what a process that blocks a signal reads instead of handling it.

>>> info = SignalfdSiginfo(signo=7, code=5, addr=0xFFFF80001000, addr_lsb=12)
>>> decode_signalfd_siginfo(info.encode()) == info
True
>>> print(info.sigbus())
SIGBUS BUS_MCEERR_AO at 0xffff80001000, 4096 bytes: memory error found, action optional
"""

from dataclasses import dataclass
from typing import Self

from seabus.arch._siginfo_layout import (
    FAULTS,
    LSB_BITS,
    SIGINFO_SIZE,
    SigLayout,
    layout_of,
    must_be_whole,
    signed,
    unsigned,
)
from seabus.arch._slots import Slot, pack, read
from seabus.arch.malformed import MalformedRecord
from seabus.arch.sigbus import SigbusInfo

__all__ = ["SignalfdSiginfo", "decode_signalfd_siginfo"]

_SSI = tuple(
    Slot(name, offset, size)
    for name, offset, size in (
        ("ssi_signo", 0, 4),
        ("ssi_errno", 4, 4),
        ("ssi_code", 8, 4),
        ("ssi_pid", 12, 4),
        ("ssi_uid", 16, 4),
        ("ssi_fd", 20, 4),
        ("ssi_tid", 24, 4),
        ("ssi_band", 28, 4),
        ("ssi_overrun", 32, 4),
        ("ssi_trapno", 36, 4),
        ("ssi_status", 40, 4),
        ("ssi_int", 44, 4),
        ("ssi_ptr", 48, 8),
        ("ssi_utime", 56, 8),
        ("ssi_stime", 64, 8),
        ("ssi_addr", 72, 8),
        ("ssi_addr_lsb", 80, 2),
        ("ssi_syscall", 84, 4),
        ("ssi_call_addr", 88, 8),
        ("ssi_arch", 96, 4),
    )
)
_SSI_SIGNED = frozenset({"ssi_errno", "ssi_code", "ssi_fd", "ssi_status", "ssi_int", "ssi_syscall"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalfdSiginfo:
    """What a read from a signalfd gives; every field of the structure, without its prefix ``ssi_``.

    ``addr`` and ``addr_lsb`` are those of a :class:`Siginfo`. Fields that the signal does not select are 0.

    Source: Linux include/uapi/linux/signalfd.h, fs/signalfd.c ``signalfd_copyinfo()``.
    """

    signo: int
    errno: int = 0
    code: int = 0
    pid: int = 0
    uid: int = 0
    fd: int = 0
    tid: int = 0
    band: int = 0
    overrun: int = 0
    trapno: int = 0
    status: int = 0
    int_: int = 0
    ptr: int = 0
    utime: int = 0
    stime: int = 0
    addr: int = 0
    addr_lsb: int = 0
    syscall: int = 0
    call_addr: int = 0
    arch: int = 0

    @classmethod
    def of(cls, data: bytes) -> Self:
        """See :func:`decode_signalfd_siginfo`."""
        must_be_whole(data)
        values = {}
        for slot in _SSI:
            value = read(data, slot)
            values[_field_of(slot)] = signed(value) if slot.name in _SSI_SIGNED else value
        return cls(**values)

    def sigbus(self) -> SigbusInfo:
        """The same as a report about a fault.

        :raises MalformedRecord: it is no fault, so it has no address, or its lsb is no number of a bit.
        """
        layout = layout_of(self.signo, self.code)
        if layout not in FAULTS:
            raise MalformedRecord(8, "ssi_code", f"signal {self.signo} code {self.code} carries no address")
        lsb = self.addr_lsb if layout is SigLayout.FAULT_MCEERR else None
        if lsb is not None and lsb >= LSB_BITS:
            raise MalformedRecord(80, "ssi_addr_lsb", f"{lsb} is no bit of an address")
        return SigbusInfo(signo=self.signo, code=self.code, address=self.addr, lsb=lsb)

    def encode(self) -> bytes:
        """The 128 bytes.

        :raises ValueError: a value does not fit its field.
        """
        values = {slot.name: getattr(self, _field_of(slot)) for slot in _SSI}
        for name in _SSI_SIGNED:
            values[name] = unsigned(values[name], name)
        return bytes(pack(_SSI, values, SIGINFO_SIZE))


def decode_signalfd_siginfo(data: bytes) -> SignalfdSiginfo:
    """Read one ``struct signalfd_siginfo``.

    :raises MalformedRecord: it has not 128 bytes.
    """
    return SignalfdSiginfo.of(data)


def _field_of(slot: Slot) -> str:
    name = slot.name.removeprefix("ssi_")
    return f"{name}_" if name == "int" else name
