# SPDX-License-Identifier: Apache-2.0
"""The HEST, in which firmware tells the system who reports hardware errors, how, and where.

Its bytes are those of ``/sys/firmware/acpi/tables/HEST``.

>>> notification = Notification.of(type="ARMv8 SEA")
>>> table = HestTable(sources=(GhesV2Source(source_id=0, notification=notification),))
>>> decode_hest(table.encode()) == table
True
>>> decode_hest(table.encode()).sources[0].notification.name
'ARMv8 SEA'

A GHES has a register with the address of its status block, see :mod:`seabus.arch.cper`; a GHES version 2
has one more, with which the system acknowledges a record.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from seabus.arch._acpi_table import (
    HEADER_SIZE,
    AcpiHeader,
    GenericAddress,
    decode_header,
    encode_table,
    header_rows,
)
from seabus.arch._hest_machine_check import (
    CorrectedMachineCheckSource,
    DeferredMachineCheckSource,
    MachineCheckSource,
)
from seabus.arch._hest_sources import (
    NOTIFICATION_TYPES,
    AerBridgeSource,
    AerDeviceSource,
    AerRootPortSource,
    ErrorSource,
    GhesSource,
    GhesV2Source,
    NmiSource,
    Notification,
)
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

__all__ = [
    "NOTIFICATION_TYPES",
    "SOURCE_CLASSES",
    "AcpiHeader",
    "AerBridgeSource",
    "AerDeviceSource",
    "AerRootPortSource",
    "CorrectedMachineCheckSource",
    "DeferredMachineCheckSource",
    "ErrorSource",
    "GenericAddress",
    "GhesSource",
    "GhesV2Source",
    "HestTable",
    "MachineCheckSource",
    "MalformedRecord",
    "NmiSource",
    "Notification",
    "decode_hest",
]

_SIGNATURE = b"HEST"
_COUNT_SIZE = 4
_START = HEADER_SIZE + _COUNT_SIZE
_SOURCE = "ACPI 6.5 section 18.3.2, Hardware Error Source Table"

#: Error source structures by type. Types 3 to 5 are not used, those above 11 reserved.
#: Source: ACPI 6.5 section 18.3.2.
SOURCE_CLASSES: Mapping[int, type[ErrorSource]] = {
    kind.type_number: kind
    for kind in (
        MachineCheckSource,
        CorrectedMachineCheckSource,
        NmiSource,
        AerRootPortSource,
        AerDeviceSource,
        AerBridgeSource,
        GhesSource,
        GhesV2Source,
        DeferredMachineCheckSource,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HestTable:
    """The Hardware Error Source Table. ``trailing`` is what follows the sources that are counted.

    Source: ACPI 6.5 section 18.3.2.
    """

    sources: tuple[ErrorSource, ...]
    header: AcpiHeader = field(default_factory=AcpiHeader)
    trailing: bytes = b""

    def encode(self) -> bytes:
        """Return the table with its checksum.

        :raises ValueError: a value does not fit its field.
        """
        body = b"".join(source.encode() for source in self.sources)
        count = len(self.sources).to_bytes(_COUNT_SIZE, "little")
        return encode_table(_SIGNATURE, self.header, count + body + self.trailing)

    def rows(self) -> Iterator[FieldRow]:
        """Yield one row a field, those of the sources included."""
        data = self.encode()
        yield from header_rows(data, self.header, "hest")
        yield _row("error_source_count", HEADER_SIZE, len(self.sources), _COUNT_SIZE)
        at = _START
        seen: set[int] = set()
        for index, source in enumerate(self.sources):
            for row in source.rows(at, f"source[{index}]"):
                if row.name == "source_id" and source.source_id in seen:
                    row = replace(row, problem="another source has this id")
                yield row
            seen.add(source.source_id)
            at += len(source.encode())
        if self.trailing:
            row = _row("trailing", at, self.trailing, len(self.trailing))
            yield replace(row, problem="bytes after the last source that is counted")

    def remarks(self) -> tuple[str, ...]:
        """What its specification forbids, in words: a wrong checksum, reserved bits and values, source ids
        given twice, and bytes behind the sources.
        """
        rows = (row for row in self.rows() if row.problem)
        return tuple(f"{row.path}.{row.name} at byte {row.offset}: {row.problem}" for row in rows)


def _row(name: str, offset: int, value: int | bytes, length: int) -> FieldRow:
    return FieldRow(
        path="hest",
        name=name,
        offset=offset,
        length=length,
        value=value,
        meaning="error sources" if isinstance(value, int) else f"{length} bytes",
        source=_SOURCE,
    )


def decode_hest(data: bytes) -> HestTable:
    """Read a HEST. Bytes after its length are ignored; a wrong checksum is a remark, no error.

    The walk is bounded: each source takes 20 bytes or more of ``data``.

    :raises MalformedRecord: another table, truncated, more sources counted than there are, or one of a type
        whose length nobody knows.

    Source: ACPI 6.5 section 18.3.2; the walk as in Linux drivers/acpi/apei/hest.c ``apei_hest_parse()``.
    """
    header, length = decode_header(data, _SIGNATURE, _START)
    count = int.from_bytes(data[HEADER_SIZE:_START], "little")
    sources: list[ErrorSource] = []
    at = _START
    while len(sources) < count:
        if at + 4 > length:
            reason = f"{count} sources, the table ends after {len(sources)}"
            raise MalformedRecord(HEADER_SIZE, "error_source_count", reason)
        number = int.from_bytes(data[at : at + 2], "little")
        kind = SOURCE_CLASSES.get(number)
        if kind is None:
            raise MalformedRecord(at, "type", f"no error source has type {number}")
        # The longest has 48 bytes and 255 banks.
        source, size = kind.read(data[at : min(length, at + 48 + 255 * 28)], at)
        sources.append(source)
        at += size
    return HestTable(sources=tuple(sources), header=header, trailing=data[at:length])
