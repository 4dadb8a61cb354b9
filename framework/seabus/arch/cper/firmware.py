# SPDX-License-Identifier: Apache-2.0
"""The firmware error record reference: where firmware keeps a record of its own."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from seabus.arch._codecs import GUID
from seabus.arch._layout import Item, Table, reserved
from seabus.arch.cper._section import TableSection, bytes_rows, require
from seabus.arch.cper.guids import FIRMWARE_RECORD
from seabus.arch.field_row import FieldRow

# UEFI 2.11 appendix N.2.10, Firmware Error Record Type.
_TYPES = {
    0: "IPF SAL error record",
    1: "SOC firmware error record type 1 (legacy CrashLog support)",
    2: "SOC firmware error record type 2",
}

# fmt: off
_HEAD = (
    Item("record_type", 0, 1, names=_TYPES),
    Item("revision", 1, 1, "header revision"),
    reserved(2, 6),
)
_ID = Item("record_id", 8, 8, "record of type 0; must be 0 from revision 1 on")
_SOURCE = "UEFI 2.11 N.2.10, Firmware Error Record Reference"
_TABLE = Table(_SOURCE, 32, (*_HEAD, _ID, Item("record_guid", 16, 16, "record of type 2", codec=GUID)))
# What follows begins where the fields of the revision end, as Linux drivers/firmware/efi/cper.c
# cper_print_fw_err() has it.
_TABLES: Mapping[int, Table] = {
    0: Table(_SOURCE, 16, (*_HEAD, _ID)),
    1: Table(_SOURCE, 8, _HEAD),
}
# fmt: on

# "The minimal FW Error Record contains 16 bytes", says Linux.
_SHORTEST = 16


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FirmwareSection(TableSection):
    """A firmware error record reference; ``trailing`` is the record, where it is not elsewhere.

    ``record_id`` exists in all revisions but 1, ``record_guid`` from revision 2 on; they are ``None``
    elsewhere. Source: UEFI 2.11 appendix N.2.10.
    """

    guid: ClassVar[uuid.UUID] = FIRMWARE_RECORD
    title: ClassVar[str] = "firmware error record reference"
    table: ClassVar[Table] = _TABLE

    record_type: int = 0
    revision: int = 0
    record_id: int | None = None
    record_guid: uuid.UUID | None = None

    def encode(self) -> bytes:
        """Return the section, and what trails it.

        :raises ValueError: a value does not fit, the revision lacks the field, or less than 16 bytes.
        """
        table = _TABLES.get(self.revision, _TABLE)
        values = {name: getattr(self, name) for name in table.fields}
        for name in ("record_id", "record_guid"):
            if name not in values and getattr(self, name) is not None:
                raise ValueError(f"{name} does not exist in revision {self.revision}")
        data = table.pack(values, residue=self.residue) + self.trailing
        if len(data) < _SHORTEST:
            raise ValueError(f"a {self.title} has {_SHORTEST} bytes or more")
        return data

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> Self:
        """Read a section.

        :param offset: where it starts in the whole record, for the error.
        :raises MalformedRecord: shorter than 16 bytes, or than its revision.
        """
        require(data, _SHORTEST, offset, cls.title)
        table = _TABLES.get(data[1], _TABLE)
        require(data, table.size, offset, cls.title)
        values, _unknown, residue, _tail = table.unpack(data, offset)
        return cls(**values, residue=residue, trailing=data[table.size :])

    def rows(self, offset: int = 0, path: str = "") -> Iterator[FieldRow]:
        """Yield one row a field.

        :param offset: where the section starts in the whole record.
        :param path: what the rows call the section.
        """
        data = self.encode()
        table = _TABLES.get(self.revision, _TABLE)
        yield from table.rows(data, base=offset, path=path)
        yield from bytes_rows(self.trailing, "trailing", offset + table.size, path, table.source)
