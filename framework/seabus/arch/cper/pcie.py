# SPDX-License-Identifier: Apache-2.0
"""The PCI Express section: which device, and copies of its capability structures."""

import uuid
from dataclasses import dataclass
from typing import ClassVar

from seabus.arch._layout import Item, Table, reserved
from seabus.arch._structure import Nested
from seabus.arch.cper._section import TableSection
from seabus.arch.cper.guids import PCIE
from seabus.arch.cper.pcie_registers import AerCapability, ExpressCapability

# UEFI 2.11 appendix N.2.7, Port Type.
_PORTS = {
    0: "PCI Express end point",
    1: "legacy PCI end point device",
    4: "root port",
    5: "upstream switch port",
    6: "downstream switch port",
    7: "PCI Express to PCI/PCI-X bridge",
    8: "PCI/PCI-X to PCI Express bridge",
    9: "root complex integrated endpoint device",
    10: "root complex event collector",
}

# Bit 3 declares a device in configuration space, bit 8 one that is a root complex register block.
_CONFIG = 3
_RCRB = 8
_ANY = (_CONFIG, _RCRB)

_VALID = Item("validation_bits", 0, 8)
# fmt: off
_TABLE = Table("UEFI 2.11 N.2.7, PCI Express Error Record", 208, (
    _VALID,
    Item("port_type", 8, 4, valid=0, names=_PORTS),
    Item("version_minor", 12, 1, "minor version of PCIe, BCD", valid=1),
    Item("version_major", 13, 1, "major version of PCIe, BCD", valid=1),
    reserved(14, 2),
    Item("command", 16, 2, "PCI command register", valid=2),
    Item("status", 18, 2, "PCI status register", valid=2),
    Item("rcrb_high", 20, 4, "upper half of the RCRB's address", valid=9),
    Item("vendor_id", 24, 2, "PCI vendor", valid=_ANY),
    Item("device_id", 26, 2, "PCI device", valid=_ANY),
    Item("class_code", 28, 3, "class code", valid=_ANY),
    Item("function", 31, 1, "function number", valid=_CONFIG),
    Item("device", 32, 1, "device number", valid=_CONFIG),
    Item("segment", 33, 2, "segment number", valid=_CONFIG),
    Item("rcrb_low", 31, 4, "lower half of the RCRB's address", valid=_RCRB),
    Item("bus", 35, 1, "primary bus, or the device's", valid=_ANY),
    Item("secondary_bus", 36, 1, "secondary bus", valid=_ANY),
    reserved(37, 2, shift=0, width=3),
    Item("slot", 37, 2, "slot number", valid=_ANY, shift=3, width=13),
    reserved(39, 1),
    Item("serial_number", 40, 8, "device serial number", valid=4),
    Item("bridge_secondary_status", 48, 2, "bridge secondary status register", valid=5),
    Item("bridge_control", 50, 2, "bridge control register", valid=5),
    Item("capability", 52, 60, "PCI Express capability", valid=6, codec=Nested(ExpressCapability)),
    Item("aer", 112, 96, "AER extended capability", valid=7, codec=Nested(AerCapability)),
), valid=_VALID)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PcieSection(TableSection):
    """A PCI Express section. A field that is ``None`` is not declared valid by the record.

    These fields share a validation bit, and one that is left out is 0: both parts of the version;
    ``command`` and ``status``; both bridge registers; ``vendor_id`` to ``slot``. A device in
    configuration space has ``segment``, ``device`` and ``function``; one that is a root complex
    register block has ``rcrb_low`` and ``rcrb_high`` instead, halves of an MMIO address, and then
    validation bit 8 declares it instead of bit 3.

    Source: UEFI 2.11 appendix N.2.7, PCI Express Error Record.
    """

    guid: ClassVar[uuid.UUID] = PCIE
    title: ClassVar[str] = "PCI Express error section"
    table: ClassVar[Table] = _TABLE

    port_type: int | None = None
    version_minor: int | None = None
    version_major: int | None = None
    command: int | None = None
    status: int | None = None
    vendor_id: int | None = None
    device_id: int | None = None
    class_code: int | None = None
    function: int | None = None
    device: int | None = None
    segment: int | None = None
    bus: int | None = None
    secondary_bus: int | None = None
    slot: int | None = None
    rcrb_low: int | None = None
    rcrb_high: int | None = None
    serial_number: int | None = None
    bridge_secondary_status: int | None = None
    bridge_control: int | None = None
    capability: ExpressCapability | None = None
    aer: AerCapability | None = None

    @property
    def address(self) -> str:
        """The device as ``segment:bus:device.function``; empty where the record does not say it."""
        if self.function is None or self.device is None or self.segment is None:
            return ""
        return f"{self.segment:04x}:{self.bus or 0:02x}:{self.device:02x}.{self.function:x}"
