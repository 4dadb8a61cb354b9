# SPDX-License-Identifier: Apache-2.0
"""The CPER record: a header with the signature ``CPER``, section descriptors, and sections.

Firmware logs, ERST and ``/sys/fs/pstore`` hold this form; a GHES holds status blocks instead::

    +------------------------------+  0
    | record header, 128 bytes     |  signature, severity, times, who made it and why
    +------------------------------+ 128
    | section descriptor, 72 bytes |  where its section lies, its type, severity and FRU
    | more descriptors             |
    +------------------------------+ 128 + 72 x number of sections
    | sections                     |  anywhere behind the descriptors
    +------------------------------+ record length
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seabus.arch._codecs import BYTES, GUID
from seabus.arch._layout import Item, Part, Table, reserved
from seabus.arch.cper._section import bytes_rows
from seabus.arch.cper.entry import name_guid
from seabus.arch.cper.guids import NOTIFICATION_TYPES
from seabus.arch.cper.record_section import (
    DESCRIPTOR,
    SECTION_LENGTH,
    SECTION_OFFSET,
    SECTION_SEVERITY,
    RecordSection,
)
from seabus.arch.cper.sections import decode_section
from seabus.arch.cper.severity import SEVERITIES, Severity, read_severity
from seabus.arch.cper.timestamp import TIMESTAMP, Timestamp
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

#: What a record begins with.
SIGNATURE = b"CPER"
_SIGNATURE_END = 0xFFFF_FFFF

_START = Item("signature_start", 0, 4, "CPER", codec=BYTES)
_END = Item("signature_end", 6, 4, "0xffffffff")
_COUNT = Item("section_count", 10, 2, "number of sections")
_SEVERITY = Item("error_severity", 12, 4, names=SEVERITIES)
_VALID = Item("validation_bits", 16, 4)
_LENGTH = Item("record_length", 20, 4, "bytes of the record")
_FLAGS = (Part("recovered", 0, 0), Part("previous_session", 1, 1), Part("simulated", 2, 2))
# fmt: off
_HEADER = Table("UEFI 2.11 N.2.1, Error Record Header", 128, (
    _START,
    Item("revision", 4, 2, "BCD, major and minor"),
    _END,
    _COUNT,
    _SEVERITY,
    _VALID,
    _LENGTH,
    Item("timestamp", 24, 8, "when it was collected", valid=1, codec=TIMESTAMP),
    Item("platform_id", 32, 16, "SMBIOS UUID of the platform", valid=0, codec=GUID),
    Item("partition_id", 48, 16, "software partition", valid=2, codec=GUID),
    Item("creator_id", 64, 16, "who made the record", codec=GUID),
    Item("notification_type", 80, 16, codec=GUID),
    Item("record_id", 96, 8, "unique with the creator"),
    Item("flags", 104, 4, parts=_FLAGS),
    Item("persistence_information", 108, 8, "the creator's"),
    reserved(116, 12),
), valid=_VALID)
# fmt: on
_NIL = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CperRecord:
    """A CPER record. ``timestamp``, ``platform_id`` and ``partition_id`` are ``None`` where not valid.

    ``notification_type`` is one of :data:`NOTIFICATION_TYPES`, or the platform's own. ``length`` is the
    record length where it is more than its sections take; ``slack`` then holds the bytes of no header,
    descriptor or section, zero where those lie, and is empty if all are zero. ``unknown_valid`` holds
    validation bits that nobody defines, ``residue`` bytes of the header without a valid field.

    Source: UEFI 2.11 appendix N.2.1, Error Record Header.
    """

    severity: Severity
    sections: tuple[RecordSection, ...]
    timestamp: Timestamp | None = None
    platform_id: uuid.UUID | None = None
    partition_id: uuid.UUID | None = None
    creator_id: uuid.UUID = _NIL
    notification_type: uuid.UUID = _NIL
    record_id: int = 0
    flags: int = 0
    persistence_information: int = 0
    revision: int = 0x101
    length: int | None = None
    slack: bytes = b""
    unknown_valid: int = 0
    residue: bytes = b""

    @property
    def notification(self) -> str:
        """What :data:`NOTIFICATION_TYPES` calls the notification type, or its GUID."""
        return NOTIFICATION_TYPES.get(self.notification_type, str(self.notification_type))

    def encode(self) -> bytes:
        """Return the record: header, descriptors, sections.

        :raises ValueError: a value does not fit its field, sections overlap, or ``length`` is too short.
        """
        bodies = [part.section.encode() for part in self.sections]
        offsets = _offsets(self.sections, bodies)
        places = list(zip(offsets, map(len, bodies), strict=True))
        overlap = _overlap(places, len(self.sections))
        if overlap is not None:
            raise ValueError(f"section {overlap[0]}: {overlap[1]}")
        need = max([_bodies_start(len(bodies)), *(offset + size for offset, size in places)])
        length = need if self.length is None else self.length
        if length < need or len(self.slack) > length:
            raise ValueError(f"a record of {length} bytes, its parts take {need}")
        image = bytearray(self.slack.ljust(length, b"\0"))
        image[: _HEADER.size] = self._header(length)
        for index, (part, body, offset) in enumerate(zip(self.sections, bodies, offsets, strict=True)):
            start = _bodies_start(index)
            image[start : start + DESCRIPTOR.size] = part.encode_descriptor(offset, len(body))
            image[offset : offset + len(body)] = body
        return bytes(image)

    def _header(self, length: int) -> bytes:
        values: dict[str, Any] = {
            "signature_start": SIGNATURE,
            "revision": self.revision,
            "signature_end": _SIGNATURE_END,
            "section_count": len(self.sections),
            "error_severity": self.severity,
            "record_length": length,
            "timestamp": self.timestamp,
            "platform_id": self.platform_id,
            "partition_id": self.partition_id,
            "creator_id": self.creator_id,
            "notification_type": self.notification_type,
            "record_id": self.record_id,
            "flags": self.flags,
            "persistence_information": self.persistence_information,
        }
        return _HEADER.pack(values, unknown_valid=self.unknown_valid, residue=self.residue)

    def rows(self, offset: int = 0, path: str = "record") -> Iterator[FieldRow]:
        """Yield one row a field, those of descriptors and sections included.

        :param offset: where the record starts in what is read.
        :param path: what the rows call the record.
        """
        data = self.encode()
        for row in _HEADER.rows(data, base=offset, path=path):
            if row.name == "notification_type":
                row = replace(row, meaning=NOTIFICATION_TYPES.get(self.notification_type, "not of UEFI 2.11"))
            if row.name == _COUNT.name and not self.sections:
                row = replace(row, problem="a record has one section or more")
            yield row
        bodies = [part.section.encode() for part in self.sections]
        offsets = _offsets(self.sections, bodies)
        for index, part in enumerate(self.sections):
            start = _bodies_start(index)
            descriptor = data[start : start + DESCRIPTOR.size]
            for row in DESCRIPTOR.rows(descriptor, base=offset + start, path=f"descriptor[{index}]"):
                yield name_guid(row, "section_type", part.section.guid)
            yield from part.section.rows(offset + offsets[index], f"section[{index}]")
        for row in bytes_rows(self.slack, "slack", offset, path, _HEADER.source):
            yield replace(row, problem="bytes of no header, descriptor or section are not zero")


def decode_cper_record(data: bytes) -> CperRecord:
    """Read a record. Bytes after its length are ignored.

    The walk is bounded: sections may lie anywhere, but not over one another, over the header or over the
    descriptors, so all of them together are no longer than ``data``.

    :param data: a record, from its signature.
    :raises MalformedRecord: no signature, truncated, a length or offset that leads astray, or a section
        that is malformed.

    Source: UEFI 2.11 appendix N.2.1 and N.2.2.
    """
    if data[: len(SIGNATURE)] != SIGNATURE:
        raise MalformedRecord(_START.offset, _START.name, "it is not CPER")
    values, unknown_valid, residue, _tail = _HEADER.unpack(data)
    del values["signature_start"]
    if values.pop("signature_end") != _SIGNATURE_END:
        raise MalformedRecord(_END.offset, _END.name, "it is not 0xffffffff")
    severity = read_severity(values.pop("error_severity"), _SEVERITY.offset)
    count, length = values.pop("section_count"), values.pop("record_length")
    if length > len(data):
        raise MalformedRecord(_LENGTH.offset, _LENGTH.name, f"{length} bytes wanted, {len(data)} there")
    if _bodies_start(count) > length:
        reason = f"{count} descriptors, the record has {length} bytes"
        raise MalformedRecord(_COUNT.offset, _COUNT.name, reason)
    sections, places = _sections(data[:length], count)
    slack = bytearray(data[:length])
    for start, size in ((0, _bodies_start(count)), *places):
        slack[start : start + size] = bytes(size)
    plain = CperRecord(
        severity=severity,
        sections=sections,
        **values,
        slack=bytes(slack).rstrip(b"\0"),
        unknown_valid=unknown_valid,
        residue=residue,
    )
    need = max(_bodies_start(count), *(start + size for start, size in places), 0)
    return plain if length == need else replace(plain, length=length)


def _sections(data: bytes, count: int) -> tuple[tuple[RecordSection, ...], list[tuple[int, int]]]:
    """Read descriptors, then the sections that they point at."""
    read = []
    for index in range(count):
        start = _bodies_start(index)
        read.append(DESCRIPTOR.unpack(data[start : start + DESCRIPTOR.size], start))
    places = [(entry.values.pop("section_offset"), entry.values.pop("section_length")) for entry in read]
    for index, (offset, size) in enumerate(places):
        if offset + size > len(data):
            at = _bodies_start(index) + SECTION_LENGTH.offset
            reason = f"{offset} + {size} bytes, the record has {len(data)}"
            raise MalformedRecord(at, SECTION_LENGTH.name, reason)
    overlap = _overlap(places, count)
    if overlap is not None:
        at = _bodies_start(overlap[0]) + SECTION_OFFSET.offset
        raise MalformedRecord(at, SECTION_OFFSET.name, overlap[1])
    sections = []
    follows = _bodies_start(count)
    for index, (entry, (offset, size)) in enumerate(zip(read, places, strict=True)):
        at = _bodies_start(index) + SECTION_SEVERITY.offset
        severity = read_severity(entry.values.pop("section_severity"), at, SECTION_SEVERITY.name)
        guid = entry.values.pop("section_type")
        sections.append(
            RecordSection(
                section=decode_section(guid, data[offset : offset + size], offset),
                severity=severity,
                offset=None if offset == follows else offset,
                unknown_valid=entry.unknown_valid,
                residue=entry.residue,
                **entry.values,
            )
        )
        follows = offset + size
    return tuple(sections), places


def _bodies_start(count: int) -> int:
    return _HEADER.size + count * DESCRIPTOR.size


def _offsets(sections: Sequence[RecordSection], bodies: Sequence[bytes]) -> list[int]:
    offsets: list[int] = []
    follows = _bodies_start(len(sections))
    for part, body in zip(sections, bodies, strict=True):
        offsets.append(follows if part.offset is None else part.offset)
        follows = offsets[-1] + len(body)
    return offsets


def _overlap(places: Sequence[tuple[int, int]], count: int) -> tuple[int, str] | None:
    """Return the first section that lies over something else, and over what."""
    end, last = _bodies_start(count), "the header or the descriptors"
    # Sections of no length first: they may share a place.
    for index in sorted(range(len(places)), key=lambda i: (places[i][0], places[i][1] > 0, i)):
        offset, size = places[index]
        if offset < end:
            return index, f"it lies over {last}"
        end, last = offset + size, f"section {index}"
    return None
