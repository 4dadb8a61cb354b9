# SPDX-License-Identifier: Apache-2.0
"""Error sources of the HEST, one class a type."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from seabus.arch._acpi_table import GenericAddress
from seabus.arch._layout import Item, Part, Table, flags, reserved
from seabus.arch._structure import Nested, Structure
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

#: How a source tells the system. Source: ACPI 6.5 section 18.3.2.9 table 18.14, Type.
NOTIFICATION_TYPES = {
    0: "polled",
    1: "external interrupt",
    2: "local interrupt",
    3: "SCI",
    4: "NMI",
    5: "CMCI",
    6: "MCE",
    7: "GPIO signal",
    8: "ARMv8 SEA",
    9: "ARMv8 SEI",
    10: "external interrupt - GSIV",
    11: "software delegated exception (SDEI)",
}
_WRITABLE = flags(
    "type",
    "poll_interval",
    "polling_threshold_value",
    "polling_threshold_window",
    "error_threshold_value",
    "error_threshold_window",
)
_NOTIFY_LENGTH = Item("length", 1, 1, "bytes of this structure, 28")
# fmt: off
_NOTIFY = Table("ACPI 6.5 section 18.3.2.9, Hardware Error Notification Structure", 28, (
    Item("type", 0, 1, names=NOTIFICATION_TYPES),
    _NOTIFY_LENGTH,
    Item("configuration_write_enable", 2, 2, parts=_WRITABLE),
    Item("poll_interval", 4, 4, "milliseconds"),
    Item("vector", 8, 4, "interrupt vector, GSIV, or SDEI event"),
    Item("polling_threshold_value", 12, 4, "errors"),
    Item("polling_threshold_window", 16, 4, "milliseconds"),
    Item("error_threshold_value", 20, 4, "errors"),
    Item("error_threshold_window", 24, 4, "milliseconds"),
))
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Notification(Structure):
    """How a source tells the system of an error, 28 bytes. ``type`` is one of :data:`NOTIFICATION_TYPES`.

    Source: ACPI 6.5 section 18.3.2.9, Hardware Error Notification Structure.
    """

    table: ClassVar[Table] = _NOTIFY

    type: int = 0
    configuration_write_enable: int = 0
    poll_interval: int = 0
    vector: int = 0
    polling_threshold_value: int = 0
    polling_threshold_window: int = 0
    error_threshold_value: int = 0
    error_threshold_window: int = 0

    @property
    def name(self) -> str:
        """The type in words, such as ``ARMv8 SEA``."""
        return NOTIFICATION_TYPES.get(self.type, f"reserved ({self.type})")

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> Self:
        """Read the structure that ``data`` starts with.

        :raises MalformedRecord: truncated, or its length is not 28.
        """
        values = _NOTIFY.unpack(data, offset).values
        length = values.pop("length")
        if length != _NOTIFY.size:
            raise MalformedRecord(offset + _NOTIFY_LENGTH.offset, "length", f"{length} bytes instead of 28")
        return cls(**values)

    def _values(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in _NOTIFY.fields if name != "length"}
        return {**values, "length": _NOTIFY.size}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ErrorSource(Structure):
    """What all sources have. ``type_number`` is that of the class; ``source_id`` names the source."""

    type_number: ClassVar[int]

    source_id: int = 0

    def rows(self, offset: int = 0, path: str = "") -> Iterator[FieldRow]:
        """Yield one row a field.

        :param offset: where the source starts in the table.
        :param path: what the rows call the source.
        """
        return self.table.rows(self.encode(), base=offset, path=path)

    @classmethod
    def read(cls, data: bytes, offset: int) -> tuple["ErrorSource", int]:
        """Read the source at the start of ``data``; return it with the bytes that it takes.

        :param offset: where ``data`` starts in the table, for the error.
        :raises MalformedRecord: truncated.
        """
        values, _unknown, residue, _tail = cls.table.unpack(data, offset)
        del values["type"]
        return cls(**values, residue=residue), cls.table.size

    def _values(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.table.fields if name != "type"}
        return {**values, "type": self.type_number}


def source_header(number: int, name: str) -> tuple[Item, Item]:
    return (
        Item("type", 0, 2, names={number: name}),
        Item("source_id", 2, 2, "error source"),
    )


_FLAGS = Item(
    "flags",
    6,
    1,
    parts=(Part("firmware_first", 0, 0), Part("global", 1, 1), Part("ghes_assist", 2, 2)),
)
_ENABLED = Item("enabled", 7, 1, names={0: "disabled", 1: "enabled"})
_RECORDS = Item("records_to_preallocate", 8, 4, "error records to set memory aside for")
_SECTIONS = Item("max_sections_per_record", 12, 4, "most sections of a record")
_RAW = Item("max_raw_data_length", 16, 4, "most bytes of raw data")


# fmt: off
_NMI = Table("ACPI 6.5 section 18.3.2.3, IA-32 Architecture NMI Error Source", 20, (
    *source_header(2, "IA-32 NMI"),
    reserved(4, 4),
    _RECORDS,
    _SECTIONS,
    _RAW,
))
_AER = (
    reserved(4, 2),
    _FLAGS,
    _ENABLED,
    _RECORDS,
    _SECTIONS,
    Item("bus", 16, 4, parts=(Part("bus", 7, 0, title="bus"), Part("segment", 23, 8, title="segment"))),
    Item("device", 20, 2, "device number"),
    Item("function", 22, 2, "function number"),
    Item("device_control", 24, 2, "device control register"),
    reserved(26, 2),
    Item("uncorrectable_mask", 28, 4, "uncorrectable error mask register"),
    Item("uncorrectable_severity", 32, 4, "uncorrectable error severity register"),
    Item("correctable_mask", 36, 4, "correctable error mask register"),
    Item("advanced_capabilities", 40, 4, "advanced error capabilities and control register"),
)
_ROOT = Table("ACPI 6.5 section 18.3.2.4, PCI Express Root Port AER Structure", 48, (
    *source_header(6, "PCI Express root port AER"),
    *_AER,
    Item("root_error_command", 44, 4, "root error command register"),
))
_ENDPOINT = Table("ACPI 6.5 section 18.3.2.5, PCI Express Device AER Structure", 44, (
    *source_header(7, "PCI Express device AER"),
    *_AER,
))
_BRIDGE = Table("ACPI 6.5 section 18.3.2.6, PCI Express/PCI-X Bridge AER Structure", 56, (
    *source_header(8, "PCI Express/PCI-X bridge AER"),
    *_AER,
    Item("secondary_uncorrectable_mask", 44, 4, "secondary uncorrectable error mask register"),
    Item("secondary_uncorrectable_severity", 48, 4, "secondary uncorrectable error severity register"),
    Item("secondary_advanced_capabilities", 52, 4, "secondary advanced capabilities and control register"),
))
_GHES_ITEMS = (
    Item("related_source_id", 4, 2, "source that this one stands for; 0xffff is none"),
    reserved(6, 1),
    _ENABLED,
    _RECORDS,
    _SECTIONS,
    _RAW,
    Item("error_status_address", 20, 12, "where the status block's address lies",
         codec=Nested(GenericAddress)),
    Item("notification", 32, 28, "how it tells", codec=Nested(Notification)),
    Item("error_status_block_length", 60, 4, "bytes for a status block"),
)
_GHES = Table("ACPI 6.5 section 18.3.2.7, Generic Hardware Error Source Structure", 64, (
    *source_header(9, "generic hardware error source"),
    *_GHES_ITEMS,
))
_GHES_V2 = Table("ACPI 6.5 section 18.3.2.8, Generic Hardware Error Source version 2 Structure", 92, (
    *source_header(10, "generic hardware error source version 2"),
    *_GHES_ITEMS,
    Item("read_ack_register", 64, 12, "where the system acknowledges", codec=Nested(GenericAddress)),
    Item("read_ack_preserve", 76, 8, "bits to keep"),
    Item("read_ack_write", 84, 8, "bits to set"),
))
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NmiSource(ErrorSource):
    """Type 2, IA-32 NMI. Source: ACPI 6.5 section 18.3.2.3."""

    table: ClassVar[Table] = _NMI
    type_number: ClassVar[int] = 2

    records_to_preallocate: int = 1
    max_sections_per_record: int = 1
    max_raw_data_length: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AerDeviceSource(ErrorSource):
    """Type 7, PCI Express device AER. Source: ACPI 6.5 section 18.3.2.5."""

    table: ClassVar[Table] = _ENDPOINT
    type_number: ClassVar[int] = 7

    flags: int = 0
    enabled: int = 1
    records_to_preallocate: int = 1
    max_sections_per_record: int = 1
    bus: int = 0
    device: int = 0
    function: int = 0
    device_control: int = 0
    uncorrectable_mask: int = 0
    uncorrectable_severity: int = 0
    correctable_mask: int = 0
    advanced_capabilities: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AerRootPortSource(AerDeviceSource):
    """Type 6, PCI Express root port AER. Source: ACPI 6.5 section 18.3.2.4."""

    table: ClassVar[Table] = _ROOT
    type_number: ClassVar[int] = 6

    root_error_command: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AerBridgeSource(AerDeviceSource):
    """Type 8, PCI Express/PCI-X bridge AER. Source: ACPI 6.5 section 18.3.2.6."""

    table: ClassVar[Table] = _BRIDGE
    type_number: ClassVar[int] = 8

    secondary_uncorrectable_mask: int = 0
    secondary_uncorrectable_severity: int = 0
    secondary_advanced_capabilities: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GhesSource(ErrorSource):
    """Type 9, generic hardware error source. Source: ACPI 6.5 section 18.3.2.7.

    ``error_status_address`` is where the address of the status block lies, not the block itself.
    """

    table: ClassVar[Table] = _GHES
    type_number: ClassVar[int] = 9

    related_source_id: int = 0xFFFF
    enabled: int = 1
    records_to_preallocate: int = 1
    max_sections_per_record: int = 1
    max_raw_data_length: int = 0
    error_status_address: GenericAddress = field(default_factory=GenericAddress)
    notification: Notification = field(default_factory=Notification)
    error_status_block_length: int = 4096


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GhesV2Source(GhesSource):
    """Type 10, generic hardware error source version 2. Source: ACPI 6.5 section 18.3.2.8.

    To acknowledge a record, the system reads the register, keeps the bits of ``read_ack_preserve``, sets
    those of ``read_ack_write``, and writes it.
    """

    table: ClassVar[Table] = _GHES_V2
    type_number: ClassVar[int] = 10

    read_ack_register: GenericAddress = field(default_factory=GenericAddress)
    read_ack_preserve: int = 0xFFFF_FFFF_FFFF_FFFE
    read_ack_write: int = 1
