# SPDX-License-Identifier: Apache-2.0
"""Generic Error Data Entry: one error of a status block, and who reports what about it."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

from seabus.arch._codecs import GUID, TEXT
from seabus.arch._layout import Item, Part, Table
from seabus.arch.cper.guids import SECTION_TYPES
from seabus.arch.cper.sections import Section, decode_section
from seabus.arch.cper.severity import SEVERITIES, Severity, read_severity
from seabus.arch.cper.timestamp import TIMESTAMP, Timestamp
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

#: Flags of a section. Source: UEFI 2.11 appendix N.2.2, Section Descriptor, Flags.
SECTION_FLAGS = (
    Part("primary", 0, 0),
    Part("containment_warning", 1, 1),
    Part("reset", 2, 2),
    Part("threshold_exceeded", 3, 3),
    Part("resource_not_accessible", 4, 4),
    Part("latent_error", 5, 5),
    Part("propagated", 6, 6),
    Part("overflow", 7, 7),
)

_TYPE = Item("section_type", 0, 16, codec=GUID)
_SEVERITY = Item("error_severity", 16, 4, names=SEVERITIES)
_REVISION = Item("revision", 20, 2, "revision of the entry")
_VALID = Item("validation_bits", 22, 1)
_LENGTH = Item("error_data_length", 24, 4, "bytes of the section")
_ITEMS = (
    _TYPE,
    _SEVERITY,
    _REVISION,
    _VALID,
    Item("flags", 23, 1, parts=SECTION_FLAGS),
    _LENGTH,
    Item("fru_id", 28, 16, "field replaceable unit", valid=0, codec=GUID),
    Item("fru_text", 44, 20, "field replaceable unit", valid=1, codec=TEXT),
)
_TIME = Item("timestamp", 64, 8, "when it happened", valid=2, codec=TIMESTAMP)
_SOURCE = "ACPI 6.5 section 18.3.2.7.1, Generic Error Data Entry"
# Revision 0x0201 is that of ACPI 4.0; revision 0x0300 of ACPI 6.1 appended the timestamp.
_TABLE_V1 = Table(_SOURCE, 64, _ITEMS, valid=_VALID)
_TABLE_V3 = Table(_SOURCE, 72, (*_ITEMS, _TIME), valid=_VALID)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataEntry:
    """One error of a block: a section, and who reports what about it.

    ``fru_id``, ``fru_text`` (20 bytes of ASCII) and ``timestamp`` are ``None`` where the entry does
    not declare them valid. ``revision`` is 0x300, or 0x201 of ACPI 4.0, which has no timestamp; as in
    Linux the upper byte decides. ``unknown_valid`` holds validation bits that the specification does not
    define, ``residue`` bytes of the header that no valid field stands for.

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
    residue: bytes = b""

    @property
    def header_size(self) -> int:
        """Bytes before the section: 72, or 64 where there is no timestamp."""
        return _table(self.revision).size

    def encode(self) -> bytes:
        """Return the entry with its section.

        :raises ValueError: a value does not fit its field, ``fru_text`` is not ASCII, or a
            timestamp is given to a revision that has none.
        """
        table = _table(self.revision)
        section = self.section.encode()
        values: dict[str, Any] = {
            "section_type": self.section.guid,
            "error_severity": self.severity,
            "revision": self.revision,
            "flags": self.flags,
            "error_data_length": len(section),
            "fru_id": self.fru_id,
            "fru_text": self.fru_text,
        }
        if self.timestamp is not None:
            if table is _TABLE_V1:
                raise ValueError(f"an entry of revision {self.revision:#x} has no timestamp")
            values["timestamp"] = self.timestamp
        header = table.pack(values, unknown_valid=self.unknown_valid, residue=self.residue)
        return header + section

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> tuple[Self, int]:
        """Read the entry at ``offset`` of a record.

        :return: the entry, and the offset after it.
        :raises MalformedRecord: truncated, a severity beyond 3, a bad timestamp or section.
        """
        if offset + _REVISION.end > len(data):
            raise MalformedRecord(
                offset + _REVISION.offset, _REVISION.name, "the record ends before this field"
            )
        # As Linux acpi_hest_get_version(): the upper byte is the version.
        table = _table(data[offset + _REVISION.offset + 1] << 8)
        start = offset + table.size
        if start > len(data):
            reason = f"{start - offset} bytes wanted, {len(data) - offset} left"
            raise MalformedRecord(offset, "data entry", reason)
        values, unknown_valid, residue, _tail = table.unpack(data[offset:start], offset)
        end = start + values.pop("error_data_length")
        if end > len(data):
            reason = f"{end - start} bytes wanted, {len(data) - start} left"
            raise MalformedRecord(offset + _LENGTH.offset, _LENGTH.name, reason)
        severity = read_severity(values.pop("error_severity"), offset + _SEVERITY.offset)
        section = decode_section(values.pop("section_type"), data[start:end], start)
        entry = cls(
            section=section, severity=severity, unknown_valid=unknown_valid, residue=residue, **values
        )
        return entry, end

    def rows(self, offset: int = 0, path: str = "entry") -> Iterator[FieldRow]:
        """Yield one row a field, those of the section included.

        :param offset: where the entry starts in the whole record.
        :param path: what the rows call the entry.
        """
        for row in _table(self.revision).rows(self.encode(), base=offset, path=path):
            yield name_guid(row, _TYPE.name, self.section.guid)
        yield from self.section.rows(offset + self.header_size, f"{path}.section")


def name_guid(row: FieldRow, name: str, guid: uuid.UUID) -> FieldRow:
    """Return the row of a section type with the type's name as its meaning; other rows as they are."""
    if row.name != name:
        return row
    return replace(row, meaning=SECTION_TYPES.get(guid, "not a type of UEFI 2.11"))


def _table(revision: int) -> Table:
    return _TABLE_V3 if revision >> 8 >= 3 else _TABLE_V1
