# SPDX-License-Identifier: Apache-2.0
"""The records of an AArch64 signal frame, one class each.

Source: Linux arch/arm64/include/uapi/asm/sigcontext.h, sve_context.h.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from seabus.arch._slots import Slot, read
from seabus.arch.malformed import MalformedRecord

__all__ = [
    "EsrRecord",
    "ExtraRecord",
    "FpmrRecord",
    "FpsimdRecord",
    "FrameRecord",
    "GcsRecord",
    "PoeRecord",
    "SveRecord",
    "Tpidr2Record",
    "UnknownRecord",
    "ZaRecord",
    "ZtRecord",
]

_SIZE_AT: Final = 4
_HEADER: Final = 8
_VL_UNIT: Final = 16  # bytes of a quadword; vector lengths are multiples of it
_VL_MAX: Final = 8192  # SVE_VL_MAX: 512 quadwords


@dataclass(frozen=True, slots=True)
class FpsimdRecord:
    """``fpsimd_context``: FPSR, FPCR and V0 to V31, each 128 bits."""

    fpsr: int
    fpcr: int
    vregs: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class EsrRecord:
    """``esr_context``: ESR_EL1 of the fault, sanitised for addresses of the kernel."""

    esr: int


@dataclass(frozen=True, slots=True)
class ExtraRecord:
    """``extra_context``: where the extra space is (a virtual address) and its size in bytes."""

    datap: int
    size: int


@dataclass(frozen=True, slots=True)
class SveRecord:
    """``sve_context``: the vector length in bytes and Z, P and FFR; ``data`` is empty if there are none.

    With ``streaming`` the registers are those of streaming mode.
    """

    vl: int
    flags: int
    data: bytes = field(repr=False)

    @property
    def streaming(self) -> bool:
        """SVE_SIG_FLAG_SM."""
        return bool(self.flags & 1)


@dataclass(frozen=True, slots=True)
class ZaRecord:
    """``za_context``: the streaming vector length in bytes and the ZA array; empty if PSTATE.ZA is 0."""

    vl: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ZtRecord:
    """``zt_context``: how many ZT registers of 64 bytes, and them."""

    nregs: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tpidr2Record:
    """``tpidr2_context``: TPIDR2_EL0."""

    tpidr2: int


@dataclass(frozen=True, slots=True)
class FpmrRecord:
    """``fpmr_context``: FPMR."""

    fpmr: int


@dataclass(frozen=True, slots=True)
class PoeRecord:
    """``poe_context``: POR_EL0."""

    por_el0: int


@dataclass(frozen=True, slots=True)
class GcsRecord:
    """``gcs_context``: GCSPR_EL0 and which features of the guarded control stack are on."""

    gcspr: int
    features_enabled: int


@dataclass(frozen=True, slots=True)
class UnknownRecord:
    """A record of a later kernel: its magic, and the bytes behind its header."""

    magic: int
    data: bytes = field(repr=False)


FrameRecord: TypeAlias = (
    FpsimdRecord
    | EsrRecord
    | ExtraRecord
    | SveRecord
    | ZaRecord
    | ZtRecord
    | Tpidr2Record
    | FpmrRecord
    | PoeRecord
    | GcsRecord
    | UnknownRecord
)


def _word(data: bytes, at: int, name: str, offset: int, size: int = 8) -> int:
    return read(data, Slot(name, offset, size), at=at)


def _fpsimd(data: bytes, at: int, size: int) -> FpsimdRecord:
    vregs = tuple(_word(data, at, f"vregs[{n}]", 16 + 16 * n, 16) for n in range(32))
    return FpsimdRecord(_word(data, at, "fpsr", 8, 4), _word(data, at, "fpcr", 12, 4), vregs)


def _vector_length(data: bytes, at: int) -> int:
    vl = _word(data, at, "vl", 8, 2)
    if vl % _VL_UNIT or vl > _VL_MAX:
        raise MalformedRecord(at + 8, "vl", f"{vl} is no vector length")
    return vl


def _payload(data: bytes, at: int, size: int, needed: int, name: str) -> bytes:
    """Return the registers behind a header of 16 bytes: none at all, or all of them."""
    if size == 16:
        return b""
    if size < 16 + needed:
        raise MalformedRecord(at + _SIZE_AT, "size", f"{name} needs {16 + needed} bytes, not {size}")
    return data[at + 16 : at + 16 + needed]


def _sve(data: bytes, at: int, size: int) -> SveRecord:
    vl = _vector_length(data, at)
    quadwords = vl // _VL_UNIT
    # 32 Z registers of vl bytes, 16 P registers and FFR of an eighth of it.
    payload = _payload(data, at, size, 32 * vl + 17 * 2 * quadwords, "sve_context")
    return SveRecord(vl, _word(data, at, "flags", 10, 2), payload)


def _za(data: bytes, at: int, size: int) -> ZaRecord:
    vl = _vector_length(data, at)
    return ZaRecord(vl, _payload(data, at, size, vl * vl, "za_context"))


def _zt(data: bytes, at: int, size: int) -> ZtRecord:
    nregs = _word(data, at, "nregs", 8, 2)
    return ZtRecord(nregs, _payload(data, at, size, 64 * nregs, "zt_context"))


# Magic to name, least size and reader; in the order of sigcontext.h.
_KNOWN: Final[Mapping[int, tuple[str, int, Callable[[bytes, int, int], FrameRecord]]]] = {
    0x46508001: ("fpsimd_context", 528, _fpsimd),
    0x45535201: ("esr_context", 16, lambda d, at, size: EsrRecord(_word(d, at, "esr", 8))),
    0x504F4530: ("poe_context", 16, lambda d, at, size: PoeRecord(_word(d, at, "por_el0", 8))),
    0x45585401: (
        "extra_context",
        32,
        lambda d, at, size: ExtraRecord(_word(d, at, "datap", 8), _word(d, at, "extra_context.size", 16, 4)),
    ),
    0x53564501: ("sve_context", 16, _sve),
    0x54504902: ("tpidr2_context", 16, lambda d, at, size: Tpidr2Record(_word(d, at, "tpidr2", 8))),
    0x46504D52: ("fpmr_context", 16, lambda d, at, size: FpmrRecord(_word(d, at, "fpmr", 8))),
    0x54366345: ("za_context", 16, _za),
    0x5A544E01: ("zt_context", 16, _zt),
    0x47435300: (
        "gcs_context",
        32,
        lambda d, at, size: GcsRecord(_word(d, at, "gcspr", 8), _word(d, at, "features_enabled", 16)),
    ),
}

#: The magics that are known.
KNOWN_MAGICS: Final = frozenset(_KNOWN)


def read_record(data: bytes, at: int, magic: int, size: int) -> FrameRecord:
    """Read the record at ``at``, whose header was read and whose ``size`` lies within ``data``.

    :raises MalformedRecord: it is shorter than its kind must be, or what it counts is.
    """
    known = _KNOWN.get(magic)
    if known is None:
        return UnknownRecord(magic, data[at + _HEADER : at + size])
    name, minimum, reader = known
    if size < minimum:
        raise MalformedRecord(at + _SIZE_AT, "size", f"{name} has at least {minimum} bytes, not {size}")
    return reader(data, at, size)
