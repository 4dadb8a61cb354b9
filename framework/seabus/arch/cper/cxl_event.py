# SPDX-License-Identifier: Apache-2.0
"""The CXL component event section: an event that a CXL component logged, and which component that is."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from seabus.arch._layout import Item, Table, reserved
from seabus.arch.cper._section import bytes_rows, require, stated, unless_stated
from seabus.arch.cper.cxl_events import CxlDram, CxlEventHeader, CxlGeneralMedia
from seabus.arch.cper.cxl_module_events import CxlMemoryModule, CxlMemorySparing
from seabus.arch.cper.guids import (
    CXL_DRAM,
    CXL_EVENT_TYPES,
    CXL_GENERAL_MEDIA,
    CXL_MEMORY_MODULE,
    CXL_MEMORY_SPARING,
)
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

_LENGTH = Item("length", 0, 4, "bytes of this structure")
_VALID = Item("validation_bits", 4, 8)
# fmt: off
_TABLE = Table("UEFI 2.11 N.2.14, CXL Component Event Log Record", 32, (
    _LENGTH,
    _VALID,
    Item("vendor_id", 12, 2, "PCI vendor", valid=0),
    Item("device_id", 14, 2, "PCI device", valid=0),
    Item("function", 16, 1, "function number", valid=0),
    Item("device", 17, 1, "device number", valid=0),
    Item("bus", 18, 1, "bus number", valid=0),
    Item("segment", 19, 2, "segment number", valid=0),
    reserved(21, 2, shift=0, width=3),
    Item("slot", 21, 2, "slot number", valid=0, shift=3, width=13),
    reserved(23, 1),
    Item("serial_number", 24, 8, "device serial number", valid=1),
), valid=_VALID, tail={2: "log"})
# fmt: on

CxlEvent = CxlGeneralMedia | CxlDram | CxlMemoryModule | CxlMemorySparing

_EVENTS: Mapping[uuid.UUID, type[CxlEvent]] = {
    CXL_GENERAL_MEDIA: CxlGeneralMedia,
    CXL_DRAM: CxlDram,
    CXL_MEMORY_MODULE: CxlMemoryModule,
    CXL_MEMORY_SPARING: CxlMemorySparing,
}
_HEAD = CxlEventHeader.table.size


@dataclass(frozen=True, slots=True, kw_only=True)
class CxlEventSection:
    """A CXL component event section. A field that is ``None`` is not declared valid by the record.

    ``guid`` is the kind of event, see :data:`SECTION_TYPES`. ``log`` is the event record without its
    identifier, 112 bytes in CXL 3; :attr:`header` and :attr:`event` are what it says. ``vendor_id`` to
    ``slot`` share one validation bit; those that are left out are 0. ``stated_valid`` is validation bit 2
    (as 4 or 0) where it does not say whether there is a log; ``trailing`` is what follows.

    Source: UEFI 2.11 appendix N.2.14.
    """

    guid: uuid.UUID
    vendor_id: int | None = None
    device_id: int | None = None
    function: int | None = None
    device: int | None = None
    bus: int | None = None
    segment: int | None = None
    slot: int | None = None
    serial_number: int | None = None
    log: bytes = b""
    stated_valid: int | None = None
    trailing: bytes = b""
    unknown_valid: int = 0
    residue: bytes = b""

    @classmethod
    def of_event(
        cls, event: CxlEvent, header: CxlEventHeader | None = None, **fields: int | bytes | None
    ) -> Self:
        """Build a section from an event.

        :param header: what the log begins with; by default zeros, and the length of a CXL 3 record.
        :param fields: of the section, by name.
        """
        guid = next(guid for guid, kind in _EVENTS.items() if isinstance(event, kind))
        given: dict[str, Any] = dict(fields)
        return cls(guid=guid, log=(header or CxlEventHeader()).encode() + event.encode(), **given)

    @property
    def name(self) -> str:
        """What :data:`SECTION_TYPES` calls it."""
        return CXL_EVENT_TYPES.get(self.guid, str(self.guid))

    @property
    def header(self) -> CxlEventHeader | None:
        """What the log begins with; ``None`` where it is too short."""
        return CxlEventHeader.decode(self.log) if len(self.log) >= _HEAD else None

    @property
    def event(self) -> CxlEvent | None:
        """What happened; ``None`` for kinds without a layout here, and where the log is too short."""
        kind = _EVENTS.get(self.guid)
        if kind is None or len(self.log) < _HEAD + kind.table.size:
            return None
        return kind.decode(self.log[_HEAD:])

    def encode(self) -> bytes:
        """Return the section with its log, and what trails it.

        :raises ValueError: a value does not fit its field.
        """
        values: dict[str, Any] = {name: getattr(self, name) for name in _TABLE.fields if name != "length"}
        values["length"] = _TABLE.size + len(self.log)
        head = _TABLE.pack(
            values,
            unknown_valid=self.unknown_valid,
            residue=self.residue,
            tail_valid=stated(self.stated_valid, _TABLE, self.log),
        )
        return head + self.log + self.trailing

    @classmethod
    def decode_as(cls, guid: uuid.UUID, data: bytes, offset: int = 0) -> Self:
        """Read a section of that kind.

        :param offset: where it starts in the whole record, for the error.
        :raises MalformedRecord: truncated, or its length is less than its header or beyond the end.
        """
        require(data, _TABLE.size, offset, "CXL component event section")
        values, unknown_valid, residue, declared = _TABLE.unpack(data, offset)
        length = values.pop("length")
        if not _TABLE.size <= length <= len(data):
            raise MalformedRecord(offset, "length", f"{length} bytes, the section has {len(data)}")
        log = data[_TABLE.size : length]
        return cls(
            guid=guid,
            **values,
            log=log,
            stated_valid=unless_stated(declared, _TABLE, log),
            unknown_valid=unknown_valid,
            residue=residue,
            trailing=data[length:],
        )

    def rows(self, offset: int = 0, path: str = "") -> Iterator[FieldRow]:
        """Yield one row a field, those of the event included.

        :param offset: where the section starts in the whole record.
        :param path: what the rows call the section.
        """
        yield from _TABLE.rows(self.encode(), base=offset, path=path)
        start = offset + _TABLE.size
        told = 0
        for part in (self.header, self.event):
            if part is not None:
                yield from part.rows(start + told, f"{path}.log")
                told += part.table.size
        yield from bytes_rows(self.log[told:], "log", start + told, path, _TABLE.source)
        yield from bytes_rows(self.trailing, "trailing", start + len(self.log), path, _TABLE.source)
