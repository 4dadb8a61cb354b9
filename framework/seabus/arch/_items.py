# SPDX-License-Identifier: Apache-2.0
"""Fields of structures: where they lie, what their values mean, and how a person writes them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from seabus.arch._codecs import Codec
from seabus.arch.field_row import FieldRow


@dataclass(frozen=True, slots=True)
class Part:
    """Named bits of a number. ``names`` says what values mean; one that is missing is reserved."""

    name: str
    high: int
    low: int
    names: Mapping[int, str] | None = None
    title: str = ""

    @property
    def mask(self) -> int:
        return (1 << self.high + 1) - (1 << self.low)

    def meaning(self, value: int) -> str:
        if self.names is not None:
            return self.names.get(value, "reserved")
        return self.title or (self.name.replace("_", " ") if value else "")


def flags(*names: str) -> tuple[Part, ...]:
    """Return one part a bit, from bit 0 up; an empty name is a reserved bit."""
    return tuple(Part(name, bit, bit) for bit, name in enumerate(names) if name)


@dataclass(frozen=True, slots=True)
class Item:
    """One field of a structure: ``size`` bytes at ``offset``, or ``width`` bits of them from ``shift``.

    It counts only while one of the validation bits ``valid`` is 1; without any, always. A number has
    ``names`` (an enumeration), ``parts`` (named bits), or any value; other fields have a codec. Items
    may share bytes.
    """

    name: str
    offset: int
    size: int
    title: str = ""
    valid: int | tuple[int, ...] = ()
    names: Mapping[int, str] | None = None
    parts: tuple[Part, ...] = ()
    codec: Codec[Any] | None = None
    shift: int = 0
    width: int = 0
    reserved: bool = False

    @property
    def end(self) -> int:
        return self.offset + self.size

    @property
    def bits(self) -> int:
        return self.width or 8 * self.size

    @property
    def mask(self) -> int:
        """The bits of the field in its structure, read as one little-endian number."""
        return (1 << self.bits) - 1 << 8 * self.offset + self.shift

    @property
    def valid_bits(self) -> tuple[int, ...]:
        return (self.valid,) if isinstance(self.valid, int) else self.valid


def reserved(offset: int, size: int, *, shift: int = 0, width: int = 0) -> Item:
    """Return bytes, or bits of them, that the specification wants to be zero."""
    return Item("reserved", offset, size, shift=shift, width=width, reserved=True)


def is_declared(item: Item, declared: int) -> bool:
    return not item.valid_bits or any(declared >> bit & 1 for bit in item.valid_bits)


def part_rows(parts: Iterable[Part], row: FieldRow, *, shift: int = 0) -> Iterator[FieldRow]:
    """Yield a row for each part of the number in ``row``; flags that are 0 are left out."""
    assert isinstance(row.value, int)
    for part in parts:
        value = (row.value & part.mask) >> part.low
        if part.high == part.low and part.names is None and not value:
            continue
        named = part.names is None or value in part.names
        yield FieldRow(
            path=row.path,
            name=f"{row.name}.{part.name}",
            offset=row.offset,
            length=row.length,
            high=part.high + shift,
            low=part.low + shift,
            value=value,
            meaning=part.meaning(value),
            source=row.source,
            valid=row.valid,
            problem="" if named else "reserved value",
        )


def written(item: Item, value: object) -> tuple[int, int]:
    """Return the field's bits in place, and the mask of those that it stands for."""
    place = 8 * item.offset + item.shift
    if item.codec is None:
        if not isinstance(value, int):
            raise ValueError(f"{item.name} is a number: {value!r}")
        if not 0 <= value < 1 << item.bits:
            raise ValueError(f"{item.name} has {item.bits} bits: {value:#x}")
        return value << place, item.mask
    try:
        raw = item.codec.write(value, item.size)
    except ValueError as error:
        raise ValueError(f"{item.name}: {error}") from error
    _value, used = item.codec.read(raw, item.offset)
    return int.from_bytes(raw, "little") << place, used << place


def meaning_of(item: Item, number: int) -> str:
    if item.names is not None:
        return item.names.get(number, "reserved")
    return item.title or ", ".join(part.name for part in item.parts if part.mask & number)


def problem_of(item: Item, number: int) -> str:
    if item.reserved:
        return "reserved, but not zero"
    if item.names is not None and number not in item.names:
        return "reserved value"
    stray = number & ~sum(part.mask for part in item.parts)
    return f"reserved bits {stray:#x} set" if item.parts and stray else ""


def number_of(item: Item, text: str) -> int:
    if item.names is not None:
        for value, name in item.names.items():
            if name.casefold() == text.strip().casefold():
                return value
    number = 0
    for word in text.split("|"):
        part = next((part for part in item.parts if part.name.casefold() == word.strip().casefold()), None)
        try:
            number |= part.mask if part and part.high == part.low else int(word, 0)
        except ValueError:
            known = list((item.names or {}).values()) + [part.name for part in item.parts]
            hint = f", or one of: {', '.join(known)}" if known else ""
            raise ValueError(f"{item.name}: {text!r} is not a number{hint}") from None
    return number
