# SPDX-License-Identifier: Apache-2.0
"""Linux drivers/firmware/efi/cper-arm.c, and what ghes.c says of the errors it cannot handle."""

from seabus.arch._kernel_cper_plain import ERROR_TYPES
from seabus.arch._kernel_cper_print import Printer, View

_SECTION_SIZE = 40  # struct cper_sec_proc_arm
_ERROR_SIZE = 32  # struct cper_arm_err_info
_CONTEXT_SIZE = 8  # struct cper_arm_ctx_info
_TYPE_MASK = 0x1E  # CPER_ARM_ERR_TYPE_MASK
_CACHE, _TLB, _BUS, _VENDOR = 0x02, 0x04, 0x08, 0x10

_CONTEXTS = (
    "AArch32 general purpose registers",
    "AArch32 EL1 context registers",
    "AArch32 EL2 context registers",
    "AArch32 secure context registers",
    "AArch64 general purpose registers",
    "AArch64 EL1 context registers",
    "AArch64 EL2 context registers",
    "AArch64 EL3 context registers",
    "Misc. system register structure",
)
_TRANSACTIONS = ("Instruction", "Data Access", "Generic")
# "instruction of data" is how the kernel spells it.
_OPERATIONS = (
    "Generic error (type cannot be determined)",
    "Generic read (type of instruction or data request cannot be determined)",
    "Generic write (type of instruction of data request cannot be determined)",
    "Data read",
    "Data write",
    "Instruction fetch",
    "Prefetch",
)
_CACHE_OPERATIONS = (
    *_OPERATIONS,
    "Eviction",
    "Snooping (processor initiated a cache snoop that resulted in an error)",
    "Snooped (processor raised a cache error caused by another processor or device snooping its cache)",
    "Management",
)
_TLB_OPERATIONS = (
    *_OPERATIONS,
    "Local management operation (processor initiated a TLB management operation that resulted in an error)",
    "External management operation (processor raised a TLB error caused by another processor or device"
    " broadcasting TLB operations)",
)
_KINDS = (
    (_CACHE, "cache error", _CACHE_OPERATIONS, "cache level"),
    (_TLB, "TLB error", _TLB_OPERATIONS, "TLB level"),
    (_BUS, "bus error", _OPERATIONS, "affinity level at which the bus error occurred"),
)
_PARTICIPATIONS = (
    "Local processor originated request",
    "Local processor responded to request",
    "Local processor observed",
    "Generic",
)
_SPACES = ("External Memory Access", "Internal Memory Access", "Unknown", "Device Memory Access")
_ERROR_FLAGS = (
    "first error captured",
    "last error captured",
    "propagated error captured",
    "overflow occurred, error info is incomplete",
)


def processor(printer: Printer, section: View) -> None:
    """cper_print_proc_arm()"""
    printer.line(f"MIDR: 0x{section.u64(24):016x}")
    count, contexts, length = section.u16(4), section.u16(6), section.u32(8)
    left = _int(length - (_SECTION_SIZE + count * _ERROR_SIZE))
    if left < 0 or length > section.size:
        printer.line(f"section length: {section.s32(8)}, CPER size: {section.size}")
        printer.line(f"section length is too {'small' if left < 0 else 'big'}")
        printer.line("firmware-generated error record is incorrect")
        printer.line(f"ERR_INFO_NUM is {count}")
        return
    valid = section.u32(0)
    if valid & 1:
        printer.line(f"Multiprocessor Affinity Register (MPIDR): 0x{section.u64(16):016x}")
    if valid & 2:
        printer.line(f"error affinity level: {section.u8(12)}")
    if valid & 4:
        printer.line(f"running state: 0x{section.u32(32):x}")
        printer.line(f"Power State Coordination Interface state: {section.s32(36)}")
    for number in range(count):
        _error(printer, section.at(_SECTION_SIZE + number * _ERROR_SIZE), number)
    at = _SECTION_SIZE + count * _ERROR_SIZE
    for number in range(contexts):
        taken = _context(printer, section.at(at), number, left)
        if taken is None:
            return
        at, left = at + taken, left - taken
    if left > 0:
        printer.line(f"Vendor specific error info has {left} bytes:")
        printer.indented().hex_dump(section.bytes(at, left), characters=True)


def _int(number: int) -> int:
    """Return what is left of a number in a C int."""
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


