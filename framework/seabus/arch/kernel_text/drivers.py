# SPDX-License-Identifier: Apache-2.0
"""Lines of the drivers that report hardware errors beside the record itself: EDAC, AER, GHES, firmware.

>>> report = parse_edac(
...     "EDAC MC0: 1 UE multi-bit ECC on unknown memory (node:0 page:0x10123f offset:0x0 grain:4096)"
... )
>>> report.severity, report.count, hex(report.physical_address)
('UE', 1, '0x10123f000')
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "AerReport",
    "EdacReport",
    "FirmwareComplaint",
    "GhesSignal",
    "parse_aer",
    "parse_edac",
    "parse_firmware_complaint",
    "parse_ghes_signal",
]

_PAGE_SHIFT = 12  # PFN_PHYS of a kernel with 4 KiB pages


@dataclass(frozen=True, slots=True, kw_only=True)
class EdacReport:
    """An error that EDAC counted: ``severity`` CE or UE, ``count`` of them.

    ``controller`` is the number of ``MC`` or the name of an EDAC device; ``label`` the DIMM's. ``page``
    counts pages of the kernel that prints, ``offset`` bytes in it. ``location`` and what followed a dash
    are the driver's own words.

    Source: Linux drivers/edac/edac_mc.c ``edac_ce_error()``, ``edac_ue_error()``; edac_device.c.
    """

    severity: str
    count: int
    controller: str
    message: str
    label: str | None = None
    page: int | None = None
    offset: int | None = None
    grain: int | None = None
    syndrome: int | None = None
    location: str = ""
    detail: str = ""

    @property
    def physical_address(self) -> int | None:
        """Of a kernel with 4 KiB pages: EDAC prints page numbers only."""
        if self.page is None:
            return None
        return (self.page << _PAGE_SHIFT) + (self.offset or 0)


_EDAC = re.compile(
    r"EDAC MC(?P<mc>\d{1,5}): (?P<count>\d{1,10}) (?P<severity>CE|UE) (?P<message>.{0,200}?) ?on "
    r"(?P<label>[^(]{0,300}) "
    r"\((?P<location>[^()]{0,500}?) ?page:(?P<page>0x[0-9a-f]{1,16}) offset:(?P<offset>0x[0-9a-f]{1,16})"
    r" grain:(?P<grain>-?\d{1,10})(?: syndrome:(?P<syndrome>0x[0-9a-f]{1,16}))?(?: - (?P<detail>.*))?\)"
)
_EDAC_DEVICE = re.compile(
    r"EDAC (?P<device>DEVICE\d{1,5}): (?P<severity>CE|UE): (?P<label>.{1,100}) "
    r"instance: (?P<instance>.{1,100})"
    r" block: (?P<block>.{1,100}) count: (?P<count>\d{1,10}) '(?P<message>.*)'"
)


def parse_edac(message: str) -> EdacReport | None:
    """Read a line in which EDAC reports an error; ``None`` for any other, EDAC's start-up lines included."""
    if match := _EDAC.fullmatch(message):
        return EdacReport(
            severity=match["severity"],
            count=int(match["count"]),
            controller=f"MC{match['mc']}",
            message=match["message"],
            label=match["label"].strip(),
            page=int(match["page"], 16),
            offset=int(match["offset"], 16),
            grain=int(match["grain"]),
            syndrome=int(match["syndrome"], 16) if match["syndrome"] else None,
            location=match["location"].strip(),
            detail=match["detail"] or "",
        )
    if match := _EDAC_DEVICE.fullmatch(message):
        return EdacReport(
            severity=match["severity"],
            count=int(match["count"]),
            controller=match["device"],
            message=match["message"],
            label=match["label"],
            location=f"instance: {match['instance']} block: {match['block']}",
        )
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AerReport:
    """An error of a PCI Express function, by the kernel's AER driver.

    ``device`` is ``segment:bus:device.function``; ``severity`` such as ``Uncorrectable (Non-Fatal)``;
    ``fields`` what else the line told, such as type and the agent's id. A record whose function does not
    exist has neither.

    Source: Linux drivers/pci/pcie/aer.c ``aer_print_error()``, ``aer_recover_work_func()``.
    """

    device: str
    text: str
    severity: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)


_BDF = r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]"
_AER = re.compile(rf"(?:[\w-]{{1,40}} )?(?P<device>{_BDF}): (?:AER: )?(?P<text>(?:PCIe|CXL) Bus Error: .*)")
_AER_LOST = re.compile(rf"AER: (?P<device>{_BDF}): (?P<text>no pci_dev found)")
_AER_ITEM = re.compile(r"(severity|type)=([^,]{1,80})")


def parse_aer(message: str) -> AerReport | None:
    """Read the line that opens an AER report; ``None`` for any other."""
    match = _AER.fullmatch(message) or _AER_LOST.fullmatch(message)
    if match is None:
        return None
    fields = {name: value.strip() for name, value in _AER_ITEM.findall(match["text"])}
    return AerReport(
        device=match["device"], text=match["text"], severity=fields.get("severity"), fields=fields
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareComplaint:
    """The kernel says that firmware is wrong: ``kind`` Bug, Warn or Info; ``text`` about what.

    A record that was cut short, an address outside memory, an error type nobody handles end here.

    Source: Linux include/linux/printk.h ``FW_BUG``; drivers/acpi/apei/ghes.c, drivers/firmware/efi/cper.c.
    """

    kind: str
    text: str


_FIRMWARE = re.compile(r"(?:.{0,64}\s)?\[Firmware (?P<kind>Bug|Warn|Info)\]: ?(?P<text>.*)")


def parse_firmware_complaint(message: str) -> FirmwareComplaint | None:
    """Read a line marked ``[Firmware Bug]`` and the like; ``None`` for any other."""
    match = _FIRMWARE.fullmatch(message)
    return FirmwareComplaint(kind=match["kind"], text=match["text"]) if match else None


@dataclass(frozen=True, slots=True, kw_only=True)
class GhesSignal:
    """A synchronous error that no page explains: its task gets SIGBUS. ``pid`` is a thread id.

    Source: Linux drivers/acpi/apei/ghes.c ``ghes_do_proc()``.
    """

    comm: str
    pid: int


_GHES_SIGNAL = re.compile(
    r"(?:.{0,64}\s)?GHES: (?P<comm>.{1,15}):(?P<pid>\d{1,10}): synchronous unrecoverable error \(SIGBUS\)"
)


def parse_ghes_signal(message: str) -> GhesSignal | None:
    """Read GHES's own announcement of a SIGBUS; ``None`` for any other line."""
    match = _GHES_SIGNAL.fullmatch(message)
    return GhesSignal(comm=match["comm"], pid=int(match["pid"])) if match else None
