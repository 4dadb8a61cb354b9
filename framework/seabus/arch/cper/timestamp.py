# SPDX-License-Identifier: Apache-2.0
"""Times as records hold them: eight bytes of BCD."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from seabus.arch._codecs import Codec
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

_PRECISE = 1
# Bits 7:1 of byte 3 are reserved.
_MEANT = 0xFFFF_FFFF_01FF_FFFF
_TEXT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)( precise)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """When an error happened, as the platform tells it, in a time zone it does not name.

    Source: ACPI 6.5 section 18.3.2.7.1; UEFI 2.11 appendix N.2.1, Timestamp (BCD).
    """

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    precise: bool = False

    def __str__(self) -> str:
        day = f"{self.year:04}-{self.month:02}-{self.day:02}"
        return f"{day} {self.hour:02}:{self.minute:02}:{self.second:02}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2026-12-31 23:48:59``, with `` precise`` behind it where it is.

        :raises ValueError: another text.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"not a time such as 2026-12-31 23:48:59: {text!r}")
        year, month, day, hour, minute, second = (int(digits) for digits in match.groups()[:6])
        precise = match[7] is not None
        return cls(year=year, month=month, day=day, hour=hour, minute=minute, second=second, precise=precise)

    def encode(self) -> bytes:
        """Return 8 bytes: second, minute, hour, flags, day, month, year, century.

        :raises ValueError: a part has more than two digits.
        """
        century, year = divmod(self.year, 100)
        digits = (self.second, self.minute, self.hour, self.day, self.month, year, century)
        if not all(0 <= number <= 99 for number in digits):
            raise ValueError(f"not a BCD timestamp: {self}")
        packed = [number // 10 << 4 | number % 10 for number in digits]
        return bytes([*packed[:3], int(self.precise), *packed[3:]])

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> Self:
        """Read 8 bytes. Digits are checked, calendar sense is not: 31 February is the platform's.

        :param offset: where the time lies in the whole record, for the error.
        :raises MalformedRecord: a byte is not BCD.
        """
        try:
            second, minute, hour = (_bcd(byte) for byte in data[:3])
            day, month, year, century = (_bcd(byte) for byte in data[4:8])
        except ValueError as error:
            raise MalformedRecord(offset, "timestamp", str(error)) from error
        return cls(
            year=100 * century + year,
            month=month,
            day=day,
            hour=hour,
            minute=minute,
            second=second,
            precise=bool(data[3] & _PRECISE),
        )


def _bcd(value: int) -> int:
    tens, ones = divmod(value, 16)
    if tens > 9 or ones > 9:
        raise ValueError(f"{value:#04x} is not BCD")
    return 10 * tens + ones


class _TimestampCodec(Codec[Timestamp]):
    def read(self, raw: bytes, offset: int) -> tuple[Timestamp, int]:
        return Timestamp.decode(raw, offset), _MEANT

    def write(self, value: Timestamp, size: int) -> bytes:
        return value.encode().ljust(size, b"\0")

    def parse(self, text: str) -> Timestamp:
        return Timestamp.parse(text)

    def show(self, value: Timestamp) -> str:
        return f"{value} precise" if value.precise else str(value)

    def rows(self, value: Timestamp, offset: int, path: str) -> Iterator[FieldRow]:
        del value, offset, path
        return iter(())


TIMESTAMP = _TimestampCodec()
