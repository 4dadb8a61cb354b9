# SPDX-License-Identifier: Apache-2.0
"""Engine for small structures of the C ABI: integers and bytes at fixed offsets, little-endian."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from seabus.arch.malformed import MalformedRecord


@dataclass(frozen=True, slots=True)
class Slot:
    """A member of a structure: ``size`` bytes at ``offset``."""

    name: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


def cut(data: bytes, slot: Slot, *, at: int = 0, base: int = 0) -> bytes:
    """Return the bytes of a slot.

    :param at: where the structure starts in ``data``.
    :param base: offset of ``data`` in the whole record, for the error.
    :raises MalformedRecord: ``data`` ends before the slot does.
    """
    if at + slot.end > len(data):
        reason = "the record ends before this field"
        raise MalformedRecord(base + at + slot.offset, slot.name, reason)
    return data[at + slot.offset : at + slot.end]


def read(data: bytes, slot: Slot, *, at: int = 0, base: int = 0) -> int:
    """Return the integer in a slot; parameters and errors are those of :func:`cut`."""
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
