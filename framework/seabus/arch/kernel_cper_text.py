# SPDX-License-Identifier: Apache-2.0
"""What Linux prints for a status block: the lines to expect in a kernel log, for a cross-check.

This follows the kernel, not the specification, and reads the block's bytes on its own, so it is a second
opinion on :mod:`seabus.arch.cper` too. Formats are those of Linux 7.3.4, drivers/firmware/efi/cper.c,
cper-arm.c and cper_cxl.c on arm64; :data:`KERNEL_FORMATS` lists them by field, and
:data:`KERNEL_DIFFERENCES` says what other kernels print instead.

>>> import uuid
>>> from seabus.arch.addresses import HostPhysical
>>> from seabus.arch.cper import memory_error_record
>>> record = memory_error_record(HostPhysical(0x10123f000), fru_id=uuid.UUID(int=1))
>>> for line in linux_lines(record, source=1)[-2:]:
...     print(line)
{1}[Hardware Error]:   physical_address_mask: 0xfffffffffffff000
{1}[Hardware Error]:   error_type: 3, multi-bit ECC
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from seabus.arch import _kernel_cper_arm, _kernel_cper_pci, _kernel_cper_plain
from seabus.arch._kernel_cper_formats import KERNEL_FORMATS
from seabus.arch._kernel_cper_print import Printer, View
from seabus.arch.cper.block import StatusBlock
from seabus.arch.malformed import MalformedRecord

__all__ = [
    "KERNEL_DIFFERENCES",
    "KERNEL_FORMATS",
    "KernelDifference",
    "linux_ghes_warnings",
    "linux_lines",
]

_SEVERITIES = ("recoverable", "fatal", "corrected", "info")
_BLOCK_SIZE = 20  # struct acpi_hest_generic_status
_TOO_SMALL = "[Firmware Warn]: error section length is too small"


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the kernel announces a section type, the bytes it wants at least, and who prints the rest."""

    line: str
    shortest: int
    print_body: Callable[[Printer, View], None]


def _nothing(_printer: Printer, _section: View) -> None:
    return


# Keys are section types; cper_estatus_print_section() of drivers/firmware/efi/cper.c.
_KINDS: Mapping[str, _Kind] = {
    "9876ccad-47b4-4bdb-b65e-16f193c4f3db": _Kind(
        "section_type: general processor error", 192, _kernel_cper_plain.processor
    ),
    "a5bc1114-6f64-4ede-b863-3e83ed7c83b1": _Kind(
        "section_type: memory error", 73, _kernel_cper_plain.memory
    ),
    "d995e954-bbc1-430f-ad91-b44dcb3c6f35": _Kind("section_type: PCIe error", 208, _kernel_cper_pci.pcie),
    "e19e3d16-bc11-11e4-9caa-c2051d5d46b0": _Kind(
        "section_type: ARM processor error", 40, _kernel_cper_arm.processor
    ),
    "81212a96-09ed-4996-9471-8d729c8e69ed": _Kind(
        "section_type: Firmware Error Record Reference", 16, _kernel_cper_plain.firmware
    ),
    "80b9efb4-52b5-4de3-a777-68784b771048": _Kind(
        "section_type: CXL Protocol Error", 116, _kernel_cper_pci.cxl_protocol
    ),
    "fbcd0a77-c260-417f-85a9-088b1621eba6": _Kind("section_type: CXL General Media Event", 0, _nothing),
    "601dcbb3-9c06-4eab-b8af-4e9bfb5c9624": _Kind("section_type: CXL DRAM Event", 0, _nothing),
    "fe927475-dd59-4339-a586-79bab113b774": _Kind("section_type: CXL Memory Module Event", 0, _nothing),
}


def linux_lines(
    record: StatusBlock | bytes,
    *,
    source: int | None = None,
    prefix: str = "{1}[Hardware Error]: ",
    dimms: Mapping[int, tuple[str, str]] | None = None,
) -> list[str]:
    """Return the lines that Linux prints for a block, without level and time, each with its prefix.

    Some lines end in a space, as they do in the log. A warning of the printing code itself begins with
    ``[Firmware Warn]: `` instead of the prefix.

    :param record: a block, or its bytes: the kernel prints some that :mod:`seabus.arch.cper` refuses.
    :param source: GHES source id of the first line; without it there is no such line.
    :param prefix: what each line begins with; ``[Hardware Error]: `` for records out of a BERT.
    :param dimms: bank and device locator by SMBIOS handle, as far as the machine's DMI table has them.
    :raises MalformedRecord: the kernel refuses the block (``cper_estatus_check()``).

    Source: Linux 7.3.4 drivers/acpi/apei/ghes.c ``__ghes_print_estatus()``, drivers/firmware/efi/cper.c
    ``cper_estatus_print()``.
    """
    data = View(record if isinstance(record, bytes) else record.encode())
    printer = Printer(prefix, dict(dimms or {}))
    if source is not None:
        printer.line(f"Hardware error from APEI Generic Hardware Error Source: {source}")
    severity = data.u32(16) & 0xFFFF
    if severity == 2:
        printer.line("It has been corrected by h/w and requires no further action")
    printer.line(f"event severity: {_severity(severity)}")
    for number, (header, section) in enumerate(_entries(data)):
        _print_section(printer.indented(), header, section, number)
    return printer.lines