def _error(printer: Printer, error: View, number: int) -> None:
    valid, kind = error.u16(2), error.u8(4)
    printer.line(f"Error info structure {number}:")
    printer.line(f"num errors: {error.u16(5) + 1}")
    inner = printer.indented()
    if valid & 2:
        for bit, text in enumerate(_ERROR_FLAGS):
            if error.u8(7) >> bit & 1:
                inner.line(text)
    inner.line(f"error_type: {kind_text(kind)}")
    if valid & 4:
        inner.line(f"error_info: 0x{error.u64(8):016x}")
        _details(inner.indented(), kind, error.u64(8))
    if valid & 8:
        inner.line(f"virtual fault address: 0x{error.u64(16):016x}")
    if valid & 16:
        inner.line(f"physical fault address: 0x{error.u64(24):016x}")


def kind_text(kind: int) -> str:
    """Return a type byte as the kernel prints it, cper_bits_to_str() and what it adds."""
    names = "|".join(name for bit, name in enumerate(ERROR_TYPES, 1) if kind >> bit & 1)
    return f"0x{kind:02x}: {names}{' with reserved bit(s)' if kind & ~_TYPE_MASK else ''}"


def _details(printer: Printer, kind: int, word: int) -> None:
    """cper_print_arm_err_info()"""
    if kind & _VENDOR:
        return
    transaction, operation, level = word >> 16 & 3, word >> 18 & 15, word >> 22 & 7
    if word & 0x1 and transaction < len(_TRANSACTIONS):
        printer.line(f"transaction type: {_TRANSACTIONS[transaction]}")
    if word & 0x2:
        for bit, name, operations, _level_name in _KINDS:
            if kind & bit and operation < len(operations):
                printer.line(f"{name}, operation type: {operations[operation]}")
    if word & 0x4:
        for bit, _name, _operations, level_name in _KINDS:
            if kind & bit:
                printer.line(f"{level_name}: {level}")
    if word & 0x8:
        printer.line(f"processor context {'' if word >> 25 & 1 else 'not '}corrupted")
    if word & 0x10:
        printer.line(f"the error has {'' if word >> 26 & 1 else 'not '}been corrected")
    if word & 0x20:
        printer.line(f"PC is {'precise' if word >> 27 & 1 else 'imprecise'}")
    if word & 0x40 and word >> 28 & 1:
        printer.line("Program execution can be restarted reliably at the PC associated with the error.")
    if kind == _BUS:
        _bus_details(printer, word)


def _bus_details(printer: Printer, word: int) -> None:
    if word & 0x80:
        printer.line(f"participation type: {_PARTICIPATIONS[word >> 29 & 3]}")
    if word & 0x100 and word >> 31 & 1:
        printer.line("request timed out")
    if word & 0x200:
        printer.line(f"address space: {_SPACES[word >> 32 & 3]}")
    if word & 0x400:
        printer.line(f"memory access attributes:0x{word >> 34 & 0x1FF:x}")
    if word & 0x800:
        printer.line(f"access mode: {'normal' if word >> 43 & 1 else 'secure'}")


def _context(printer: Printer, context: View, number: int, left: int) -> int | None:
    """Print a context; return the bytes that it takes, or ``None`` where the kernel gives up.

    A size of 2 GiB or more overflows the kernel's int, and it dumps memory far beyond the record. What it
    prints then is anyone's guess, so the lines end there.
    """
    kind, size = context.u16(2), context.u32(4)
    taken = _int(_CONTEXT_SIZE + size + -(_CONTEXT_SIZE + size) % 16)
    inner = printer.indented()
    printer.line(f"Context info structure {number}:")
    if left < taken:
        inner.line("section length is too small")
        printer.line("firmware-generated error record is incorrect")
        return None
    if kind >= len(_CONTEXTS):
        inner.line(f"Invalid context type: {kind} (max: {len(_CONTEXTS) - 1})")
        return None
    inner.line(f"register context type: {_CONTEXTS[kind]}")
    if size > left:
        return None
    inner.hex_dump(context.bytes(_CONTEXT_SIZE, size), characters=False)
    return taken


def unhandled(section: View) -> list[str]:
    """Return the warnings of ghes_handle_arm_hw_error() for a section."""
    left = section.size - _SECTION_SIZE
    if left < 0:
        # What log_arm_hw_error() would have been given.
        return [
            f"[Firmware Bug]: arm error length: {section.size}",
            "[Firmware Bug]: length is too small",
            "[Firmware Bug]: firmware-generated error record is incorrect",
        ]
    lines: list[str] = []
    at = _SECTION_SIZE
    for _number in range(section.u16(4)):
        error = section.at(at)
        if left < _ERROR_SIZE or left < error.u8(1):
            break
        left -= error.u8(1)
        kind = error.u8(4)
        if not (kind & _CACHE and error.u16(2) & 16):
            lines.append(f"[Firmware Warn]: GHES: Unhandled processor error type {kind_text(kind)}")
        at += error.u8(1)
    return lines
