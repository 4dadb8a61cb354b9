# SPDX-License-Identifier: Apache-2.0
"""Fields that are not plain numbers: how they are read, written, and which of their bits they use."""

import uuid
from collections.abc import Iterator
from typing import Protocol, TypeVar

from seabus.arch.field_row import FieldRow, FieldValue

T = TypeVar("T")


class Codec(Protocol[T]):
    """Reads and writes one kind of field."""

    def read(self, raw: bytes, offset: int) -> tuple[T, int]:
        """Return the value, and a mask of the bits (of the little-endian number) that it stands for.

        :raises MalformedRecord: no such value.
        """

    def write(self, value: T, size: int) -> bytes:
        """Return ``size`` bytes that :meth:`read` reads as this value.

        :raises ValueError: it does not fit.
        """

    def parse(self, text: str) -> T:
        """Return the value that a person wrote.

        :raises ValueError: it is none.
        """

    def show(self, value: T) -> FieldValue:
        """Return what a row shows."""

    def rows(self, value: T, offset: int, path: str) -> Iterator[FieldRow]:
        """Yield rows of what is inside."""


V = TypeVar("V", bytes, str, uuid.UUID)


class _Plain(Codec[V]):
    """A field that a row shows as it is, with nothing inside."""

    def show(self, value: V) -> FieldValue:
        return value

    def rows(self, value: V, offset: int, path: str) -> Iterator[FieldRow]:
        del value, offset, path
        return iter(())


def _all_bits(size: int) -> int:
    return (1 << 8 * size) - 1


class _Bytes(_Plain[bytes]):
    def read(self, raw: bytes, offset: int) -> tuple[bytes, int]:
        return raw, _all_bits(len(raw))

    def write(self, value: bytes, size: int) -> bytes:
        if len(value) > size:
            raise ValueError(f"{size} bytes, got {len(value)}")
        return value.ljust(size, b"\0")

    def parse(self, text: str) -> bytes:
        return bytes.fromhex(text)


class _Text(_Plain[str]):
    """ASCII up to the first NUL. Bytes that are not ASCII become lone surrogates, as file names do."""

    def read(self, raw: bytes, offset: int) -> tuple[str, int]:
        text, nul, _rest = raw.partition(b"\0")
        return text.decode("ascii", "surrogateescape"), _all_bits(len(text) + len(nul))

    def write(self, value: str, size: int) -> bytes:
        raw = value.encode("ascii", "surrogateescape")
        if len(raw) > size or b"\0" in raw:
            raise ValueError(f"{size} bytes of ASCII without NUL, got {value!r}")
        return raw.ljust(size, b"\0")

    def parse(self, text: str) -> str:
        return text


class _Guid(_Plain[uuid.UUID]):
    """A GUID as EFI lays it out: the first three parts little-endian."""

    def read(self, raw: bytes, offset: int) -> tuple[uuid.UUID, int]:
        return uuid.UUID(bytes_le=raw), _all_bits(16)

    def write(self, value: uuid.UUID, size: int) -> bytes:
        assert size == len(value.bytes_le)
        return value.bytes_le

    def parse(self, text: str) -> uuid.UUID:
        return uuid.UUID(text)


BYTES = _Bytes()
TEXT = _Text()
GUID = _Guid()
