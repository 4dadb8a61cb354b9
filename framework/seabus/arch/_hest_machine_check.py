# SPDX-License-Identifier: Apache-2.0
"""Error sources of the HEST with machine check banks: IA-32 only, so as much as it takes to keep them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from seabus.arch._hest_sources import ErrorSource, Notification, source_header
from seabus.arch._layout import Item, Part, Table, reserved
from seabus.arch._structure import Nested
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

_BANK_SIZE = 28  # ACPI 6.5 section 18.3.2.1.1, IA-32 Architecture Machine Check Bank Structure
_BANKS = "hardware_banks"
_FLAGS = Item(
    "flags",
    6,
    1,
    parts=(Part("firmware_first", 0, 0), Part("global", 1, 1), Part("ghes_assist", 2, 2)),
)
_COMMON = (
    reserved(4, 2),
    _FLAGS,
    Item("enabled", 7, 1, names={0: "disabled", 1: "enabled"}),
    Item("records_to_preallocate", 8, 4, "error records to set memory aside for"),
    Item("max_sections_per_record", 12, 4, "most sections of a record"),
)
# fmt: off
_MCE = Table("ACPI 6.5 section 18.3.2.1, IA-32 Architecture Machine Check Exception Structure", 40, (
    *source_header(0, "IA-32 machine check exception"),
    *_COMMON,
    Item("global_capability", 16, 8, "IA32_MCG_CAP"),
    Item("global_control", 24, 8, "IA32_MCG_CTL"),
    Item(_BANKS, 32, 1, "banks below"),
    reserved(33, 7),
))


def _notified(number: int, name: str, source: str) -> Table:
    return Table(source, 48, (
        *source_header(number, name),
        *_COMMON,
        Item("notification", 16, 28, "how it tells", codec=Nested(Notification)),
        Item(_BANKS, 44, 1, "banks below"),
        reserved(45, 3),
    ))
# fmt: on


_CMC = _notified(
    1,
    "IA-32 corrected machine check",
    "ACPI 6.5 section 18.3.2.2, IA-32 Architecture Corrected Machine Check Structure",
)
_DEFERRED = _notified(
    11,
    "IA-32 deferred machine check",
    "ACPI 6.5 section 18.3.2.10, IA-32 Architecture Deferred Machine Check Structure",
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BankedSource(ErrorSource):
    """What sources with banks have; ``banks`` holds 28 bytes for each, as they lie in the table."""

    flags: int = 0
    enabled: int = 1
    records_to_preallocate: int = 1
    max_sections_per_record: int = 1
    banks: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """Return the source with its banks.

        :raises ValueError: a value does not fit, or a bank is not 28 bytes.
        """
        if any(len(bank) != _BANK_SIZE for bank in self.banks):
            raise ValueError(f"a bank has {_BANK_SIZE} bytes")
        head = self.table.pack(self._values(), residue=self.residue)
        return head + b"".join(self.banks)

    def rows(self, offset: int = 0, path: str = "") -> Iterator[FieldRow]:
        """Yield one row a field, and one a bank.

        :param offset: where the source starts in the table.
        :param path: what the rows call the source.
        """
        yield from self.table.rows(self.encode(), base=offset, path=path)
        for index, bank in enumerate(self.banks):
            yield FieldRow(
                path=path,
                name=f"bank[{index}]",
                offset=offset + self.table.size + index * _BANK_SIZE,
                length=_BANK_SIZE,
                value=bank,
                meaning="machine check bank",
                source="ACPI 6.5 section 18.3.2.1.1, IA-32 Architecture Machine Check Bank Structure",
            )

    @classmethod
    def read(cls, data: bytes, offset: int) -> tuple[ErrorSource, int]:
        """Read the source at the start of ``data``; return it with the bytes that it takes.

        :param offset: where ``data`` starts in the table, for the error.
        :raises MalformedRecord: truncated, its banks included.
        """
        values, _unknown, residue, _tail = cls.table.unpack(data, offset)
        del values["type"]
        count = values.pop(_BANKS)
        end = cls.table.size + count * _BANK_SIZE
        if end > len(data):
            at = offset + cls.table.fields[_BANKS].offset
            room = (len(data) - cls.table.size) // _BANK_SIZE
            raise MalformedRecord(at, _BANKS, f"{count} banks, room for {room}")
        banks = tuple(data[at : at + _BANK_SIZE] for at in range(cls.table.size, end, _BANK_SIZE))
        return cls(**values, banks=banks, residue=residue), end

    def _values(self) -> dict[str, Any]:
        names = (name for name in self.table.fields if name not in ("type", _BANKS))
        values = {name: getattr(self, name) for name in names}
        return {**values, "type": self.type_number, _BANKS: len(self.banks)}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MachineCheckSource(BankedSource):
    """Type 0, IA-32 machine check exception. Source: ACPI 6.5 section 18.3.2.1."""

    table: ClassVar[Table] = _MCE
    type_number: ClassVar[int] = 0

    global_capability: int = 0
    global_control: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CorrectedMachineCheckSource(BankedSource):
    """Type 1, IA-32 corrected machine check. Source: ACPI 6.5 section 18.3.2.2."""

    table: ClassVar[Table] = _CMC
    type_number: ClassVar[int] = 1

    notification: Notification = field(default_factory=Notification)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DeferredMachineCheckSource(CorrectedMachineCheckSource):
    """Type 11, IA-32 deferred machine check. Source: ACPI 6.5 section 18.3.2.10."""

    table: ClassVar[Table] = _DEFERRED
    type_number: ClassVar[int] = 11
