# SPDX-License-Identifier: Apache-2.0
"""The CXL protocol error section: an error on a CXL link, as one of its ends logged it."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from seabus.arch._codecs import BYTES
from seabus.arch._layout import Item, Part, Table, reserved
from seabus.arch._structure import Nested, Structure
from seabus.arch.cper._section import TableSection, bytes_rows, require, stated, unless_stated
from seabus.arch.cper.guids import CXL_PROTOCOL
from seabus.arch.cper.pcie_registers import ExpressCapability
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

_AGENTS = {
    0: "CXL RCD RCiEP",
    1: "CXL RCH downstream port RCRB",
    2: "endpoint device",
    3: "logical device",
    4: "Fabric Manager managed logical device",
    5: "root port",
    6: "downstream switch port",
    7: "upstream switch port",
}
_RCRB_AGENT = 1

_VALID = Item("validation_bits", 0, 8)
_DVSEC_LENGTH = Item("dvsec_length", 108, 2, "bytes of the DVSEC below")
_LOG_LENGTH = Item("error_log_length", 110, 2, "bytes of the error log below")
# fmt: off
_TABLE = Table("UEFI 2.11 N.2.13, CXL Protocol Error Section", 116, (
    _VALID,
    Item("agent_type", 8, 1, valid=0, names=_AGENTS),
    reserved(9, 7),
    Item("agent_address", 16, 8, "segment, bus, device and function; or an RCRB's address", valid=1),
    Item("vendor_id", 24, 2, "PCI vendor", valid=2),
    Item("device_id", 26, 2, "PCI device", valid=2),
    Item("subsystem_vendor_id", 28, 2, "PCI subsystem vendor", valid=2),
    Item("subsystem_id", 30, 2, "PCI subsystem", valid=2),
    Item("class_code", 32, 2, "class code", valid=2),
    reserved(34, 2, shift=0, width=3),
    Item("slot", 34, 2, "slot number", valid=2, shift=3, width=13),
    reserved(36, 4),
    Item("serial_number", 40, 8, "device serial number", valid=3),
    Item("capability", 48, 60, "PCI Express capability", valid=4, codec=Nested(ExpressCapability)),
    _DVSEC_LENGTH,
    _LOG_LENGTH,
    reserved(112, 4),
), valid=_VALID, tail={5: "dvsec", 6: "error_log"})
# fmt: on


def _bits(*names: str, first: int = 0) -> tuple[Part, ...]:
    return tuple(Part(name, bit, bit) for bit, name in enumerate(names, first))


# CXL 3.1 section 8.2.4.17, CXL RAS Capability Structure; names as in Linux drivers/cxl/core/trace.h.
_UNCORRECTABLE = (
    *_bits(
        "cache_data_parity",
        "cache_address_parity",
        "cache_byte_enable_parity",
        "cache_data_ECC",
        "memory_data_parity",
        "memory_address_parity",
        "memory_byte_enable_parity",
        "memory_data_ECC",
        "reinit_threshold",
        "reserved_encoding",
        "poison_received",
        "receiver_overflow",
    ),
    *_bits("component_specific", "IDE_tx", "IDE_rx", first=14),
)
_CORRECTABLE = _bits(
    "cache_data_ECC",
    "memory_data_ECC",
    "CRC_threshold",
    "retry_threshold",
    "cache_poison_received",
    "memory_poison_received",
    "physical_layer",
)
# fmt: off
_RAS = Table("CXL 3.1 section 8.2.4.17, CXL RAS Capability Structure", 88, (
    Item("uncorrectable_status", 0, 4, parts=_UNCORRECTABLE),
    Item("uncorrectable_mask", 4, 4, parts=_UNCORRECTABLE),
    Item("uncorrectable_severity", 8, 4, parts=_UNCORRECTABLE),
    Item("correctable_status", 12, 4, parts=_CORRECTABLE),
    Item("correctable_mask", 16, 4, parts=_CORRECTABLE),
    Item("control", 20, 4, "error capabilities and control"),
    Item("header_log", 24, 64, "header log, 16 DWORDs", codec=BYTES),
))
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CxlRasCapability(Structure):
    """The CXL RAS capability structure, 88 bytes, of which an error log is a copy.

    Source: CXL 3.1 section 8.2.4.17; Linux include/cxl/event.h ``struct cxl_ras_capability_regs``.
    """

    table: ClassVar[Table] = _RAS

    uncorrectable_status: int = 0
    uncorrectable_mask: int = 0
    uncorrectable_severity: int = 0
    correctable_status: int = 0
    correctable_mask: int = 0
    control: int = 0
    header_log: bytes = bytes(64)


def cxl_agent_address(segment: int, bus: int, device: int, function: int) -> int:
    """Return the address of an agent in configuration space, as ``agent_address`` holds it.

    :raises ValueError: a number is negative, or wider than its one or two bytes.
    """
    for name, number, size in (("segment", segment, 2), ("bus", bus, 1), ("device", device, 1)):
        if not 0 <= number < 1 << 8 * size:
            raise ValueError(f"{name} has {8 * size} bits: {number:#x}")
    if not 0 <= function < 1 << 8:
        raise ValueError(f"function has 8 bits: {function:#x}")
    return segment << 24 | bus << 16 | device << 8 | function


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CxlProtocolSection(TableSection):
    """A CXL protocol error section. A field that is ``None`` is not declared valid by the record.

    ``agent_address`` is the address of a register block for agent type 1, else see
    :func:`cxl_agent_address`. ``vendor_id`` to ``slot`` share one validation bit; those that are left out
    are 0. ``dvsec`` and ``error_log`` are of any length; ``stated_valid`` is their validation bits, 5 and
    6, where those do not say which of them are there.

    Source: UEFI 2.11 appendix N.2.13.
    """

    guid: ClassVar[uuid.UUID] = CXL_PROTOCOL
    title: ClassVar[str] = "CXL protocol error section"
    table: ClassVar[Table] = _TABLE

    agent_type: int | None = None
    agent_address: int | None = None
    vendor_id: int | None = None
    device_id: int | None = None
    subsystem_vendor_id: int | None = None
    subsystem_id: int | None = None
    class_code: int | None = None
    slot: int | None = None
    serial_number: int | None = None
    capability: ExpressCapability | None = None
    dvsec: bytes = b""
    error_log: bytes = b""
    stated_valid: int | None = None

    @property
    def address(self) -> str:
        """The agent as ``segment:bus:device.function``; empty for a register block, and where not valid."""
        if self.agent_address is None or self.agent_type == _RCRB_AGENT:
            return ""
        function, device, bus = (self.agent_address >> shift & 0xFF for shift in (0, 8, 16))
        return f"{self.agent_address >> 24 & 0xFFFF:04x}:{bus:02x}:{device:02x}.{function:x}"

    @property
    def ras(self) -> CxlRasCapability | None:
        """The error log decoded; ``None`` where it is too short for that."""
        return CxlRasCapability.decode(self.error_log) if len(self.error_log) >= _RAS.size else None

    def encode(self) -> bytes:
        """Return the section with both of its variable parts, and what trails it.

        :raises ValueError: a value does not fit its field.
        """
        values: dict[str, Any] = {
            name: getattr(self, name) for name in _TABLE.fields if not name.endswith("_length")
        }
        values[_DVSEC_LENGTH.name] = len(self.dvsec)
        values[_LOG_LENGTH.name] = len(self.error_log)
        head = _TABLE.pack(
            values,
            unknown_valid=self.unknown_valid,
            residue=self.residue,
            tail_valid=stated(self.stated_valid, _TABLE, self.dvsec, self.error_log),
        )
        return head + self.dvsec + self.error_log + self.trailing

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> Self:
        """Read a section.

        :param offset: where it starts in the whole record, for the error.
        :raises MalformedRecord: truncated, or a length beyond the end.
        """
        require(data, _TABLE.size, offset, cls.title)
        values, unknown_valid, residue, declared = _TABLE.unpack(data, offset)
        log = _TABLE.size
        ends: list[int] = []
        for item in (_DVSEC_LENGTH, _LOG_LENGTH):
            length = values.pop(item.name)
            if log + length > len(data):
                reason = f"{length} bytes wanted, {len(data) - log} left"
                raise MalformedRecord(offset + item.offset, item.name, reason)
            log += length
            ends.append(log)
        dvsec, error_log = data[_TABLE.size : ends[0]], data[ends[0] : ends[1]]
        return cls(
            **values,
            dvsec=dvsec,
            error_log=error_log,
            stated_valid=unless_stated(declared, _TABLE, dvsec, error_log),
            unknown_valid=unknown_valid,
            residue=residue,
            trailing=data[ends[1] :],
        )

    def rows(self, offset: int = 0, path: str = "") -> Iterator[FieldRow]:
        """Yield one row a field, those of the error log included.

        :param offset: where the section starts in the whole record.
        :param path: what the rows call the section.
        """
        yield from _TABLE.rows(self.encode(), base=offset, path=path)
        at = offset + _TABLE.size
        yield from bytes_rows(self.dvsec, "dvsec", at, path, _TABLE.source)
        at += len(self.dvsec)
        told = 0
        if self.ras is not None:
            yield from self.ras.rows(at, f"{path}.error_log")
            told = _RAS.size
        yield from bytes_rows(self.error_log[told:], "error_log", at + told, path, _TABLE.source)
        at += len(self.error_log)
        yield from bytes_rows(self.trailing, "trailing", at, path, _TABLE.source)
