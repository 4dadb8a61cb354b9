# SPDX-License-Identifier: Apache-2.0
"""Sections of a CPER: the part of an error record that says what went wrong where.

A section is a table of optional fields and a dataclass that holds them; a type without a table is
an
:class:`UnknownSection`. To add one, write its table and its class, and name it in :func:`decode`.
"""

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Self

from seabus.arch._layout import Member, Slot, put_members, read, read_members
from seabus.arch.malformed import MalformedRecord

#: GUID of the platform memory section.
MEMORY_ERROR_SECTION = uuid.UUID("a5bc1114-6f64-4ede-b863-3e83ed7c83b1")

#: Section types by GUID. Source: UEFI 2.11 appendix N.2.2, section descriptor; the CXL component
#: events take their GUIDs from CXL 3.1 section 8.2.9.2.1.
SECTION_TYPES: Mapping[uuid.UUID, str] = {
    uuid.UUID(guid): name
    for guid, name in (
        ("9876ccad-47b4-4bdb-b65e-16f193c4f3db", "processor, generic"),
        ("dc3ea0b0-a144-4797-b95b-53fa242b6e1d", "processor, IA32/X64"),
        ("e429faf1-3cb7-11d4-bca7-0080c73c8881", "processor, IPF"),
        ("e19e3d16-bc11-11e4-9caa-c2051d5d46b0", "processor, ARM"),
        (str(MEMORY_ERROR_SECTION), "platform memory"),
        ("61ec04fc-48e6-d813-25c9-8daa44750b12", "platform memory 2"),
        ("d995e954-bbc1-430f-ad91-b44dcb3c6f35", "PCI Express"),
        ("81212a96-09ed-4996-9471-8d729c8e69ed", "firmware error record reference"),
        ("c5753963-3b84-4095-bf78-eddad3f9c9dd", "PCI/PCI-X bus"),
        ("eb5e4685-ca66-4769-b6a2-26068b001326", "PCI component or device"),
        ("5b51fef7-c79d-4434-8f1b-aa62de3e2c64", "DMAr, generic"),
        ("71761d37-32b2-45cd-a7d0-b0fedd93e8cf", "DMAr, Intel VT for Directed I/O"),
        ("036f84e1-7f37-428c-a79e-575fdfaa84ec", "DMAr, IOMMU"),
        ("69293bc9-41df-49a3-b4bd-4fb0db3041f6", "CCIX PER log"),
        ("80b9efb4-52b5-4de3-a777-68784b771048", "CXL protocol error"),
        ("fbcd0a77-c260-417f-85a9-088b1621eba6", "CXL general media event"),
        ("601dcbb3-9c06-4eab-b8af-4e9bfb5c9624", "CXL DRAM event"),
        ("fe927475-dd59-4339-a586-79bab113bc74", "CXL memory module event"),
    )
}


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


