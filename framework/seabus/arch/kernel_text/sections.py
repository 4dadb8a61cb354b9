# SPDX-License-Identifier: Apache-2.0
"""What the kernel prints of each kind of CPER section, typed.

Every value is the kernel's rendering of the firmware's bytes; what it did not print is ``None`` or empty.
Numbers are as in the CPER (UEFI 2.11, appendix N); names are the kernel's words for them, which differ
between kernels.

Source: Linux drivers/firmware/efi/cper.c, 6.1 to 7.3.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from seabus.arch.kernel_text._dump import read_dump
from seabus.arch.kernel_text._rows import rows
from seabus.arch.kernel_text.arm_section import ArmProcessorDetails, read_arm
from seabus.arch.kernel_text.cxl_section import CxlProtocolDetails, read_cxl

__all__ = [
    "FirmwareDetails",
    "MemoryDetails",
    "PcieDetails",
    "ProcessorDetails",
    "SectionDetails",
    "UnknownDetails",
    "read_section",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryDetails:
    """A platform memory error. ``location`` has node, card, module, rank, bank, row and so on as numbers.

    ``physical_address`` belongs to the level whose log this is. ``dimm`` is its SMBIOS name, or
    ``dmi_handle`` where the kernel found none.
    """

    error_status: int | None = None
    error_status_name: str | None = None
    physical_address: int | None = None
    physical_address_mask: int | None = None
    error_type: int | None = None
    error_type_name: str | None = None
    dimm: str | None = None
    dmi_handle: int | None = None
    location: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorDetails:
    """A generic processor error. ``error_type`` and ``flags`` are masks, ``names`` those of their bits."""

    processor_type: int | None = None
    processor_type_name: str | None = None
    processor_isa: int | None = None
    processor_isa_name: str | None = None
    error_type: int | None = None
    operation: int | None = None
    operation_name: str | None = None
    flags: int | None = None
    level: int | None = None
    version_info: int | None = None
    processor_id: int | None = None
    target_address: int | None = None
    requestor_id: int | None = None
    responder_id: int | None = None
    ip: int | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PcieDetails:
    """A PCI Express error. ``device`` is ``segment:bus:device.function`` as lspci prints it.

    The AER registers are printed of fatal errors only by 6.1, of all by 6.12; 6.1 leaves the corrected ones
    out.
    """

    port_type: int | None = None
    port_type_name: str | None = None
    version: str | None = None
    command: int | None = None
    status: int | None = None
    device: str | None = None
    slot: int | None = None
    secondary_bus: int | None = None
    vendor_id: int | None = None
    device_id: int | None = None
    class_code: int | None = None
    serial_lower: int | None = None
    serial_upper: int | None = None
    bridge_secondary_status: int | None = None
    bridge_control: int | None = None
    aer_cor_status: int | None = None
    aer_cor_mask: int | None = None
    aer_uncor_status: int | None = None
    aer_uncor_mask: int | None = None
    aer_uncor_severity: int | None = None
    tlp_header: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareDetails:
    """A firmware error record reference. ``identifier`` is a number with revision 0, a GUID with 2."""

    record_type: str | None = None
    revision: int | None = None
    identifier: str | None = None
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownDetails:
    """A section of a GUID that the kernel does not know. ``guid`` is in the usual order of digits."""

    guid: str | None = None
    length: int | None = None
    data: bytes = b""


SectionDetails = (
    MemoryDetails
    | ArmProcessorDetails
    | ProcessorDetails
    | PcieDetails
    | FirmwareDetails
    | CxlProtocolDetails
    | UnknownDetails
)

_HEX = "0x[0-9a-f]{1,16}"
_MEMORY = rows(
    rf"error_status: (?P<error_status_name>.+) \((?P<error_status>{_HEX})\)",
    rf"physical_address: (?P<physical_address>{_HEX})",
    rf"physical_address_mask: (?P<physical_address_mask>{_HEX})",
    r"error_type: (?P<error_type>\d{1,3}), (?P<error_type_name>.+)",
    rf"DIMM location: not present\. DMI handle: (?P<dmi_handle>{_HEX})",
    r"DIMM location: (?P<dimm>.+)",
    text=("error_status_name", "error_type_name", "dimm"),
)
_PLACES = rows(
    *(
        rf"(?:.*? )?{name}: ?(?P<{name}>{_HEX}|\d{{1,10}})(?: .*)?"
        for name in (
            *("node", "card", "module", "rank", "bank", "bank_group", "bank_address", "device", "row"),
            *("column", "bit_position", "requestor_id", "responder_id", "target_id", "chip_id"),
        )
    ),
)
_PROCESSOR = rows(
    r"processor_type: (?P<processor_type>\d{1,3}), (?P<processor_type_name>.+)",
    r"processor_isa: (?P<processor_isa>\d{1,3}), (?P<processor_isa_name>.+)",
    rf"error_type: (?P<error_type>{_HEX})",
    r"operation: (?P<operation>\d{1,3}), (?P<operation_name>.+)",
    rf"flags: (?P<flags>{_HEX})",
    r"level: (?P<level>\d{1,3})",
    *(
        rf"{name}: (?P<{name}>{_HEX})"
        for name in ("version_info", "processor_id", "target_address", "requestor_id", "responder_id")
    ),
    rf"IP: (?P<ip>{_HEX})",
    text=("processor_type_name", "processor_isa_name", "operation_name"),
)
_PCIE = rows(
    r"port_type: (?P<port_type>\d{1,10}), (?P<port_type_name>.+)",
    r"version: (?P<version>\d{1,3}\.\d{1,3})",
    rf"command: (?P<command>{_HEX}), status: (?P<status>{_HEX})",
    r"device_id: (?P<device>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]{1,2})",
    r"slot: (?P<slot>\d{1,5})",
    rf"secondary_bus: (?P<secondary_bus>{_HEX})",
    rf"vendor_id: (?P<vendor_id>{_HEX}), device_id: (?P<device_id>{_HEX})",
    r"class_code: (?P<class_code>[0-9a-f]{6})",
    rf"serial number: (?P<serial_lower>{_HEX}), (?P<serial_upper>{_HEX})",
    rf"bridge: secondary_status: (?P<bridge_secondary_status>{_HEX}), control: (?P<bridge_control>{_HEX})",
    rf"aer_cor_status: (?P<aer_cor_status>{_HEX}), aer_cor_mask: (?P<aer_cor_mask>{_HEX})",
    rf"aer_uncor_status: (?P<aer_uncor_status>{_HEX}), aer_uncor_mask: (?P<aer_uncor_mask>{_HEX})",
    rf"aer_uncor_severity: (?P<aer_uncor_severity>{_HEX})",
    text=("port_type_name", "version", "device"),
    hexadecimal=("class_code",),
)
_FIRMWARE = rows(
    r"Firmware Error Record Type: (?P<record_type>.+)",
    r"Revision: (?P<revision>\d{1,3})",
    r"Record Identifier: (?P<identifier>[0-9a-f-]{1,36})",
    text=("record_type", "identifier"),
)
_UNKNOWN = rows(rf"section length: (?P<length>{_HEX})")
_TLP = rows(r"TLP Header: (?P<words>[0-9a-f]{8}(?: [0-9a-f]{8}){3})", text=("words",))


def read_section(kind: str, lines: Sequence[str]) -> SectionDetails | None:
    """Read the lines of a section, stripped of mark and indentation; ``None`` for a kind that prints none."""
    if kind.startswith("unknown, "):
        guid = kind.removeprefix("unknown, ")
        return UnknownDetails(guid=guid, data=read_dump(lines), **_UNKNOWN.integers(lines))
    reader = _READERS.get(kind)
    return reader(lines) if reader else None


def _read_memory(lines: Sequence[str]) -> MemoryDetails:
    # Only the line that holds nothing but places: "device" is a PCIe field as well.
    located = [line for line in lines if _is_location(line)]
    return MemoryDetails(**_MEMORY.read(lines), location=_PLACES.integers_of_each(located))


def _is_location(line: str) -> bool:
    return line.split(":", 1)[0] in _PLACES.names


def _read_processor(lines: Sequence[str]) -> ProcessorDetails:
    # The names of a mask's bits stand in a line of their own, "cache error, TLB error".
    names = [name for line in lines if ":" not in line for name in line.split(", ")]
    return ProcessorDetails(**_PROCESSOR.read(lines), names=tuple(names))


def _read_pcie(lines: Sequence[str]) -> PcieDetails:
    words = _TLP.read(lines).get("words", "")
    return PcieDetails(**_PCIE.read(lines), tlp_header=tuple(int(word, 16) for word in words.split()))


def _read_firmware(lines: Sequence[str]) -> FirmwareDetails:
    return FirmwareDetails(**_FIRMWARE.read(lines), data=read_dump(lines))


_READERS: Mapping[str, Callable[[Sequence[str]], SectionDetails]] = {
    "memory error": _read_memory,
    "ARM processor error": read_arm,
    "general processor error": _read_processor,
    "PCIe error": _read_pcie,
    "Firmware Error Record Reference": _read_firmware,
    "CXL Protocol Error": read_cxl,
}
