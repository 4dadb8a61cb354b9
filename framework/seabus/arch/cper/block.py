# SPDX-License-Identifier: Apache-2.0
"""Generic Error Status Block: what firmware puts where a GHES points.

A block as it lies in memory (all little-endian)::

    +---------------------------+  0
    | status block, 20 bytes    |  block status, raw data offset and length, data length, severity
    +---------------------------+ 20
    | data entry, 72 bytes      |  section type, severity, revision, flags, FRU, time
    |   section                 |  such as a memory error, 80 bytes
    +---------------------------+ 20 + data length
    | more entries, raw data    |
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from seabus.arch._layout import Item, Part, Table
from seabus.arch.cper._section import bytes_rows
from seabus.arch.cper.entry import DataEntry
from seabus.arch.cper.severity import SEVERITIES, Severity, read_severity
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

_STATUS_PARTS = (
    Part("uncorrected", 0, 0),
    Part("corrected", 1, 1),
    Part("multiple_uncorrected", 2, 2),
    Part("multiple_corrected", 3, 3),
    Part("entry_count", 13, 4, title="number of data entries"),
)
_STATUS = Item("block_status", 0, 4, parts=_STATUS_PARTS)
_RAW_OFFSET = Item("raw_data_offset", 4, 4, "offset of the raw data")
_RAW_LENGTH = Item("raw_data_length", 8, 4, "bytes of raw data")
_DATA_LENGTH = Item("data_length", 12, 4, "bytes of the data entries")
_SEVERITY = Item("error_severity", 16, 4, names=SEVERITIES)
_SOURCE = "ACPI 6.5 section 18.3.2.7, Generic Error Status Block"
_TABLE = Table(_SOURCE, 20, (_STATUS, _RAW_OFFSET, _RAW_LENGTH, _DATA_LENGTH, _SEVERITY))
_SIZE = _TABLE.size

_UNCORRECTED_VALID = 1 << 0
_CORRECTED_VALID = 1 << 1
_MULTIPLE_UNCORRECTED = 1 << 2
_MULTIPLE_CORRECTED = 1 << 3
_COUNT_SHIFT = 4
_MAX_ENTRIES = (1 << 10) - 1  # what 10 bits can count
_UNCORRECTED = frozenset({Severity.RECOVERABLE, Severity.FATAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusBlock:
    """A Generic Error Status Block: what firmware puts where a GHES points.

    ``stated_status`` is what a decoded block says of itself where that differs from what its
    entries say, else ``None``. ``raw_data`` is the vendor's; ``raw_data_offset`` is ``None`` where it
    follows the entries (and 0 without raw data), and ``gap`` what lies between where it does not.

    Source: ACPI 6.5 section 18.3.2.7, Generic Error Status Block.
    """

    severity: Severity
    entries: tuple[DataEntry, ...]
    raw_data: bytes = b""
    stated_status: int | None = None
    raw_data_offset: int | None = None
    gap: bytes = b""

    @property
    def block_status(self) -> int:
        """The block status word: the stated one, or the one that the entries call for.

        Bit 0 uncorrected, bit 1 corrected, bits 2 and 3 more than one of those, bits 13:4 the
        number of entries. So 0x11 for one recoverable error and 0x12 for one corrected error.
        """
        return self._derived_status() if self.stated_status is None else self.stated_status

    def _derived_status(self) -> int:
        severities = [entry.severity for entry in self.entries]
        bad = sum(severity in _UNCORRECTED for severity in severities)
        corrected = severities.count(Severity.CORRECTED)
        return (
            (_UNCORRECTED_VALID if bad else 0)
            | (_CORRECTED_VALID if corrected else 0)
            | (_MULTIPLE_UNCORRECTED if bad > 1 else 0)
            | (_MULTIPLE_CORRECTED if corrected > 1 else 0)
            | len(self.entries) << _COUNT_SHIFT
        )

    def encode(self) -> bytes:
        """Return the block as firmware would write it: header, entries, raw data.

        :raises ValueError: more than 1023 entries, a value does not fit its field, or the gap is not
            what lies between the entries and the raw data.
        """
        if len(self.entries) > _MAX_ENTRIES:
            raise ValueError(f"a block counts up to {_MAX_ENTRIES} entries")
        body = b"".join(entry.encode() for entry in self.entries)
        end = _SIZE + len(body) + len(self.gap)
        offset = self.raw_data_offset
        if offset is None:
            offset = end if self.raw_data else 0
        if self.raw_data and offset != end:
            raise ValueError(f"raw data at {offset}, but entries and gap end at {end}")
        values = {
            "block_status": self.block_status,
            "raw_data_offset": offset,
            "raw_data_length": len(self.raw_data),
            "data_length": len(body),
            "error_severity": self.severity,
        }
        return _TABLE.pack(values) + body + self.gap + self.raw_data

    def rows(self, offset: int = 0, path: str = "block") -> Iterator[FieldRow]:
        """Yield one row a field, those of the entries included.

        :param offset: where the block starts in the whole record.
        :param path: what the rows call the block.
        """
        for row in _TABLE.rows(self.encode(), base=offset, path=path):
            if row.name == _STATUS.name and self.block_status != self._derived_status():
                row = replace(row, problem=f"the entries call for {self._derived_status():#x}")
            yield row
        at = offset + _SIZE
        for index, entry in enumerate(self.entries):
            yield from entry.rows(at, f"entry[{index}]")
            at += len(entry.encode())
        yield from bytes_rows(self.gap, "gap", at, path, _SOURCE)
        yield from bytes_rows(self.raw_data, "raw_data", at + len(self.gap), path, _SOURCE)


def decode_status_block(data: bytes) -> StatusBlock:
    """Read a block. Bytes after it are ignored, as a GHES buffer is larger than its block.

    The walk is bounded: each entry takes 64 bytes or more of ``data``, there are 1023 of them at
    most, and nothing is allocated for a length that the data does not have. Like Linux, it trusts
    the data length, not the entry count.

    :param data: a block, from its first byte.
    :raises MalformedRecord: truncated, lengths that do not add up, or an entry that is malformed.

    Source: ACPI 6.5 section 18.3.2.7; checks as in Linux ``cper_estatus_check()``.
    """
    values = _TABLE.unpack(data).values
    severity = read_severity(values["error_severity"], _SEVERITY.offset)
    end = _SIZE + values["data_length"]
    if end > len(data):
        reason = f"{end - _SIZE} bytes wanted, {len(data) - _SIZE} left"
        raise MalformedRecord(_DATA_LENGTH.offset, _DATA_LENGTH.name, reason)
    entries: list[DataEntry] = []
    offset = _SIZE
    walked = data[:end]
    while offset < end:
        if len(entries) == _MAX_ENTRIES:
            raise MalformedRecord(offset, "data entry", f"more than {_MAX_ENTRIES} entries")
        entry, offset = DataEntry.decode(walked, offset)
        entries.append(entry)
    raw_offset, raw_length = values["raw_data_offset"], values["raw_data_length"]
    gap, raw_data = _raw_data(data, end, raw_offset, raw_length)
    plain = StatusBlock(severity=severity, entries=tuple(entries), gap=gap, raw_data=raw_data)
    if raw_offset != (end + len(gap) if raw_data else 0):
        plain = replace(plain, raw_data_offset=raw_offset)
    status = values["block_status"]
    return plain if plain.block_status == status else replace(plain, stated_status=status)


def _raw_data(data: bytes, end: int, start: int, length: int) -> tuple[bytes, bytes]:
    """Return what lies between the entries and the raw data, and the raw data."""
    if not length:
        return b"", b""
    if start < end:
        raise MalformedRecord(_RAW_OFFSET.offset, _RAW_OFFSET.name, "raw data overlaps the entries")
    if start + length > len(data):
        raise MalformedRecord(_RAW_LENGTH.offset, _RAW_LENGTH.name, "raw data beyond the end")
    return data[end:start], data[start : start + length]
