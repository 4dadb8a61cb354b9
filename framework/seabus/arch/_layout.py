# SPDX-License-Identifier: Apache-2.0
"""Engine for little-endian structures described by tables: fields, validation bits, what is left over.

Whatever no valid field stands for (reserved bytes, fields that are not declared valid) is kept as the
*residue*, so that a structure that was read is written back bit by bit as it was.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from seabus.arch._items import (
    Item,
    Part,
    flags,
    is_declared,
    meaning_of,
    number_of,
    part_rows,
    problem_of,
    reserved,
    written,
)
from seabus.arch.field_row import FieldRow, FieldValue
from seabus.arch.malformed import MalformedRecord

__all__ = ["Item", "Part", "Table", "Unpacked", "flags", "reserved"]


class Unpacked(NamedTuple):
    """What was read: the valid fields by name, validation bits nobody defines, what is left over.

    ``tail_valid`` holds the validation bits of parts that follow the table.
    """

    values: dict[str, Any]
    unknown_valid: int
    residue: bytes
    tail_valid: int


class Table:
    """A structure of fixed layout.

    :param source: the specification's table, for people.
    :param items: its fields, those that are reserved included.
    :param size: bytes of all of it.
    :param valid: the field that holds the validation bits, where there is one.
    :param tail: validation bits of parts of varying length that follow, by number, with their names.
    """

    def __init__(
        self,
        source: str,
        size: int,
        items: Iterable[Item],
        *,
        valid: Item | None = None,
        tail: Mapping[int, str] | None = None,
    ) -> None:
        self.source = source
        self.size = size
        self.items = tuple(items)
        self.valid = valid
        self.fields = {item.name: item for item in self.items if not item.reserved and item is not valid}
        self.tail = dict(tail or {})
        self.tail_valid = sum(1 << bit for bit in self.tail)
        self.known_valid = self.tail_valid | sum(
            1 << bit for bit in {bit for item in self.items for bit in item.valid_bits}
        )
        # Fields that any of several bits declares: which of them did is not in their value.
        choices = {item.valid_bits for item in self.items if len(item.valid_bits) > 1}
        self._choices = tuple(sum(1 << bit for bit in bits) for bits in choices)
        self._valid_place = 8 * valid.offset if valid else 0
        self._valid_mask = valid.mask if valid else 0
        # What unpack() needs of each field, found once: it is the hot path.
        self._reads = tuple(
            (
                item.name,
                sum(1 << bit for bit in item.valid_bits),
                item.end,
                8 * item.offset + item.shift,
                (1 << item.bits) - 1,
                item.mask,
                item,
            )
            for item in self.fields.values()
        )

    def unpack(self, data: bytes, base: int = 0, size: int | None = None) -> Unpacked:
        """Read the structure at the start of ``data``.

        :param base: offset of ``data`` in the whole record, for the error.
        :param size: bytes of the structure that exist, where it may be shorter than its table.
        :raises MalformedRecord: it is shorter than that, or declares a field valid that it has not.
        """
        size = self.size if size is None else size
        if len(data) < size:
            missing = next((item for item in self.items if item.end > len(data)), None)
            place, name = (missing.offset, missing.name) if missing else (len(data), self.source)
            raise MalformedRecord(base + place, name, "the record ends before this field")
        image = int.from_bytes(data[:size], "little")
        declared = (image & self._valid_mask) >> self._valid_place
        claimed = self._valid_mask
        values: dict[str, Any] = {}
        for name, wanted, end, place, ones, mask, item in self._reads:
            if wanted and not wanted & declared:
                continue
            if end > size:
                raise MalformedRecord(base + item.offset, name, "declared valid, but the record ends before")
            if item.codec is None:
                values[name] = image >> place & ones
                claimed |= mask
            else:
                raw = data[item.offset : end]
                values[name], used = item.codec.read(raw, base + item.offset)
                claimed |= used << place
        left = image & ~claimed
        residue = left.to_bytes(size, "little").rstrip(b"\0") if left else b""
        derived = self._declared(values) if self._choices else declared & self.known_valid
        return Unpacked(values, declared & ~self.tail_valid & ~derived, residue, declared & self.tail_valid)

    def pack(
        self,
        values: Mapping[str, Any],
        *,
        unknown_valid: int = 0,
        residue: bytes = b"",
        size: int | None = None,
        tail_valid: int = 0,
    ) -> bytes:
        """Write the structure; a value of ``None`` is left out, and not declared valid.

        :raises ValueError: a value does not fit, two want the same bits to differ, a field lies beyond
            ``size``, or ``unknown_valid`` has bits of fields.
        """
        size = self.size if size is None else size
        if len(residue) > size:
            raise ValueError(f"residue: more than {size} bytes")
        taken = self.known_valid & ~sum(self._choices)
        if unknown_valid & taken or unknown_valid >> (self.valid.bits if self.valid else 0):
            raise ValueError(f"unknown_valid has bits of known fields: {unknown_valid:#x}")
        given = {name: value for name, value in values.items() if value is not None}
        image = 0
        claimed = self._valid_mask
        for name, value in given.items():
            item = self.fields[name]
            if item.end > size:
                raise ValueError(f"{name} lies beyond the {size} bytes of this structure")
            field, used = written(item, value)
            if (image ^ field) & claimed & used:
                raise ValueError(f"{name} contradicts a field that shares its bits")
            image |= field
            claimed |= used
        declared = self._declared(given) | tail_valid & self.tail_valid | unknown_valid
        image |= declared << self._valid_place
        image |= int.from_bytes(residue, "little") & ~claimed
        return image.to_bytes(size, "little")

    def _declared(self, given: Iterable[str]) -> int:
        """Validation bits of the fields given. One with a choice of bits takes what others have set."""
        bits = [self.fields[name].valid_bits for name in given]
        declared = 0
        for choice in sorted(filter(None, bits), key=len):
            if not any(declared >> bit & 1 for bit in choice):
                declared |= 1 << choice[0]
        return declared

    def resolve(self, name: str, value: object) -> object:
        """Return the value of a field that a person wrote as text.

        An enumeration takes the words of the specification, named bits are joined with ``|``, numbers
        may be hexadecimal, bytes are hexadecimal digits. What is no text is returned as it is.

        :raises ValueError: no such field, or no such value.
        """
        item = self.fields.get(name)
        if item is None:
            raise ValueError(f"{self.source} has no field {name}; it has {', '.join(self.fields)}")
        if not isinstance(value, str):
            return value
        return number_of(item, value) if item.codec is None else item.codec.parse(value)

    def rows(self, data: bytes, *, base: int = 0, path: str = "") -> Iterator[FieldRow]:
        """Yield a row for each field of the structure that ``data`` starts with, in table order.

        Reserved bytes get a row only where they are not zero. A field that is not valid gets none where a
        valid one has its bits.

        :param base: offset of ``data`` in the whole record.
        """
        size = min(self.size, len(data))
        image = int.from_bytes(data[:size], "little")
        declared = (image & self._valid_mask) >> self._valid_place
        present = [item for item in self.items if item.end <= size]
        valid_items = {id(item) for item in present if is_declared(item, declared)}
        taken = 0
        for item in present:
            taken |= item.mask if id(item) in valid_items and item is not self.valid else 0
        for item in present:
            valid = id(item) in valid_items
            value = image >> 8 * item.offset + item.shift & (1 << item.bits) - 1
            if (item.reserved and not value) or (not valid and item.mask & taken):
                continue
            row = self._row(item, data, value, valid, base, path)
            yield row
            if valid and not item.reserved:
                yield from self._inner_rows(item, row, data)

    def _row(self, item: Item, data: bytes, number: int, valid: bool, base: int, path: str) -> FieldRow:
        value: FieldValue = number
        if item.codec is not None:
            raw = data[item.offset : item.end]
            value = item.codec.show(item.codec.read(raw, base + item.offset)[0]) if valid else raw
        if item is self.valid:
            meaning, problem = self._valid_meaning(number), self._valid_problem(number)
        else:
            meaning, problem = meaning_of(item, number), problem_of(item, number)
        if not valid:
            problem = "not declared valid, but not zero" if number else ""
        return FieldRow(
            path=path,
            name=item.name,
            offset=base + item.offset,
            length=item.size,
            high=item.shift + item.bits - 1 if item.width else None,
            low=item.shift if item.width else None,
            value=value,
            meaning=meaning,
            source=self.source,
            valid=valid,
            problem=problem,
        )

    def _inner_rows(self, item: Item, row: FieldRow, data: bytes) -> Iterator[FieldRow]:
        if item.codec is not None:
            value, _used = item.codec.read(data[item.offset : item.end], row.offset)
            yield from item.codec.rows(value, row.offset, f"{row.path}.{item.name}")
        elif isinstance(row.value, int):
            yield from part_rows(item.parts, row, shift=item.shift)

    def _valid_problem(self, declared: int) -> str:
        if declared & ~self.known_valid:
            return f"undefined bits {declared & ~self.known_valid:#x} set"
        both = next((bits for bits in self._choices if (declared & bits).bit_count() > 1), 0)
        return f"more than one of the bits {both:#x} set" if both else ""

    def _valid_meaning(self, declared: int) -> str:
        named = [(item.name, item.valid_bits) for item in self.fields.values()]
        named += [(name, (bit,)) for bit, name in self.tail.items()]
        return ", ".join(name for name, bits in named if any(declared >> bit & 1 for bit in bits))
