# SPDX-License-Identifier: Apache-2.0
"""Engine for little-endian structures described by tables, with one validation bit a field."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from seabus.arch.malformed import MalformedRecord


@dataclass(frozen=True, slots=True)
class Slot:
    """A plain integer of a structure: ``size`` bytes at ``offset``, little-endian."""

    name: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Member:
    """An optional field of a section: it counts only while validation bit ``valid`` is 1.

    ``shift`` and ``width`` cut it out of its ``size`` bytes; a width of 0 stands for all of them.
    Members may share bytes.
    """

    valid: int
    name: str
    offset: int
    size: int
    shift: int = 0
    width: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.size

    @property
    def bits(self) -> int:
        return self.width or 8 * self.size


def cut(data: bytes, slot: Slot | Member, *, at: int = 0, base: int = 0) -> bytes:
    """Return the bytes of a slot.

    :param at: where the structure starts in ``data``.
    :param base: offset of ``data`` in the whole record, for the error.
    :raises MalformedRecord: ``data`` ends before the slot does.
    """
    if at + slot.end > len(data):
        reason = "the record ends before this field"
        raise MalformedRecord(base + at + slot.offset, slot.name, reason)
    return data[at + slot.offset : at + slot.end]


def read(data: bytes, slot: Slot | Member, *, at: int = 0, base: int = 0) -> int:
    """Return the integer in a slot, unmasked; parameters and errors are those of :func:`cut`."""
    return int.from_bytes(cut(data, slot, at=at, base=base), "little")


def pack(slots: Iterable[Slot], values: Mapping[str, int | bytes], length: int) -> bytearray:
    """Return ``length`` bytes with each slot filled; bytes are copied, integers put little-endian.

    :raises ValueError: a value does not fit its slot.
    """
    data = bytearray(length)
    for slot in slots:
        value = values[slot.name]
        if isinstance(value, int):
            if not 0 <= value < 1 << 8 * slot.size:
                raise ValueError(f"{slot.name} has {8 * slot.size} bits: {value:#x}")
            value = value.to_bytes(slot.size, "little")
        if len(value) > slot.size:
            raise ValueError(f"{slot.name} has {slot.size} bytes, got {len(value)}")
        data[slot.offset : slot.offset + len(value)] = value
    return data


def read_members(members: Iterable[Member], data: bytes, valid: int, base: int) -> dict[str, int]:
    """Return the valid members by name; the others are absent.

    :param valid: the validation bits.
    :param base: offset of ``data`` in the whole record, for the error.
    :raises MalformedRecord: a member is declared valid, but lies beyond ``data``.
    """
    found: dict[str, int] = {}
    for member in members:
        if valid >> member.valid & 1:
            value = read(data, member, base=base) >> member.shift
            found[member.name] = value & (1 << member.bits) - 1
    return found


def put_members(members: Iterable[Member], values: Mapping[str, int], data: bytearray) -> int:
    """Write the members into ``data`` and return the validation bits that declare them.

    :raises ValueError: a value does not fit, or two members want the same bits to differ.
    """
    valid = 0
    written = 0
    image = 0
    for member in members:
        value = values.get(member.name)
        if value is None:
            continue
        if not 0 <= value < 1 << member.bits:
            raise ValueError(f"{member.name} has {member.bits} bits: {value:#x}")
        place = 8 * member.offset + member.shift
        mask = (1 << member.bits) - 1 << place
        if (image ^ value << place) & mask & written:
            raise ValueError(f"{member.name} contradicts a field that shares its bits")
        image |= value << place
        written |= mask
        valid |= 1 << member.valid
    kept = int.from_bytes(data, "little") & ~written
    data[:] = (kept | image).to_bytes(len(data), "little")
    return valid
