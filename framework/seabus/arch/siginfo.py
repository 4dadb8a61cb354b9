# SPDX-License-Identifier: Apache-2.0
"""``siginfo_t`` as bytes: what a kernel hands to a signal's handler.

>>> data = encode_siginfo(signo=7, code=4, address=0xFFFF80001000, lsb=12)
>>> len(data), data[:26].hex()
(128, '0700000000000000040000000000000000100080ffff00000c00')
>>> print(decode_siginfo(data).sigbus())
SIGBUS BUS_MCEERR_AR at 0xffff80001000, 4096 bytes: memory error consumed, action required

The layout is that of little-endian LP64; arm64 and x86-64 are the same::

    0       4       8      12      16          24            26              128
    +-------+-------+-------+-------+-----------+-------------+---------------+
    | signo | errno | code  |   0   |  si_addr  | si_addr_lsb |       0       |
    +-------+-------+-------+-------+-----------+-------------+---------------+

Source: Linux include/uapi/asm-generic/siginfo.h.
"""

from dataclasses import dataclass, field
from typing import Final

from seabus.arch._siginfo_layout import (
    FAULTS,
    LSB_BITS,
    SIGINFO_SIZE,
    SIGSEGV,
    SegvCode,
    SiCode,
    SigLayout,
    layout_of,
    must_be_whole,
    signed,
    unsigned,
)
from seabus.arch._slots import Slot, cut, pack, read
from seabus.arch.malformed import MalformedRecord
from seabus.arch.sigbus import SIGBUS, BusCode, SigbusInfo

__all__ = [
    "SIGINFO_SIZE",
    "SIGSEGV",
    "SegvCode",
    "SiCode",
    "SigLayout",
    "Siginfo",
    "decode_siginfo",
    "encode_siginfo",
]

