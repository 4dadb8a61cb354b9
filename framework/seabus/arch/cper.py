# SPDX-License-Identifier: Apache-2.0
"""Error records: the Generic Error Status Block of ACPI, with the CPER sections of UEFI inside.

A block as it lies in memory (all little-endian)::

    +---------------------------+  0
    | status block, 20 bytes    |  block status, raw data offset and length, data length, severity
    +---------------------------+ 20
    | data entry, 72 bytes      |  section type, severity, revision, flags, FRU, time
    |   section                 |  such as a memory error, 80 bytes
    +---------------------------+ 20 + data length
    | more entries, raw data    |

The same formats travel at two levels: L1's firmware describes L1's memory, QEMU describes the
guest's. So a :class:`MemorySection` holds plain integers, and the caller, who knows the level,
gives them a type of :mod:`seabus.arch.addresses`.

>>> from seabus.arch.addresses import HostPhysical
>>> record = memory_error_record(HostPhysical(0x10123f000), fru_id=uuid.UUID(int=1))
>>> hex(record.block_status), len(record.encode())
('0x11', 172)
>>> decode_status_block(record.encode()) == record
True
"""

import enum
import uuid
from dataclasses import dataclass, replace
from typing import Self

from seabus.arch import cper_sections
from seabus.arch._layout import Slot, cut, pack, read
from seabus.arch.addresses import HostPhysical
from seabus.arch.cper_sections import (
    MEMORY_ERROR_SECTION,
    SECTION_TYPES,
    MemoryErrorType,
    MemorySection,
    Section,
    UnknownSection,
)
from seabus.arch.malformed import MalformedRecord

__all__ = [
    "MEMORY_ERROR_SECTION",
    "SECTION_TYPES",
    "DataEntry",
    "MalformedRecord",
    "MemoryErrorType",
    "MemorySection",
    "Severity",
    "StatusBlock",
    "Timestamp",
    "UnknownSection",
    "decode_status_block",
    "memory_error_record",
]


class Severity(enum.IntEnum):
    """How bad it is. Source: ACPI 6.5 section 18.3.2.7.1, UEFI 2.11 appendix N.2.1."""

    RECOVERABLE = 0
    FATAL = 1
    CORRECTED = 2
    INFORMATIONAL = 3


# --- Data entries ---------------------------------------------------------------------------------

# ACPI 6.5 section 18.3.2.7.1, Generic Error Data Entry. Revision 3 appended the timestamp.
_ENTRY = (
    Slot("section_type", 0, 16),
    Slot("error_severity", 16, 4),
    Slot("revision", 20, 2),
    Slot("validation_bits", 22, 1),
    Slot("flags", 23, 1),
    Slot("error_data_length", 24, 4),
    Slot("fru_id", 28, 16),
    Slot("fru_text", 44, 20),
    Slot("timestamp", 64, 8),
)
_TYPE, _SEVERITY, _REVISION, _VALID, _FLAGS, _LENGTH, _FRU_ID, _FRU_TEXT, _TIME = _ENTRY
_ENTRY_SIZE_V1 = _FRU_TEXT.end
_ENTRY_SIZE_V3 = _TIME.end
_VALID_FRU_ID = 1 << 0
_VALID_FRU_TEXT = 1 << 1
_VALID_TIME = 1 << 2
_VALID_KNOWN = _VALID_FRU_ID | _VALID_FRU_TEXT | _VALID_TIME


