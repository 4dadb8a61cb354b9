# SPDX-License-Identifier: Apache-2.0
"""The error information word of an ARM processor error, which each kind of error lays out its own way."""

import enum
from dataclasses import dataclass
from typing import ClassVar, Self

from seabus.arch._layout import Item, Table
from seabus.arch._structure import Structure

_TRANSACTIONS = {0: "instruction", 1: "data access", 2: "generic"}
_OPERATIONS = {
    0: "generic error",
    1: "generic read",
    2: "generic write",
    3: "data read",
    4: "data write",
    5: "instruction fetch",
    6: "prefetch",
}
_CACHE_OPERATIONS = {**_OPERATIONS, 7: "eviction", 8: "snooping", 9: "snooped", 10: "management"}
_TLB_OPERATIONS = {**_OPERATIONS, 7: "local management operation", 8: "external management operation"}
_PARTICIPATIONS = {
    0: "local processor originated request",
    1: "local processor responded to request",
    2: "local processor observed",
    3: "generic",
}
_SPACES = {0: "external memory access", 1: "internal memory access", 3: "device memory access"}
_YES = {0: "no", 1: "yes"}

_VALID = Item("validation_bits", 0, 2)


def _bits(name: str, high: int, low: int, valid: int, names: dict[int, str] | None = None) -> Item:
    title = "" if names else name.replace("_", " ")
    return Item(name, 0, 8, title, valid=valid, names=names, shift=low, width=high - low + 1)


def _reserved(low: int) -> Item:
    return Item("reserved", 0, 8, shift=low, width=64 - low, reserved=True)


def _common(operations: dict[int, str]) -> tuple[Item, ...]:
    return (
        _VALID,
        _bits("transaction_type", 17, 16, 0, _TRANSACTIONS),
        _bits("operation", 21, 18, 1, operations),
        _bits("level", 24, 22, 2),
        _bits("context_corrupt", 25, 25, 3, _YES),
        _bits("corrected", 26, 26, 4, _YES),
        _bits("precise_pc", 27, 27, 5, _YES),
        _bits("restartable_pc", 28, 28, 6, _YES),
    )


def _table(name: str, *items: Item) -> Table:
    return Table(f"UEFI 2.11 N.2.4.4.1, {name}", 8, items, valid=_VALID)


_CACHE = _table("ARM Cache Error Structure", *_common(_CACHE_OPERATIONS), _reserved(29))
_TLB = _table("ARM TLB Error Structure", *_common(_TLB_OPERATIONS), _reserved(29))
_BUS = _table(
    "ARM Bus Error Structure",
    *_common(_OPERATIONS),
    _bits("participation_type", 30, 29, 7, _PARTICIPATIONS),
    _bits("time_out", 31, 31, 8, _YES),
    _bits("address_space", 33, 32, 9, _SPACES),
    _bits("memory_attributes", 42, 34, 10),
    _bits("access_mode", 43, 43, 11, {0: "secure", 1: "normal"}),
    _reserved(44),
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ArmErrorDetails(Structure):
    """What cache, TLB and bus errors have in common. A field that is ``None`` is not valid.

    ``level`` is a cache or TLB level, or the affinity level of a bus error; the four after it are 0 or 1.
    """

    transaction_type: int | None = None
    operation: int | None = None
    level: int | None = None
    context_corrupt: int | None = None
    corrected: int | None = None
    precise_pc: int | None = None
    restartable_pc: int | None = None

    @property
    def word(self) -> int:
        """The error information as the record has it, 64 bits.

        :raises ValueError: a value does not fit its field.
        """
        return int.from_bytes(self.encode(), "little")

    @classmethod
    def from_word(cls, word: int) -> Self:
        """Read an error information word of 64 bits; any value is one."""
        return cls.decode(word.to_bytes(8, "little"))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ArmCacheError(ArmErrorDetails):
    """An error in a cache. Source: UEFI 2.11 appendix N.2.4.4.1, ARM Cache Error Structure."""

    table: ClassVar[Table] = _CACHE


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ArmTlbError(ArmErrorDetails):
    """An error in a TLB. Source: UEFI 2.11 appendix N.2.4.4.1, ARM TLB Error Structure."""

    table: ClassVar[Table] = _TLB


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ArmBusError(ArmErrorDetails):
    """An error on a bus. Source: UEFI 2.11 appendix N.2.4.4.1, ARM Bus Error Structure."""

    table: ClassVar[Table] = _BUS

    participation_type: int | None = None
    time_out: int | None = None
    address_space: int | None = None
    memory_attributes: int | None = None
    access_mode: int | None = None


class ArmErrorKind(enum.Enum):
    """What failed."""

    CACHE = "cache error"
    TLB = "TLB error"
    BUS = "bus error"
    MICRO_ARCHITECTURAL = "micro-architectural error"


class ArmTypeEncoding(enum.Enum):
    """How the type byte of an error information structure names its kinds. Nothing in a record says which.

    ``UEFI_2_9A`` (and 2.10): bits 1 to 4; so read Linux from 6.19 on and its stable releases of that time.
    ``UEFI_2_11``: bits 0 to 3. ``NUMBER`` (before 2.9A, where nothing was said): 0 to 3, as older Linux
    reads them.

    Source: those specifications, N.2.4.4.1, Type; Linux commit 96b010536ee0.
    """

    UEFI_2_9A = "bits 1 to 4"
    UEFI_2_11 = "bits 0 to 3"
    NUMBER = "a number"


def arm_error_kinds(
    error_type: int, encoding: ArmTypeEncoding = ArmTypeEncoding.UEFI_2_9A
) -> tuple[ArmErrorKind, ...]:
    """Return the kinds that a type byte names; bits and numbers without a name are left out."""
    if encoding is ArmTypeEncoding.NUMBER:
        return tuple(kind for number, kind in enumerate(ArmErrorKind) if number == error_type)
    first = 1 if encoding is ArmTypeEncoding.UEFI_2_9A else 0
    return tuple(kind for bit, kind in enumerate(ArmErrorKind, first) if error_type >> bit & 1)


#: The layout of the error information word by kind; that of a micro-architectural error is the vendor's.
ARM_DETAILS: dict[ArmErrorKind, type[ArmErrorDetails]] = {
    ArmErrorKind.CACHE: ArmCacheError,
    ArmErrorKind.TLB: ArmTlbError,
    ArmErrorKind.BUS: ArmBusError,
}