def linux_ghes_warnings(record: StatusBlock | bytes) -> list[str]:
    """Return what ghes.c warns of after printing: ARM processor errors that nobody handles.

    The kernel limits their rate, and leaves them out unless block and entry are recoverable. An error that
    names the cache and has a physical address goes to ``memory_failure()`` instead.

    :raises MalformedRecord: the kernel refuses the block.

    Source: Linux 7.3.4 drivers/acpi/apei/ghes.c ``ghes_handle_arm_hw_error()``.
    """
    data = View(record if isinstance(record, bytes) else record.encode())
    lines: list[str] = []
    for header, section in _entries(data):
        recoverable = data.u32(16) == 0 and header.u32(16) == 0
        if recoverable and str(header.guid(0)) == "e19e3d16-bc11-11e4-9caa-c2051d5d46b0":
            lines += _kernel_cper_arm.unhandled(section)
    return lines


def _entries(data: View) -> list[tuple[View, View]]:
    """Return header and section of each entry; the checks are those of cper_estatus_check()."""
    if data.size < _BLOCK_SIZE or data.size < _BLOCK_SIZE + data.u32(12):
        raise MalformedRecord(12, "data_length", "the block is truncated")
    end = _BLOCK_SIZE + data.u32(12)
    entries: list[tuple[View, View]] = []
    at = _BLOCK_SIZE
    while at < end:
        header = data.at(at)
        size = 72 if header.u16(20) >> 8 >= 3 else 64
        length = header.u32(24)
        if at + size + length > end:
            raise MalformedRecord(at + 24, "error_data_length", "the entry overruns the data length")
        entries.append((header, data.at(at + size, length)))
        at += size + length
    return entries


def _print_section(printer: Printer, header: View, section: View, number: int) -> None:
    valid = header.u8(22)
    if header.u16(20) >> 8 >= 3 and valid & 4:
        printer.line(_time(header.bytes(64, 8)))
    printer.line(f"Error {number}, type: {_severity(header.u32(16) & 0xFFFF)}")
    if valid & 1:
        printer.line(f"fru_id: {header.guid(28)}")
    if valid & 2:
        text = header.bytes(44, 20).split(b"\0", 1)[0]
        printer.line(f"fru_text: {text.decode('ascii', 'surrogateescape')}")
    inner = printer.indented()
    guid = header.guid(0)
    kind = _KINDS.get(str(guid))
    if kind is None:
        _print_unknown(inner, guid, section)
        return
    inner.line(kind.line)
    if section.size < kind.shortest:
        inner.bare(_TOO_SMALL)
        return
    section.error_severity = header.u32(16)
    kind.print_body(inner, section)


def _print_unknown(printer: Printer, guid: uuid.UUID, section: View) -> None:
    printer.line(f"section type: unknown, {guid}")
    printer.line(f"section length: {section.size:#x}")
    printer.hex_dump(section.bytes(0, section.size), characters=True)


def _severity(value: int) -> str:
    return _SEVERITIES[value] if value < len(_SEVERITIES) else "unknown"


def _time(raw: bytes) -> str:
    # bcd2bin() does not look at its digits.
    second, minute, hour, flags, day, month, year, century = (
        (byte & 15) + (byte >> 4) * 10 if index != 3 else byte for index, byte in enumerate(raw)
    )
    precise = "precise" if flags & 1 else "imprecise"
    day_text = f"{century:02d}{year:02d}-{month:02d}-{day:02d}"
    return f"{precise} tstamp: {day_text} {hour:02d}:{minute:02d}:{second:02d}"


@dataclass(frozen=True, slots=True)
class KernelDifference:
    """What another kernel prints. ``seen`` names the releases whose source was read."""

    section: str
    what: str
    seen: str


#: Sources read: the stable releases 6.1.192, 6.12.117 and 7.3.4. Stable releases take over fixes, so an
#: older release of the same series may print as in the first rows.
KERNEL_DIFFERENCES: tuple[KernelDifference, ...] = (
    KernelDifference(
        "ARM processor",
        "before 6.19 (and stable releases before commit 96b010536ee0 reached them) the type byte is a"
        ' number: "error_type: 0, cache error", and "operation type: ...", "cache level: ..." without the'
        " kind before them; a type above 3 has no details",
        "commit 96b010536ee0; 6.1.192 and 6.12.117 have it",
    ),
    KernelDifference(
        "ARM processor",
        'before the same time a section length that is too small prints "section length: N" and "section'
        ' length is too small"; one that is too big is not noticed',
        "6.1.192 and 6.12.117 have the check, 6.18 as released has not",
    ),
    KernelDifference(
        "ARM processor",
        "register contexts are walked without padding to 16 bytes, so all but the first are garbage where"
        " firmware pads them",
        "6.1.192 and 6.12.117; 7.3.4 pads",
    ),
    KernelDifference(
        "PCIe",
        "AER registers are printed only where bit 0 of the entry's severity is set (fatal, informational),"
        ' and without the line "aer_cor_status"',
        "6.1.192; 6.12.117 prints as 7.3.4",
    ),
    KernelDifference(
        "CXL component events",
        "printed as sections of unknown type",
        "6.1.192; 6.12.117 prints as 7.3.4",
    ),
    KernelDifference(
        "CXL protocol error",
        "printed as a section of unknown type",
        "6.1.192; 6.12.117 prints as 7.3.4",
    ),
)