_SIGNO, _ERRNO, _CODE = Slot("si_signo", 0, 4), Slot("si_errno", 4, 4), Slot("si_code", 8, 4)
_UNION = Slot("_sifields", 16, 112)
_ADDRESS, _LSB = Slot("si_addr", 16, 8), Slot("si_addr_lsb", 24, 2)
_LOWER, _UPPER, _PKEY = Slot("si_lower", 32, 8), Slot("si_upper", 40, 8), Slot("si_pkey", 32, 4)
_PID, _UID = Slot("si_pid", 16, 4), Slot("si_uid", 20, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Siginfo:
    """One ``siginfo_t``. What the signal and its code do not select is ``None``.

    ``address`` is ``si_addr``, a virtual address of the process that got the signal; ``lsb`` is
    ``si_addr_lsb``, log2 of the bytes that are lost. ``union`` holds the bytes from 16 on as they are, so
    that :meth:`encode` gives back what was decoded.
    """

    signo: int
    errno: int
    code: int
    union: bytes = field(repr=False)

    @property
    def layout(self) -> SigLayout:
        """Which fields there are."""
        return layout_of(self.signo, self.code)

    @property
    def code_name(self) -> str:
        """``BUS_MCEERR_AR``, ``SEGV_MAPERR``, ``SI_KERNEL`` and the like, or the number of another code."""
        own = {SIGBUS: BusCode, SIGSEGV: SegvCode}.get(self.signo)
        if own is not None and self.code in set(own):
            return own(self.code).name
        return SiCode(self.code).name if self.code in set(SiCode) else f"code {self.code}"

    @property
    def address(self) -> int | None:
        """``si_addr`` of a fault."""
        return self._read(_ADDRESS) if self.layout in FAULTS else None

    @property
    def lsb(self) -> int | None:
        """``si_addr_lsb`` of a memory error."""
        return self._read(_LSB) if self.layout is SigLayout.FAULT_MCEERR else None

    @property
    def bounds(self) -> tuple[int, int] | None:
        """``si_lower`` and ``si_upper`` of SEGV_BNDERR."""
        if self.layout is not SigLayout.FAULT_BNDERR:
            return None
        return self._read(_LOWER), self._read(_UPPER)

    @property
    def pkey(self) -> int | None:
        """``si_pkey`` of SEGV_PKUERR."""
        return self._read(_PKEY) if self.layout is SigLayout.FAULT_PKUERR else None

    @property
    def sender(self) -> tuple[int, int] | None:
        """``si_pid`` and ``si_uid`` of a signal that a process sent."""
        if self.layout not in {SigLayout.KILL, SigLayout.RT, SigLayout.CHLD}:
            return None
        return self._read(_PID), self._read(_UID)

    def sigbus(self) -> SigbusInfo:
        """The same as a report about a fault.

        :raises MalformedRecord: it is no fault, so it has no address, or its lsb is no number of a bit.
        """
        if self.address is None:
            raise MalformedRecord(_CODE.offset, _CODE.name, f"{self.code_name} carries no address")
        if self.lsb is not None and self.lsb >= LSB_BITS:
            raise MalformedRecord(_LSB.offset, _LSB.name, f"{self.lsb} is no bit of an address")
        return SigbusInfo(signo=self.signo, code=self.code, address=self.address, lsb=self.lsb)

    def encode(self) -> bytes:
        """The 128 bytes.

        :raises ValueError: a value does not fit its field.
        """
        values: dict[str, int | bytes] = {
            _SIGNO.name: self.signo,
            _ERRNO.name: unsigned(self.errno, _ERRNO.name),
            _CODE.name: unsigned(self.code, _CODE.name),
            _UNION.name: self.union,
        }
        return bytes(pack((_SIGNO, _ERRNO, _CODE, _UNION), values, SIGINFO_SIZE))

    def _read(self, slot: Slot) -> int:
        return read(self.union, Slot(slot.name, slot.offset - _UNION.offset, slot.size), base=_UNION.offset)


_NSIG: Final = 64  # Linux include/uapi/asm-generic/signal.h


def decode_siginfo(data: bytes) -> Siginfo:
    """Read a ``siginfo_t``.

    :raises MalformedRecord: it has not 128 bytes, or its signal has no such number.
    """
    must_be_whole(data)
    signo = read(data, _SIGNO)
    if not 0 < signo <= _NSIG:
        raise MalformedRecord(_SIGNO.offset, _SIGNO.name, f"no signal has the number {signo}")
    return Siginfo(
        signo=signo,
        errno=signed(read(data, _ERRNO)),
        code=signed(read(data, _CODE)),
        union=cut(data, _UNION),
    )


def encode_siginfo(
    *,
    signo: int,
    code: int,
    address: int,
    lsb: int | None = None,
    errno: int = 0,
    pkey: int | None = None,
    bounds: tuple[int, int] | None = None,
) -> bytes:
    """Build the ``siginfo_t`` of a fault as the kernel does, all else zero.

    :param address: ``si_addr``, virtual.
    :param lsb: with the two memory error codes of SIGBUS, and only with them.
    :raises ValueError: signal and code do not select a field that is given, or lack one that is not.
    """
    layout = layout_of(signo, code)
    if layout not in FAULTS:
        raise ValueError(f"signal {signo} code {code} carries no address")
    wanted = {
        "lsb": layout is SigLayout.FAULT_MCEERR,
        "pkey": layout is SigLayout.FAULT_PKUERR,
        "bounds": layout is SigLayout.FAULT_BNDERR,
    }
    given = {"lsb": lsb, "pkey": pkey, "bounds": bounds}
    for name, value in given.items():
        if wanted[name] != (value is not None):
            verb = "needs" if wanted[name] else "has no"
            raise ValueError(f"signal {signo} code {code} {verb} {name}")
    values: dict[str, int | bytes] = {
        _SIGNO.name: signo,
        _ERRNO.name: unsigned(errno, _ERRNO.name),
        _CODE.name: unsigned(code, _CODE.name),
        _ADDRESS.name: address,
    }
    slots = [_SIGNO, _ERRNO, _CODE, _ADDRESS]
    if lsb is not None:
        slots.append(_LSB)
        values[_LSB.name] = lsb
    if pkey is not None:
        slots.append(_PKEY)
        values[_PKEY.name] = pkey
    if bounds is not None:
        slots += [_LOWER, _UPPER]
        values[_LOWER.name], values[_UPPER.name] = bounds
    return bytes(pack(slots, values, SIGINFO_SIZE))
