# SPDX-License-Identifier: Apache-2.0
"""What sections have in common, and the section that stays bytes."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from seabus.arch._layout import Table
from seabus.arch._structure import Structure
from seabus.arch.cper.guids import SECTION_TYPES
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TableSection(Structure):
    """A section that one table describes. ``trailing`` is what follows the table's last byte."""

    guid: ClassVar[uuid.UUID]
    title: ClassVar[str]

    trailing: bytes = b""

    @property
    def name(self) -> str:
        """What :data:`SECTION_TYPES` calls it."""
        return SECTION_TYPES[self.guid]

    def encode(self) -> bytes:
        """Return the section, and what trails it.

        :raises ValueError: a value does not fit its field, or contradicts another.
        """
        body = self.table.pack(self._values(), unknown_valid=self.unknown_valid, residue=self.residue)
        return body + self.trailing

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> Self:
        """Read a section.

        :param data: its bytes, all of them and no more.
        :param offset: where it starts in the whole record, for the error.
        :raises MalformedRecord: it is shorter than its table.
        """
        require(data, cls.table.size, offset, cls.title)
        values, unknown_valid, residue, _tail = cls.table.unpack(data, offset)
        trailing = data[cls.table.size :]
        return cls(**values, unknown_valid=unknown_valid, residue=residue, trailing=trailing)

    def rows(self, offset: int = 0, path: str = "") -> Iterator[FieldRow]:
        """Yield one row a field.

        :param offset: where the section starts in the whole record.
        :param path: what the rows call the section.
        """
        data = self.encode()
        yield from self.table.rows(data, base=offset, path=path)
        start = len(data) - len(self.trailing)
        yield from bytes_rows(self.trailing, "trailing", offset + start, path, self.table.source)


def require(data: bytes, size: int, offset: int, title: str) -> None:
    """Check a section's length.

    :raises MalformedRecord: ``data`` is shorter than ``size``.
    """
    if len(data) < size:
        raise MalformedRecord(offset, title, f"{len(data)} bytes, it has {size} or more")


def stated(stated_valid: int | None, table: Table, *parts: bytes) -> int:
    """Return the validation bits of parts that follow a table, in the table's order of them.

    They are those of the parts that are there, unless the section states others.
    """
    if stated_valid is not None:
        return stated_valid
    return sum(1 << bit for bit, part in zip(table.tail, parts, strict=True) if part)


def unless_stated(declared: int, table: Table, *parts: bytes) -> int | None:
    """Return validation bits that do not fit the parts that follow a table, else ``None``."""
    return None if declared == stated(None, table, *parts) else declared


def bytes_rows(data: bytes, name: str, offset: int, path: str, source: str) -> Iterator[FieldRow]:
    """Yield a row for bytes without structure, or none where there are none."""
    if data:
        yield FieldRow(
            path=path,
            name=name,
            offset=offset,
            length=len(data),
            value=data,
            meaning=f"{len(data)} bytes",
            source=source,
        )


@dataclass(frozen=True, slots=True)
class UnknownSection:
    """A section kept as bytes: nobody decodes its type yet, or nobody knows it."""

    guid: uuid.UUID
    data: bytes

    @property
    def name(self) -> str:
        """What :data:`SECTION_TYPES` calls it, or its GUID."""
        return SECTION_TYPES.get(self.guid, str(self.guid))

    def encode(self) -> bytes:
        """Return the bytes as they came."""
        return self.data

    def rows(self, offset: int = 0, path: str = "") -> Iterator[FieldRow]:
        """Yield one row with the bytes, if there are any.

        :param offset: where the section starts in the whole record.
        :param path: what the row calls the section.
        """
        return bytes_rows(self.data, "data", offset, path, "UEFI 2.11 N.2.3, Non-standard Section Body")
