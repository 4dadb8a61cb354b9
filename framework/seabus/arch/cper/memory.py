# SPDX-License-Identifier: Apache-2.0
"""The platform memory section: where in memory an error lies."""

import enum
import uuid
from dataclasses import dataclass
from typing import ClassVar, Self

from seabus.arch._layout import Item, Table, reserved
from seabus.arch.cper._section import TableSection, require
from seabus.arch.cper.error_status import ERROR_STATUS
from seabus.arch.cper.guids import PLATFORM_MEMORY

#: GUID of the platform memory section.
MEMORY_ERROR_SECTION = PLATFORM_MEMORY


class MemoryErrorType(enum.IntEnum):
    """Kinds of memory error. Source: UEFI 2.11 appendix N.2.5, Memory Error Type."""

    UNKNOWN = 0
    NO_ERROR = 1
    SINGLE_BIT_ECC = 2
    MULTI_BIT_ECC = 3
    SINGLE_SYMBOL_CHIPKILL_ECC = 4
    MULTI_SYMBOL_CHIPKILL_ECC = 5
    MASTER_ABORT = 6
    TARGET_ABORT = 7
    PARITY_ERROR = 8
    WATCHDOG_TIMEOUT = 9
    INVALID_ADDRESS = 10
    MIRROR_BROKEN = 11
    MEMORY_SPARING = 12
    SCRUB_CORRECTED_ERROR = 13
    SCRUB_UNCORRECTED_ERROR = 14
    PHYSICAL_MEMORY_MAP_OUT_EVENT = 15

    @property
    def text(self) -> str:
        """The type in the words of the specification."""
        text = self.name.replace("_", " ").lower().replace("ecc", "ECC")
        return text.replace(" bit", "-bit").replace(" symbol", "-symbol").replace("map out", "map-out")


ERROR_TYPES = {kind.value: kind.text for kind in MemoryErrorType}


def error_type_name(error_type: int | None) -> str:
    """Return an error type in words, such as ``multi-bit ECC``; empty for ``None``."""
    if error_type is None:
        return ""
    return ERROR_TYPES.get(error_type, f"reserved ({error_type})")


_VALID = Item("validation_bits", 0, 8)
# fmt: off
_TABLE = Table("UEFI 2.11 N.2.5, Memory Error Record", 80, (
    _VALID,
    Item("error_status", 8, 8, valid=0, parts=ERROR_STATUS),
    Item("physical_address", 16, 8, "where the error occurred", valid=1),
    Item("physical_address_mask", 24, 8, "address bits that count", valid=2),
    Item("node", 32, 2, "node of a multi-node system", valid=3),
    Item("card", 34, 2, "memory card", valid=4),
    Item("module", 36, 2, "memory module", valid=5),
    Item("bank", 38, 2, "bank, or bank group and address", valid=6),
    Item("bank_address", 38, 2, "bank address", valid=20, shift=0, width=8),
    Item("bank_group", 38, 2, "bank group", valid=19, shift=8, width=8),
    Item("device", 40, 2, "device of the module", valid=7),
    Item("row", 42, 2, "bits 15:0 of the row", valid=(8, 18)),
    Item("column", 44, 2, "column", valid=9),
    Item("bit_position", 46, 2, "bit at which the error occurred", valid=10),
    Item("requestor_id", 48, 8, "hardware address of who began the transaction", valid=11),
    Item("responder_id", 56, 8, "hardware address of who responded", valid=12),
    Item("target_id", 64, 8, "hardware address of the intended target", valid=13),
    Item("error_type", 72, 1, valid=14, names=ERROR_TYPES),
    Item("extended_row", 73, 1, "bits 17:16 of the row", valid=18, shift=0, width=2),
    reserved(73, 1, shift=2, width=3),
    Item("chip_id", 73, 1, "die of a 3DS package", valid=21, shift=5, width=3),
    Item("rank", 74, 2, "rank", valid=15),
    Item("card_handle", 76, 2, "SMBIOS handle of the memory array (type 16)", valid=16),
    Item("module_handle", 78, 2, "SMBIOS handle of the memory device (type 17)", valid=17),
), valid=_VALID)
# fmt: on

# Up to UEFI 2.2 the section ended after error_type. Linux takes that as the shortest (struct
# cper_sec_mem_err_old in include/linux/cper.h), and anything longer.
_SIZE_OLD = 73


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MemorySection(TableSection):
    """A platform memory section. A field that is ``None`` is not declared valid by the record.

    Addresses are physical addresses of the level the record is delivered to: host-physical in a
    record to L1, guest-physical in one to L2. The mask has a 1 for each address bit that counts.
    ``row`` holds bits 15:0; ``extended_row`` bits 17:16, and then validation bit 18 declares both of
    them instead of bit 8. ``bank`` is either one 16-bit number, or ``bank_group`` (upper half) and
    ``bank_address`` (lower half) are given. ``size`` is 73 for a section of UEFI 2.2 or before, which
    ends after ``error_type``; ``trailing`` is what follows byte 80.

    Source: UEFI 2.11 appendix N.2.5, Memory Error Record.
    """

    guid: ClassVar[uuid.UUID] = PLATFORM_MEMORY
    title: ClassVar[str] = "memory error section"
    table: ClassVar[Table] = _TABLE

    error_status: int | None = None
    physical_address: int | None = None
    physical_address_mask: int | None = None
    node: int | None = None
    card: int | None = None
    module: int | None = None
    bank: int | None = None
    device: int | None = None
    row: int | None = None
    column: int | None = None
    bit_position: int | None = None
    requestor_id: int | None = None
    responder_id: int | None = None
    target_id: int | None = None
    error_type: int | None = None
    rank: int | None = None
    card_handle: int | None = None
    module_handle: int | None = None
    extended_row: int | None = None
    bank_group: int | None = None
    bank_address: int | None = None
    chip_id: int | None = None
    size: int = _TABLE.size

    @property
    def error_type_name(self) -> str:
        """The error type in words, such as ``multi-bit ECC``; empty when not valid."""
        return error_type_name(self.error_type)

    @property
    def full_row(self) -> int | None:
        """The row with its extension, 18 bits."""
        if self.row is None:
            return None
        return self.row | (self.extended_row or 0) << 16

    def encode(self) -> bytes:
        """Return the section, ``size`` bytes and what trails them.

        :raises ValueError: a value does not fit its field, lies beyond ``size``, or ``bank``
            contradicts its halves; ``size`` is not 73 to 80, or less than 80 with ``trailing``.
        """
        if not _SIZE_OLD <= self.size <= _TABLE.size or (self.trailing and self.size != _TABLE.size):
            raise ValueError(f"a memory section of {self.size} bytes, and {len(self.trailing)} behind it")
        body = _TABLE.pack(
            self._values(), unknown_valid=self.unknown_valid, residue=self.residue, size=self.size
        )
        return body + self.trailing

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> Self:
        """Read a section of 73 bytes (UEFI 2.2 and before), 80, or more.

        :param offset: where the section starts in the whole record, for the error.
        :raises MalformedRecord: shorter than 73 bytes, or a field is declared valid beyond the end.

        Source: the lengths are those of Linux drivers/firmware/efi/cper.c ``cper_print_mem()``.
        """
        require(data, _SIZE_OLD, offset, cls.title)
        size = min(len(data), _TABLE.size)
        values, unknown_valid, residue, _tail = _TABLE.unpack(data, offset, size)
        return cls(
            **values,
            unknown_valid=unknown_valid,
            residue=residue,
            size=size,
            trailing=data[_TABLE.size :],
        )
