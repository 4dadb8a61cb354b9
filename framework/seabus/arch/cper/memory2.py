# SPDX-License-Identifier: Apache-2.0
"""The platform memory section 2: wider fields, for larger memories."""

import uuid
from dataclasses import dataclass
from typing import ClassVar

from seabus.arch._layout import Item, Part, Table, reserved
from seabus.arch.cper._section import TableSection
from seabus.arch.cper.error_status import ERROR_STATUS
from seabus.arch.cper.guids import PLATFORM_MEMORY_2
from seabus.arch.cper.memory import ERROR_TYPES, error_type_name

_VALID = Item("validation_bits", 0, 8)
# fmt: off
_TABLE = Table("UEFI 2.11 N.2.6, Memory Error Record 2", 96, (
    _VALID,
    Item("error_status", 8, 8, valid=0, parts=ERROR_STATUS),
    Item("physical_address", 16, 8, "where the error occurred", valid=1),
    Item("physical_address_mask", 24, 8, "address bits that count", valid=2),
    Item("node", 32, 2, "node of a multi-node system", valid=3),
    Item("card", 34, 2, "memory card", valid=4),
    Item("module", 36, 2, "memory module", valid=5),
    Item("bank", 38, 2, "bank, or bank group and address", valid=6),
    Item("bank_address", 38, 2, "bank address", valid=21, shift=0, width=8),
    Item("bank_group", 38, 2, "bank group", valid=20, shift=8, width=8),
    Item("device", 40, 4, "device of the module", valid=7),
    Item("row", 44, 4, "row", valid=8),
    Item("column", 48, 4, "column", valid=9),
    Item("rank", 52, 4, "rank", valid=10),
    Item("bit_position", 56, 4, "bit at which the error occurred", valid=11),
    Item("chip_id", 60, 1, "die of a 3DS package", valid=12),
    Item("error_type", 61, 1, valid=13, names=ERROR_TYPES),
    Item("status", 62, 1, valid=14,
         parts=(Part("uncorrected", 0, 0, names={0: "corrected", 1: "uncorrected"}),)),
    reserved(63, 1),
    Item("requestor_id", 64, 8, "hardware address of who began the transaction", valid=15),
    Item("responder_id", 72, 8, "hardware address of who responded", valid=16),
    Item("target_id", 80, 8, "hardware address of the intended target", valid=17),
    Item("card_handle", 88, 4, "SMBIOS handle of the memory array (type 16)", valid=18),
    Item("module_handle", 92, 4, "SMBIOS handle of the memory device (type 17)", valid=19),
), valid=_VALID)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MemorySection2(TableSection):
    """A platform memory section 2. A field that is ``None`` is not declared valid by the record.

    Addresses are physical addresses of the level the record is delivered to. ``bank`` is either one
    16-bit number, or ``bank_group`` (upper half) and ``bank_address`` (lower half) are given. Bit 0 of
    ``status`` is 1 for an uncorrected error. Linux up to 7.3 prints this section as unknown bytes.

    Source: UEFI 2.11 appendix N.2.6, Memory Error Record 2.
    """

    guid: ClassVar[uuid.UUID] = PLATFORM_MEMORY_2
    title: ClassVar[str] = "memory error section 2"
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
    rank: int | None = None
    bit_position: int | None = None
    chip_id: int | None = None
    error_type: int | None = None
    status: int | None = None
    requestor_id: int | None = None
    responder_id: int | None = None
    target_id: int | None = None
    card_handle: int | None = None
    module_handle: int | None = None
    bank_group: int | None = None
    bank_address: int | None = None

    @property
    def error_type_name(self) -> str:
        """The error type in words, such as ``multi-bit ECC``; empty when not valid."""
        return error_type_name(self.error_type)
