# SPDX-License-Identifier: Apache-2.0
"""The sections of conventional PCI: an error on a bus, and one in a component."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from seabus.arch._layout import Item, Part, Table, reserved
from seabus.arch.cper._section import TableSection, bytes_rows, require, stated, unless_stated
from seabus.arch.cper.error_status import ERROR_STATUS
from seabus.arch.cper.guids import PCI_BUS, PCI_COMPONENT
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

_BUS_ERRORS = {
    0: "unknown or OEM system specific error",
    1: "data parity error",
    2: "system error",
    3: "master abort",
    4: "bus timeout or no device present",
    5: "master data parity error",
    6: "address parity error",
    7: "command parity error",
}

_VALID = Item("validation_bits", 0, 8)
# fmt: off
_BUS = Table("UEFI 2.11 N.2.8, PCI/PCI-X Bus Error Section", 72, (
    _VALID,
    Item("error_status", 8, 8, valid=0, parts=ERROR_STATUS),
    Item("error_type", 16, 2, valid=1, names=_BUS_ERRORS),
    Item("bus_id", 18, 2, valid=2,
         parts=(Part("bus", 7, 0, title="bus number"), Part("segment", 15, 8, title="segment number"))),
    reserved(20, 4),
    Item("bus_address", 24, 8, "memory or I/O address on the bus", valid=3),
    Item("bus_data", 32, 8, "data on the bus", valid=4),
    Item("bus_command", 40, 8, "bus command; bit 56 is 1 for PCI-X", valid=5),
    Item("requestor_id", 48, 8, "bus requestor", valid=6),
    Item("completer_id", 56, 8, "bus responder", valid=7),
    Item("target_id", 64, 8, "intended target", valid=8),
), valid=_VALID)
_COMPONENT = Table("UEFI 2.11 N.2.9, PCI/PCI-X Component Error Table", 40, (
    _VALID,
    Item("error_status", 8, 8, valid=0, parts=ERROR_STATUS),
    Item("vendor_id", 16, 2, "PCI vendor", valid=1),
    Item("device_id", 18, 2, "PCI device", valid=1),
    Item("class_code", 20, 3, "class code", valid=1),
    Item("function", 23, 1, "function number", valid=1),
    Item("device", 24, 1, "device number", valid=1),
    Item("bus", 25, 1, "bus number", valid=1),
    Item("segment", 26, 1, "segment number", valid=1),
    reserved(27, 5),
    Item("memory_number", 32, 4, "memory mapped register pairs below", valid=2),
    Item("io_number", 36, 4, "I/O register pairs below", valid=3),
), valid=_VALID, tail={4: "registers"})
# fmt: on

_PAIR = 16  # an address and its data, 8 bytes each


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PciBusSection(TableSection):
    """A PCI/PCI-X bus section. A field that is ``None`` is not declared valid by the record.

    ``bus_address`` is an address on that bus. Source: UEFI 2.11 appendix N.2.8.
    """

    guid: ClassVar[uuid.UUID] = PCI_BUS
    title: ClassVar[str] = "PCI bus error section"
    table: ClassVar[Table] = _BUS

    error_status: int | None = None
    error_type: int | None = None
    bus_id: int | None = None
    bus_address: int | None = None
    bus_data: int | None = None
    bus_command: int | None = None
    requestor_id: int | None = None
    completer_id: int | None = None
    target_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PciComponentSection(TableSection):
    """A PCI/PCI-X component section. A field that is ``None`` is not declared valid by the record.

    ``vendor_id`` to ``segment`` share one validation bit; those that are left out are 0. ``registers``
    holds 16 bytes for each register that ``memory_number`` and ``io_number`` count.

    Source: UEFI 2.11 appendix N.2.9.
    """

    guid: ClassVar[uuid.UUID] = PCI_COMPONENT
    title: ClassVar[str] = "PCI component error section"
    table: ClassVar[Table] = _COMPONENT

    error_status: int | None = None
    vendor_id: int | None = None
    device_id: int | None = None
    class_code: int | None = None
    function: int | None = None
    device: int | None = None
    bus: int | None = None
    segment: int | None = None
    memory_number: int | None = None
    io_number: int | None = None
    registers: bytes = b""
    stated_valid: int | None = None

    @property
    def register_pairs(self) -> tuple[tuple[int, int], ...]:
        """Addresses with their data, the memory mapped registers first."""
        numbers = [
            int.from_bytes(self.registers[at : at + 8], "little") for at in range(0, len(self.registers), 8)
        ]
        return tuple(zip(numbers[::2], numbers[1::2], strict=True))

    def encode(self) -> bytes:
        """Return the section with its registers, and what trails it.

        :raises ValueError: a value does not fit, or the numbers do not count the registers.
        """
        if len(self.registers) != _registers_size(self.memory_number, self.io_number):
            raise ValueError("registers: not as many as memory_number and io_number count")
        body = _COMPONENT.pack(
            self._values(),
            unknown_valid=self.unknown_valid,
            residue=self.residue,
            tail_valid=stated(self.stated_valid, _COMPONENT, self.registers),
        )
        return body + self.registers + self.trailing

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> Self:
        """Read a section.

        :param offset: where it starts in the whole record, for the error.
        :raises MalformedRecord: truncated, or more registers are counted than there are.
        """
        require(data, _COMPONENT.size, offset, cls.title)
        values, unknown_valid, residue, declared = _COMPONENT.unpack(data, offset)
        end = _COMPONENT.size + _registers_size(values.get("memory_number"), values.get("io_number"))
        if end > len(data):
            reason = f"{end - _COMPONENT.size} bytes of registers, {len(data) - _COMPONENT.size} left"
            raise MalformedRecord(offset + _COMPONENT.fields["memory_number"].offset, "memory_number", reason)
        registers = data[_COMPONENT.size : end]
        return cls(
            **values,
            unknown_valid=unknown_valid,
            residue=residue,
            registers=registers,
            stated_valid=unless_stated(declared, _COMPONENT, registers),
            trailing=data[end:],
        )

    def rows(self, offset: int = 0, path: str = "") -> Iterator[FieldRow]:
        """Yield one row a field.

        :param offset: where the section starts in the whole record.
        :param path: what the rows call the section.
        """
        yield from _COMPONENT.rows(self.encode(), base=offset, path=path)
        at = offset + _COMPONENT.size
        yield from bytes_rows(self.registers, "registers", at, path, _COMPONENT.source)
        at += len(self.registers)
        yield from bytes_rows(self.trailing, "trailing", at, path, _COMPONENT.source)


def _registers_size(memory_number: int | None, io_number: int | None) -> int:
    return _PAIR * ((memory_number or 0) + (io_number or 0))