def _bcd(value: int) -> int:
    tens, ones = divmod(value, 16)
    if tens > 9 or ones > 9:
        raise ValueError(f"{value:#04x} is not BCD")
    return 10 * tens + ones


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

        :raises MalformedRecord: a byte is not BCD.
        """
        try:
            second, minute, hour = (_bcd(byte) for byte in data[:3])
            day, month, year, century = (_bcd(byte) for byte in data[4:8])
        except ValueError as error:
            raise MalformedRecord(offset, _TIME.name, str(error)) from error
        return cls(
            year=100 * century + year,
            month=month,
            day=day,
            hour=hour,
            minute=minute,
            second=second,
            precise=bool(data[3] & 1),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataEntry:
    """One error of a block: a section, and who reports what about it.

    ``fru_id``, ``fru_text`` (20 bytes of ASCII) and ``timestamp`` are ``None`` where the entry does
    not declare them valid. ``revision`` is 0x300, or 0x201 of ACPI 4.0, which has no timestamp.
    ``unknown_valid`` holds validation bits that the specification does not define.

    Source: ACPI 6.5 section 18.3.2.7.1, Generic Error Data Entry; flags UEFI 2.11 appendix N.2.2.
    """

    section: Section
    severity: Severity
    fru_id: uuid.UUID | None = None
    fru_text: str | None = None
    timestamp: Timestamp | None = None
    flags: int = 0
    revision: int = 0x300
    unknown_valid: int = 0

    def encode(self) -> bytes:
        """Return the entry with its section.

        :raises ValueError: a value does not fit its field, ``fru_text`` is not ASCII, or a
            timestamp is given to a revision that has none.
        """
        size = _entry_size(self.revision)
        if self.timestamp is not None and size < _TIME.end:
            raise ValueError(f"an entry of revision {self.revision:#x} has no timestamp")
        if self.unknown_valid & _VALID_KNOWN:
            raise ValueError(f"unknown_valid has bits of known fields: {self.unknown_valid:#x}")
        section = self.section.encode()
        valid = self.unknown_valid
        valid |= _VALID_FRU_ID if self.fru_id is not None else 0
        valid |= _VALID_FRU_TEXT if self.fru_text is not None else 0
        valid |= _VALID_TIME if self.timestamp is not None else 0
        header: dict[str, int | bytes] = {
            "section_type": self.section.guid.bytes_le,
            "error_severity": self.severity,
            "revision": self.revision,
            "validation_bits": valid,
            "flags": self.flags,
            "error_data_length": len(section),
            "fru_id": b"" if self.fru_id is None else self.fru_id.bytes_le,
            "fru_text": (self.fru_text or "").encode("ascii"),
            "timestamp": b"" if self.timestamp is None else self.timestamp.encode(),
        }
        slots = [slot for slot in _ENTRY if slot.end <= size]
        return bytes(pack(slots, header, size)) + section

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> tuple[Self, int]:
        """Read the entry at ``offset`` of a record.

        :return: the entry, and the offset after it.
        :raises MalformedRecord: truncated, a severity beyond 3, a bad timestamp or section.
        """
        revision = read(data, _REVISION, at=offset)
        start = offset + _entry_size(revision)
        if start > len(data):
            reason = f"{start - offset} bytes wanted, {len(data) - offset} left"
            raise MalformedRecord(offset, "data entry", reason)
        end = start + read(data, _LENGTH, at=offset)
        if end > len(data):
            reason = f"{end - start} bytes wanted, {len(data) - start} left"
            raise MalformedRecord(offset + _LENGTH.offset, _LENGTH.name, reason)
        valid = read(data, _VALID, at=offset)
        guid = uuid.UUID(bytes_le=cut(data, _TYPE, at=offset))
        entry = cls(
            section=cper_sections.decode(guid, data[start:end], start),
            severity=_severity(data, _SEVERITY, offset),
            flags=read(data, _FLAGS, at=offset),
            revision=revision,
            unknown_valid=valid & ~_VALID_KNOWN,
        )
        if valid & _VALID_FRU_ID:
            fru_id = uuid.UUID(bytes_le=cut(data, _FRU_ID, at=offset))
            entry = replace(entry, fru_id=fru_id)
        if valid & _VALID_FRU_TEXT:
            text = cut(data, _FRU_TEXT, at=offset).split(b"\0", 1)[0]
            entry = replace(entry, fru_text=text.decode("ascii", "backslashreplace"))
        if valid & _VALID_TIME and offset + _TIME.end <= start:
            time = Timestamp.decode(cut(data, _TIME, at=offset), offset + _TIME.offset)
            entry = replace(entry, timestamp=time)
        return entry, end


def _entry_size(revision: int) -> int:
    # As Linux acpi_hest_get_size(): the upper byte is the version, from 3 on there is a timestamp.
    return _ENTRY_SIZE_V3 if revision >> 8 >= 3 else _ENTRY_SIZE_V1


def _severity(data: bytes, slot: Slot, at: int) -> Severity:
    value = read(data, slot, at=at)
    if value not in set(Severity):  # "int in EnumType" is a TypeError before Python 3.12
        raise MalformedRecord(at + slot.offset, slot.name, f"{value} is not a severity")
    return Severity(value)


# --- Status block ---------------------------------------------------------------------------------

# ACPI 6.5 section 18.3.2.7, Generic Error Status Block.
_BLOCK = (
    Slot("block_status", 0, 4),
    Slot("raw_data_offset", 4, 4),
    Slot("raw_data_length", 8, 4),
    Slot("data_length", 12, 4),
    Slot("error_severity", 16, 4),
)
_STATUS, _RAW_OFFSET, _RAW_LENGTH, _DATA_LENGTH, _BLOCK_SEVERITY = _BLOCK
_BLOCK_SIZE = _BLOCK_SEVERITY.end
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
    entries say, else ``None``. ``raw_data`` is the vendor's.

    Source: ACPI 6.5 section 18.3.2.7, Generic Error Status Block.
    """

    severity: Severity
    entries: tuple[DataEntry, ...]
    raw_data: bytes = b""
    stated_status: int | None = None

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

        :raises ValueError: more than 1023 entries, or a value does not fit its field.
        """
        if len(self.entries) > _MAX_ENTRIES:
            raise ValueError(f"a block counts up to {_MAX_ENTRIES} entries")
        body = b"".join(entry.encode() for entry in self.entries)
        header: dict[str, int | bytes] = {
            "block_status": self.block_status,
            "raw_data_offset": _BLOCK_SIZE + len(body) if self.raw_data else 0,
            "raw_data_length": len(self.raw_data),
            "data_length": len(body),
            "error_severity": self.severity,
        }
        return bytes(pack(_BLOCK, header, _BLOCK_SIZE)) + body + self.raw_data


def decode_status_block(data: bytes) -> StatusBlock:
    """Read a block. Bytes after it are ignored, as a GHES buffer is larger than its block.

    The walk is bounded: each entry takes 64 bytes or more of ``data``, there are 1023 of them at
    most, and nothing is allocated for a length that the data does not have. Like Linux, it trusts
    the data length, not the entry count.

    :param data: a block, from its first byte.
    :raises MalformedRecord: truncated, lengths that do not add up, or an entry that is malformed.

    Source: ACPI 6.5 section 18.3.2.7; checks as in Linux ``cper_estatus_check()``.
    """
    status = read(data, _STATUS)
    severity = _severity(data, _BLOCK_SEVERITY, 0)
    end = _BLOCK_SIZE + read(data, _DATA_LENGTH)
    if end > len(data):
        reason = f"{end - _BLOCK_SIZE} bytes wanted, {len(data) - _BLOCK_SIZE} left"
        raise MalformedRecord(_DATA_LENGTH.offset, _DATA_LENGTH.name, reason)
    entries: list[DataEntry] = []
    offset = _BLOCK_SIZE
    walked = data[:end]
    while offset < end:
        if len(entries) == _MAX_ENTRIES:
            raise MalformedRecord(offset, "data entry", f"more than {_MAX_ENTRIES} entries")
        entry, offset = DataEntry.decode(walked, offset)
        entries.append(entry)
    plain = StatusBlock(severity=severity, entries=tuple(entries), raw_data=_raw_data(data, end))
    return plain if plain.block_status == status else replace(plain, stated_status=status)


def _raw_data(data: bytes, end: int) -> bytes:
    length = read(data, _RAW_LENGTH)
    if not length:
        return b""
    start = read(data, _RAW_OFFSET)
    if start < end:
        raise MalformedRecord(_RAW_OFFSET.offset, _RAW_OFFSET.name, "raw data overlaps the entries")
    if start + length > len(data):
        raise MalformedRecord(_RAW_LENGTH.offset, _RAW_LENGTH.name, "raw data beyond the end")
    return data[start : start + length]


def memory_error_record(
    address: HostPhysical,
    *,
    severity: Severity = Severity.RECOVERABLE,
    fru_id: uuid.UUID,
    fru_text: str = "",
    mask: int = 0xFFFF_FFFF_FFFF_F000,
    error_type: MemoryErrorType | None = None,
) -> StatusBlock:
    """Return the record with which firmware tells L1 of one bad place in its memory.

    Its layout is the one measured to work with QMP ``inject-ghes-v2-error`` of QEMU 11.1.3: block
    status 0x11, one entry of revision 0x300 with FRU id and text, 80 bytes of memory section with
    validation bits 0x4007 (error status, address, mask, error type).

    :param address: the bad place.
    :param severity: of the block and of its entry; with a corrected error the block status is 0x12.
    :param fru_id: names the replaceable unit; L1 prints it, so it also tells one injection's record
        from all others.
    :param fru_text: up to 20 characters of ASCII.
    :param mask: a 1 for each address bit that counts; the default names a page of 4 KiB.
    :param error_type: single-bit ECC for a corrected error by default, else multi-bit ECC.
    :raises ValueError: ``fru_text`` too long or not ASCII (from :meth:`StatusBlock.encode`).

    Source: ACPI 6.5 section 18.3.2.7; UEFI 2.11 appendix N.2.5; QEMU hw/acpi/ghes_cper.c.
    """
    if error_type is None:
        corrected = severity is Severity.CORRECTED
        error_type = MemoryErrorType.SINGLE_BIT_ECC if corrected else MemoryErrorType.MULTI_BIT_ECC
    section = MemorySection(
        error_status=0,
        physical_address=address.value,
        physical_address_mask=mask,
        error_type=error_type,
    )
    entry = DataEntry(section=section, severity=severity, fru_id=fru_id, fru_text=fru_text)
    return StatusBlock(severity=severity, entries=(entry,))
