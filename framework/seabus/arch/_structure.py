# SPDX-License-Identifier: Apache-2.0
"""Dataclasses whose bytes are described by one table."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from seabus.arch._codecs import Codec
from seabus.arch._layout import Table
from seabus.arch.field_row import FieldRow, FieldValue


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Structure:
    """A structure of fixed layout: its fields by name, and what they do not say.

    A field that is ``None`` is not declared valid. ``unknown_valid`` holds validation bits that the
    specification does not define; ``residue`` holds the structure's bytes with all valid fields
    zeroed: reserved bytes, and what lies in fields that are not declared valid. Both are empty for a
    record that keeps to its specification. Validation bits that declare no field of the table are
    fields themselves, true or false.
    """

    table: ClassVar[Table]

    unknown_valid: int = 0
    residue: bytes = b""

    def encode(self) -> bytes:
        """Return the structure's bytes.

        :raises ValueError: a value does not fit its field, or contradicts another.
        """
        return self.table.pack(
            self._values(),
            unknown_valid=self.unknown_valid,
            residue=self.residue,
            tail_valid=sum(getattr(self, name) << bit for bit, name in self.table.tail.items()),
        )

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> Self:
        """Read the structure that ``data`` starts with.

        :param offset: where ``data`` starts in the whole record, for the error.
        :raises MalformedRecord: ``data`` is too short.
        """
        values, unknown_valid, residue, tail_valid = cls.table.unpack(data, offset)
        values.update((name, bool(tail_valid >> bit & 1)) for bit, name in cls.table.tail.items())
        return cls(**values, unknown_valid=unknown_valid, residue=residue)

    @classmethod
    def of(cls, **values: object) -> Self:
        """Build the structure from values that a person wrote.

        Text is read as the field wants it: words of the specification for an enumeration, names joined
        with ``|`` for flags, ``0x`` for hexadecimal numbers, hexadecimal digits for bytes. What is no
        text is taken as it is, and so is what the table does not have.

        :raises ValueError: no such field, or no such value.
        """
        others = {field.name for field in dataclasses.fields(cls)} - set(cls.table.fields)
        resolved: dict[str, Any] = {
            name: value if name in others else cls.table.resolve(name, value)
            for name, value in values.items()
        }
        return cls(**resolved)

    def rows(self, offset: int = 0, path: str = "") -> Iterator[FieldRow]:
        """Yield one row a field.

        :param offset: where the structure starts in the whole record.
        :param path: what the rows call the structure.
        """
        return self.table.rows(self.encode(), base=offset, path=path)

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.table.fields}

    def __repr__(self) -> str:
        told = (
            f"{field.name}={getattr(self, field.name)!r}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        )
        return f"{type(self).__name__}({', '.join(told)})"


class Nested(Codec[Structure]):
    """Codec of a structure inside another one."""

    def __init__(self, kind: type[Structure]) -> None:
        self._kind = kind

    def read(self, raw: bytes, offset: int) -> tuple[Structure, int]:
        return self._kind.decode(raw, offset), (1 << 8 * len(raw)) - 1

    def write(self, value: Structure, size: int) -> bytes:
        raw = value.encode()
        if len(raw) != size:
            raise ValueError(f"{size} bytes, got {len(raw)}")
        return raw

    def parse(self, text: str) -> Structure:
        pairs = (pair.split("=", 1) for pair in text.split(","))
        return self._kind.of(**{pair[0].strip(): pair[-1].strip() for pair in pairs})

    def show(self, value: Structure) -> FieldValue:
        return value.encode()

    def rows(self, value: Structure, offset: int, path: str) -> Iterator[FieldRow]:
        return value.rows(offset, path)
