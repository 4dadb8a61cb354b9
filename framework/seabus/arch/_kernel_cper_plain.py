# SPDX-License-Identifier: Apache-2.0
"""Linux drivers/firmware/efi/cper.c: generic processor, memory and firmware record sections."""

from seabus.arch._kernel_cper_print import Printer, View

_PROCESSOR_TYPES = ("IA32/X64", "IA64", "ARM")
_ISAS = ("IA32", "IA64", "X64", "ARM A32/T32", "ARM A64")
_OPERATIONS = ("unknown or generic", "data read", "data write", "instruction execution")
_FLAGS = ("restartable", "precise IP", "overflow", "corrected")
#: cper_proc_error_type_strs
ERROR_TYPES = ("cache error", "TLB error", "bus error", "micro-architectural error")


def processor(printer: Printer, section: View) -> None:
    """cper_print_proc_generic(). The brand string (bit 7) is not printed."""
    valid = section.u64(0)
    if valid & 0x1:
        printer.named("processor_type", section.u8(8), _PROCESSOR_TYPES)
    if valid & 0x2:
        printer.named("processor_isa", section.u8(9), _ISAS)
    if valid & 0x4:
        printer.line(f"error_type: 0x{section.u8(10):02x}")
        printer.bits(section.u8(10), ERROR_TYPES)
    if valid & 0x8:
        printer.named("operation", section.u8(11), _OPERATIONS)
    if valid & 0x10:
        printer.line(f"flags: 0x{section.u8(12):02x}")
        printer.bits(section.u8(12), _FLAGS)
    if valid & 0x20:
        printer.line(f"level: {section.u8(13)}")
    for bit, label, offset in (
        (0x40, "version_info", 16),
        (0x100, "processor_id", 152),
        (0x200, "target_address", 160),
        (0x400, "requestor_id", 168),
        (0x800, "responder_id", 176),
        (0x1000, "IP", 184),
    ):
        if valid & bit:
            printer.line(f"{label}: 0x{section.u64(offset):016x}")


_MEMORY_TYPES = (
    "unknown",
    "no error",
    "single-bit ECC",
    "multi-bit ECC",
    "single-symbol chipkill ECC",
    "multi-symbol chipkill ECC",
    "master abort",
    "target abort",
    "parity error",
    "watchdog timeout",
    "invalid address",
    "mirror Broken",
    "memory sparing",
    "scrub corrected error",
    "scrub uncorrected error",
    "physical memory map-out event",
)
# cper_mem_err_status_str()
_STATUSES = {
    1: "Error detected internal to the component",
    4: "Storage error in DRAM memory",
    5: "Storage error in TLB",
    6: "Storage error in cache",
    7: "Error in one or more functional units",
    8: "Component failed self test",
    9: "Overflow or undervalue of internal queue",
    16: "Error detected in the bus",
    17: "Virtual address not found on IO-TLB or IO-PDIR",
    18: "Improper access error",
    19: "Access to a memory address which is not mapped to any component",
    20: "Loss of Lockstep",
    21: "Response not associated with a request",
    22: "Bus parity error - must also set the A, C, or D Bits",
    23: "Detection of a protocol error",
    24: "Detection of a PATH_ERROR",
    25: "Bus operation timeout",
    26: "A read was issued to data that has been poisoned",
}
_OLD_SIZE = 73  # struct cper_sec_mem_err_old
_OLD_VALID = 0x7FFF
_ROW = 0x100
_ROW_EXTENSION = 0x40000
_MODULE_HANDLE = 0x20000
_LOCATION_SIZE = 256  # CPER_REC_LEN


def memory(printer: Printer, section: View) -> None:
    """cper_print_mem()"""
    valid = section.u64(0)
    if section.size == _OLD_SIZE and valid & ~_OLD_VALID:
        printer.bare("[Firmware Warn]: valid bits set for fields beyond structure")
        return
    if valid & 0x1:
        status = section.u64(8)
        name = _STATUSES.get(status >> 8 & 0xFF, "Reserved")
        printer.line(f" error_status: {name} (0x{status:016x})")
    if valid & 0x2:
        printer.line(f"physical_address: 0x{section.u64(16):016x}")
    if valid & 0x4:
        printer.line(f"physical_address_mask: 0x{section.u64(24):016x}")
    location = _location(section, valid)
    if location:
        printer.line(location)
    if valid & 0x4000:
        printer.named("error_type", section.u8(72), _MEMORY_TYPES)
    if valid & _MODULE_HANDLE:
        handle = section.u16(78)
        found = printer.dimms.get(handle)
        where = f"{found[0]} {found[1]}" if found else f"not present. DMI handle: 0x{handle:04x}"
        printer.line(f"DIMM location: {where} ")


def _location(section: View, valid: int) -> str:
    """cper_mem_err_location(): one line, cut where the kernel's buffer ends."""
    bank, extended = section.u16(38), section.u8(73)
    row = section.u16(42) | ((extended & 3) << 16 if valid & _ROW_EXTENSION else 0)
    parts = (
        (0x8, f"node:{section.u16(32)} "),
        (0x10, f"card:{section.u16(34)} "),
        (0x20, f"module:{section.u16(36)} "),
        (0x8000, f"rank:{section.u16(74)} "),
        (0x40, f"bank:{bank} "),
        (0x80000, f"bank_group:{bank >> 8} "),
        (0x100000, f"bank_address:{bank & 0xFF} "),
        (0x80, f"device:{section.u16(40)} "),
        (_ROW | _ROW_EXTENSION, f"row:{row} "),
        (0x200, f"column:{section.u16(44)} "),
        (0x400, f"bit_position:{section.u16(46)} "),
        (0x800, f"requestor_id:0x{section.u64(48):016x} "),
        (0x1000, f"responder_id:0x{section.u64(56):016x} "),
        (0x2000, f"target_id:0x{section.u64(64):016x} "),
        (0x200000, f"chip_id:{extended >> 5} "),
    )
    return "".join(text for bit, text in parts if valid & bit)[: _LOCATION_SIZE - 1]


_RECORD_TYPES = (
    "IPF SAL Error Record",
    "SOC Firmware Error Record Type1 (Legacy CrashLog Support)",
    "SOC Firmware Error Record Type2",
)
_FIRST_REVISION_END = 16
_SECOND_REVISION_END = 8
_LATER_REVISION_END = 32


def firmware(printer: Printer, section: View) -> None:
    """cper_print_fw_err()"""
    kind, revision = section.u8(0), section.u8(1)
    name = _RECORD_TYPES[kind] if kind < len(_RECORD_TYPES) else "unknown"
    printer.line(f"Firmware Error Record Type: {name}")
    printer.line(f"Revision: {revision}")
    end = _LATER_REVISION_END
    if revision == 0:
        printer.line(f"Record Identifier: {section.u64(8):08x}")
        end = _FIRST_REVISION_END
    elif revision == 1:
        end = _SECOND_REVISION_END
    elif revision == 2:
        printer.line(f"Record Identifier: {section.guid(16)}")
    if end > section.size:
        printer.line(f"error section length is too small: offset={end}, length={section.size}")
        return
    printer.hex_dump(section.bytes(end, section.size - end), characters=True)
