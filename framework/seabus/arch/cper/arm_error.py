# SPDX-License-Identifier: Apache-2.0
"""ARM processor error information: one error of those that an ARM processor section holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from seabus.arch._layout import Item, Table, flags
from seabus.arch._structure import Structure
from seabus.arch.cper.arm_details import ARM_DETAILS, ArmErrorDetails, ArmErrorKind, arm_error_kinds
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

_LENGTH = Item("length", 1, 1, "bytes of this structure, 32")
_VALID = Item("validation_bits", 2, 2)
_TYPES = flags("", *(kind.value for kind in ArmErrorKind))
# fmt: off
_TABLE = Table("UEFI 2.11 N.2.4.4.1, ARM Processor Error Information Structure", 32, (
    Item("version", 0, 1, "revision of this structure"),
    _LENGTH,
    _VALID,
    Item("type", 4, 1, parts=_TYPES),
    Item("multiple_error", 5, 2, "0 single, 1 multiple, else how many", valid=0),
    Item("flags", 7, 1, valid=1,
         parts=flags("first error captured", "last error captured", "propagated", "overflow")),
    Item("error_info", 8, 8, "details of the error", valid=2),
    Item("virtual_address", 16, 8, "virtual fault address", valid=3),
    Item("physical_address", 24, 8, "physical fault address", valid=4),
), valid=_VALID)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ArmErrorInfo(Structure):
    """One error of an ARM processor section, 32 bytes. A field that is ``None`` is not declared valid.

    ``type`` names kinds by bits 1 to 4, see :class:`ArmTypeEncoding`. ``multiple_error`` is 0 for a single
    error, 1 for several, and from 2 on their number. ``virtual_address`` is one of the software that ran,
    ``physical_address`` one of the level the record is delivered to.

    >>> from seabus.arch.cper import ArmCacheError
    >>> error = ArmErrorInfo.of(type="cache error", error_info=ArmCacheError.of(operation="data read").word)
    >>> hex(error.type), hex(error.error_info)
    ('0x2', '0xc0002')

    Source: UEFI 2.11 appendix N.2.4.4.1, with the type bits of 2.9A and 2.10.
    """

    table: ClassVar[Table] = _TABLE

    type: int = 0
    multiple_error: int | None = None
    flags: int | None = None
    error_info: int | None = None
    virtual_address: int | None = None
    physical_address: int | None = None
    version: int = 0

    @property
    def kinds(self) -> tuple[ArmErrorKind, ...]:
        """What failed, by bits 1 to 4 of the type."""
        return arm_error_kinds(self.type)

    @property
    def details(self) -> ArmErrorDetails | None:
        """The error information, decoded; ``None`` where it is not valid, or not of one known layout.

        No specification says how it is laid out where the type names several kinds.
        """
        if self.error_info is None or len(self.kinds) != 1 or self.kinds[0] not in ARM_DETAILS:
            return None
        return ARM_DETAILS[self.kinds[0]].from_word(self.error_info)

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> Self:
        """Read the structure that ``data`` starts with.

        :param offset: where ``data`` starts in the whole record, for the error.
        :raises MalformedRecord: truncated, or its length is not 32.
        """
        values, unknown_valid, residue, _tail = _TABLE.unpack(data, offset)
        length = values.pop("length")
        if length != _TABLE.size:
            raise MalformedRecord(offset + _LENGTH.offset, "length", f"{length} bytes instead of 32")
        return cls(**values, unknown_valid=unknown_valid, residue=residue)

    def rows(self, offset: int = 0, path: str = "") -> Iterator[FieldRow]:
        """Yield one row a field, those of the error information included.

        :param offset: where the structure starts in the whole record.
        :param path: what the rows call the structure.
        """
        for row in _TABLE.rows(self.encode(), base=offset, path=path):
            yield row
            if row.name == "error_info" and row.valid and self.details is not None:
                yield from self.details.rows(row.offset, f"{path}.error_info")

    def _values(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in _TABLE.fields if name != "length"}
        return {**values, "length": _TABLE.size}