# UEFI 2.11 appendix N.2.5, Memory Error Record: validation bit, name, byte offset, bytes, cut.
# fmt: off
_MEMORY_MEMBERS = (
    Member(0, "error_status", 8, 8),
    Member(1, "physical_address", 16, 8),
    Member(2, "physical_address_mask", 24, 8),
    Member(3, "node", 32, 2),
    Member(4, "card", 34, 2),
    Member(5, "module", 36, 2),
    Member(6, "bank", 38, 2),
    Member(7, "device", 40, 2),
    Member(8, "row", 42, 2),
    Member(9, "column", 44, 2),
    Member(10, "bit_position", 46, 2),
    Member(11, "requestor_id", 48, 8),
    Member(12, "responder_id", 56, 8),
    Member(13, "target_id", 64, 8),
    Member(14, "error_type", 72, 1),
    Member(15, "rank", 74, 2),
    Member(16, "card_handle", 76, 2),
    Member(17, "module_handle", 78, 2),
    Member(18, "extended_row", 73, 1, shift=0, width=2),     # bits 17:16 of the row
    Member(19, "bank_group", 38, 2, shift=8, width=8),       # the upper half of the bank
    Member(20, "bank_address", 38, 2, shift=0, width=8),     # the lower half of the bank
    Member(21, "chip_id", 73, 1, shift=5, width=3),
)
# fmt: on
_MEMORY_VALID = Slot("validation_bits", 0, 8)
_MEMORY_SIZE = 80
# Up to UEFI 2.2 the section ended after error_type; Linux accepts that as the shortest (struct
# cper_sec_mem_err_old), and anything longer.
_MEMORY_SIZE_OLD = 73
_MEMORY_KNOWN = sum(1 << member.valid for member in _MEMORY_MEMBERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySection:
    """A platform memory section. A field that is ``None`` is not declared valid by the record.

    Addresses are physical addresses of the level the record is delivered to: host-physical in a
    record to L1, guest-physical in one to L2. The mask has a 1 for each address bit that counts.
    ``row`` holds bits 15:0 and ``extended_row`` bits 17:16. ``bank`` is either one 16-bit number,
    or ``bank_group`` (upper half) and ``bank_address`` (lower half) are given. ``unknown_valid``
    holds validation bits that the specification does not define; ``trailing`` what follows byte 80.

    Source: UEFI 2.11 appendix N.2.5, Memory Error Record.
    """

    guid: ClassVar[uuid.UUID] = MEMORY_ERROR_SECTION

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
    unknown_valid: int = 0
    trailing: bytes = b""

    @property
    def error_type_name(self) -> str:
        """The error type in words, such as ``multi-bit ECC``; empty when not valid."""
        if self.error_type is None:
            return ""
        if self.error_type not in set(MemoryErrorType):
            return f"reserved ({self.error_type})"
        return MemoryErrorType(self.error_type).text

    def encode(self) -> bytes:
        """Return the section, 80 bytes and what trails them.

        :raises ValueError: a value does not fit its field, or ``bank`` contradicts its halves.
        """
        if self.unknown_valid & _MEMORY_KNOWN or self.unknown_valid >> 64:
            raise ValueError(f"unknown_valid has bits of known fields: {self.unknown_valid:#x}")
        data = bytearray(_MEMORY_SIZE)
        names = {member.name for member in _MEMORY_MEMBERS}
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        valid = put_members(
            _MEMORY_MEMBERS,
            {name: value for name, value in given.items() if name in names and value is not None},
            data,
        )
        data[: _MEMORY_VALID.end] = (valid | self.unknown_valid).to_bytes(8, "little")
        return bytes(data) + self.trailing

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> Self:
        """Read a section of 73 bytes (UEFI 2.2 and before), 80, or more.

        :param offset: where the section starts in the whole record, for the error.
        :raises MalformedRecord: shorter than 73 bytes, or a field is declared valid beyond the end.

        Source: the lengths are those of Linux drivers/firmware/efi/cper.c ``cper_print_mem()``.
        """
        if len(data) < _MEMORY_SIZE_OLD:
            reason = f"{len(data)} bytes, a memory section has {_MEMORY_SIZE_OLD} or more"
            raise MalformedRecord(offset, "memory error section", reason)
        valid = read(data, _MEMORY_VALID, base=offset)
        return cls(
            **read_members(_MEMORY_MEMBERS, data, valid, offset),
            unknown_valid=valid & ~_MEMORY_KNOWN,
            trailing=data[_MEMORY_SIZE:],
        )


@dataclass(frozen=True, slots=True)
class UnknownSection:
    """A section kept as bytes: nobody decodes its type yet, or nobody knows it."""

    guid: uuid.UUID
    data: bytes

    @property
    def name(self) -> str:
        """What :data:`SECTION_TYPES` calls it, or its GUID."""
        return SECTION_TYPES.get(self.guid, str(self.guid))

    def encode(self) -> bytes:
        """Return the bytes as they came."""
        return self.data


Section = MemorySection | UnknownSection


def decode(guid: uuid.UUID, body: bytes, offset: int = 0) -> Section:
    """Read the section of that type.

    :param body: its bytes, all of them and no more.
    :param offset: where it starts in the whole record, for the error.
    :raises MalformedRecord: a type that is decoded here, but not in this shape.
    """
    if guid == MEMORY_ERROR_SECTION:
        return MemorySection.decode(body, offset)
    return UnknownSection(guid, body)
