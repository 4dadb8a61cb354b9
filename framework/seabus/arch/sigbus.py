# SPDX-License-Identifier: Apache-2.0
"""SIGBUS as a victim or a VMM receives it: its codes, and what an agent reports of one.

>>> info = SigbusInfo.from_mapping({"signo": 7, "code": 4, "address": "0xffff8000", "lsb": 12})
>>> print(info)
SIGBUS BUS_MCEERR_AR at 0xffff8000, 4096 bytes: memory error consumed, action required
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from seabus.arch.malformed import MalformedRecord

__all__ = ["SIGBUS", "BusCode", "SigbusInfo"]

#: Number of the signal. Source: Linux include/uapi/asm-generic/signal.h.
SIGBUS = 7


class BusCode(enum.IntEnum):
    """``si_code`` of a SIGBUS. Source: Linux include/uapi/asm-generic/siginfo.h."""

    BUS_ADRALN = 1
    BUS_ADRERR = 2
    BUS_OBJERR = 3
    BUS_MCEERR_AR = 4
    BUS_MCEERR_AO = 5

    @property
    def meaning(self) -> str:
        """The code in words."""
        return _MEANINGS[self]


_MEANINGS = {
    BusCode.BUS_ADRALN: "invalid address alignment",
    BusCode.BUS_ADRERR: "nonexistent physical address",
    BusCode.BUS_OBJERR: "hardware error of the object, such as an external abort nobody claimed",
    BusCode.BUS_MCEERR_AR: "memory error consumed, action required",
    BusCode.BUS_MCEERR_AO: "memory error found, action optional",
}

_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SigbusInfo:
    """One signal as its handler saw it.

    ``address`` is ``si_addr``, a virtual address of the process that got the signal: guest-virtual
    from a victim in L2, VMM-virtual from a VMM in L1. ``lsb`` is ``si_addr_lsb``, log2 of the bytes
    that are lost, with the two memory error codes only. ``pc`` and ``fault_address`` come from the
    signal frame, and ``esr`` from its ESR record, which arm64 Linux leaves out for a poisoned page.

    Source: sigaction(2); Linux arch/arm64/include/uapi/asm/sigcontext.h.
    """

    signo: int
    code: int
    address: int
    lsb: int | None = None
    pc: int | None = None
    fault_address: int | None = None
    esr: int | None = None
    tid: int | None = None

    @property
    def code_name(self) -> str:
        """``BUS_MCEERR_AR`` and the like, or the number of an unknown code."""
        return BusCode(self.code).name if self.code in set(BusCode) else f"code {self.code}"

    @property
    def is_memory_error(self) -> bool:
        """Whether the kernel blames poisoned memory: codes 4 and 5."""
        return self.signo == SIGBUS and self.code in {BusCode.BUS_MCEERR_AR, BusCode.BUS_MCEERR_AO}

    def __str__(self) -> str:
        if self.signo != SIGBUS:
            return f"signal {self.signo} code {self.code} at {self.address:#x}"
        extent = "" if self.lsb is None else f", {1 << self.lsb} bytes"
        meaning = BusCode(self.code).meaning if self.code in set(BusCode) else "no such code"
        return f"SIGBUS {self.code_name} at {self.address:#x}{extent}: {meaning}"

    @classmethod
    def from_mapping(cls, reply: Mapping[str, object]) -> Self:
        """Read an agent's reply: ``signo``, ``code``, ``address`` and any of the other fields.

        Numbers may be integers or strings (``"0x..."`` or decimal); a missing optional field and
        ``None`` are the same; keys it does not know are ignored, so an agent may say more.

        :raises MalformedRecord: a required field is missing, or a field is not a number in range.
        """
        signo = _number(reply, "signo", bits=7)
        code = _number(reply, "code", bits=32, signed=True)
        address = _number(reply, "address")
        if signo is None or code is None or address is None:
            missing = next(k for k in ("signo", "code", "address") if reply.get(k) is None)
            raise MalformedRecord(None, missing, "missing")
        return cls(
            signo=signo,
            code=code,
            address=address,
            lsb=_number(reply, "lsb", bits=6),
            pc=_number(reply, "pc"),
            fault_address=_number(reply, "fault_address"),
            esr=_number(reply, "esr"),
            tid=_number(reply, "tid", bits=31),
        )


def _number(reply: Mapping[str, object], key: str, *, bits: int = _BITS, signed: bool = False) -> int | None:
    value = reply.get(key)
    if value is None:
        return None
    number: int
    if isinstance(value, str) and len(value) <= _BITS:
        try:
            number = int(value, 0)
        except ValueError as error:
            raise MalformedRecord(None, key, f"{value!r} is not a number") from error
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        raise MalformedRecord(None, key, f"a {type(value).__name__} is not a number")
    low = -1 << bits - 1 if signed else 0
    high = 1 << (bits - 1 if signed else bits)
    if not low <= number < high:
        raise MalformedRecord(None, key, f"{number:#x} does not fit {bits} bits")
    return number
