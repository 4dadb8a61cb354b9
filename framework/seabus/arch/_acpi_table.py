# SPDX-License-Identifier: Apache-2.0
"""What ACPI tables have in common: their header with its checksum, and the generic address structure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from seabus.arch._codecs import BYTES
from seabus.arch._layout import Item, Table
from seabus.arch._structure import Structure
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

_SIGNATURE = Item("signature", 0, 4, "name of the table", codec=BYTES)
_LENGTH = Item("length", 4, 4, "bytes of the table")
_CHECKSUM = Item("checksum", 9, 1, "all bytes of the table sum to 0")
_TABLE = Table(
    "ACPI 6.5 section 5.2.6, System Description Table Header",
    36,
    (
        _SIGNATURE,
        _LENGTH,
        Item("revision", 8, 1, "revision of the table"),
        _CHECKSUM,
        Item("oem_id", 10, 6, "who made the table", codec=BYTES),
        Item("oem_table_id", 16, 8, "the maker's name of it", codec=BYTES),
        Item("oem_revision", 24, 4, "the maker's revision"),
        Item("creator_id", 28, 4, "what tool made it", codec=BYTES),
        Item("creator_revision", 32, 4, "the tool's revision"),
    ),
)
HEADER_SIZE = _TABLE.size


@dataclass(frozen=True, slots=True, kw_only=True)
class AcpiHeader:
    """Header of an ACPI table, 36 bytes, but for signature and length, which belong to the table.

    ``checksum`` is ``None`` where it is right; a decoded table that states a wrong one has it here.

    Source: ACPI 6.5 section 5.2.6.
    """

    revision: int = 1
    oem_id: bytes = b"SEABUS"
    oem_table_id: bytes = b"SEABUS  "
    oem_revision: int = 1
    creator_id: bytes = b"SEAB"
    creator_revision: int = 1
    checksum: int | None = None


def encode_table(signature: bytes, header: AcpiHeader, body: bytes) -> bytes:
    """Return a table with its header, the checksum as the header has it or right.

    :raises ValueError: a value does not fit.
    """
    values: dict[str, Any] = {name: getattr(header, name) for name in _TABLE.fields if hasattr(header, name)}
    values |= {"signature": signature, "length": HEADER_SIZE + len(body), "checksum": header.checksum or 0}
    data = bytearray(_TABLE.pack(values) + body)
    if header.checksum is None:
        data[_CHECKSUM.offset] = -sum(data) & 0xFF
    return bytes(data)


def decode_header(data: bytes, signature: bytes, shortest: int) -> tuple[AcpiHeader, int]:
    """Read the header of a table; return it with the table's length.

    :param shortest: bytes that such a table has at least.
    :raises MalformedRecord: another signature, truncated, or a length less than that.
    """
    if data[: len(signature)] != signature:
        raise MalformedRecord(_SIGNATURE.offset, _SIGNATURE.name, f"it is not {signature.decode('ascii')}")
    values = _TABLE.unpack(data).values
    length = values.pop("length")
    if not shortest <= length <= len(data):
        reason = f"{length} bytes, it has {shortest} or more and {len(data)} are there"
        raise MalformedRecord(_LENGTH.offset, _LENGTH.name, reason)
    del values["signature"]
    stated = values.pop("checksum")
    right = (stated - sum(data[:length])) & 0xFF
    return AcpiHeader(**values, checksum=None if stated == right else stated), length


def header_rows(data: bytes, header: AcpiHeader, path: str) -> Iterator[FieldRow]:
    """Yield one row a field of the header that ``data`` starts with."""
    for row in _TABLE.rows(data, path=path):
        if row.name == _CHECKSUM.name and header.checksum is not None:
            right = (header.checksum - sum(data)) & 0xFF
            row = replace(row, problem=f"wrong, {right:#04x} is right")
        yield row


# ACPI 6.5 section 5.2.3.2 table 5.1, Generic Address Structure.
_SPACES = {
    0: "system memory",
    1: "system I/O",
    2: "PCI configuration space",
    3: "embedded controller",
    4: "SMBus",
    5: "system CMOS",
    6: "PCI BAR target",
    7: "IPMI",
    8: "general purpose I/O",
    9: "generic serial bus",
    10: "platform communications channel",
    11: "platform runtime mechanism",
    0x7F: "functional fixed hardware",
    **dict.fromkeys(range(192, 256), "OEM defined"),
}
_SIZES = {0: "undefined", 1: "byte", 2: "word", 3: "dword", 4: "qword"}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GenericAddress(Structure):
    """Where a register lies, 12 bytes. ``address`` is in the space that ``space_id`` names: 0 is physical
    memory of the level whose firmware made the table.

    Source: ACPI 6.5 section 5.2.3.2, Generic Address Structure (GAS).
    """

    table: ClassVar[Table] = Table(
        "ACPI 6.5 section 5.2.3.2, Generic Address Structure",
        12,
        (
            Item("space_id", 0, 1, names=_SPACES),
            Item("bit_width", 1, 1, "bits of the register"),
            Item("bit_offset", 2, 1, "first bit of the register"),
            Item("access_size", 3, 1, names=_SIZES),
            Item("address", 4, 8, "address of the register"),
        ),
    )

    space_id: int = 0
    bit_width: int = 64
    bit_offset: int = 0
    access_size: int = 4
    address: int = 0
