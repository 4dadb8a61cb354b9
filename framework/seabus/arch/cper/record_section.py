# SPDX-License-Identifier: Apache-2.0
"""Section descriptors: where in a CPER record a section lies, of what type it is, and who reports it."""

import uuid
from dataclasses import dataclass
from typing import Any

from seabus.arch._codecs import GUID, TEXT
from seabus.arch._layout import Item, Table, reserved
from seabus.arch.cper.entry import SECTION_FLAGS
from seabus.arch.cper.sections import Section
from seabus.arch.cper.severity import SEVERITIES, Severity

_VALID = Item("validation_bits", 10, 1)
SECTION_OFFSET = Item("section_offset", 0, 4, "offset of the section in the record")
SECTION_LENGTH = Item("section_length", 4, 4, "bytes of the section")
SECTION_SEVERITY = Item("section_severity", 48, 4, names=SEVERITIES)
# fmt: off
DESCRIPTOR = Table("UEFI 2.11 N.2.2, Section Descriptor", 72, (
    SECTION_OFFSET,
    SECTION_LENGTH,
    Item("revision", 8, 2, "BCD, major and minor"),
    _VALID,
    reserved(11, 1),
    Item("flags", 12, 4, parts=SECTION_FLAGS),
    Item("section_type", 16, 16, codec=GUID),
    Item("fru_id", 32, 16, "field replaceable unit", valid=0, codec=GUID),
    SECTION_SEVERITY,
    Item("fru_text", 52, 20, "field replaceable unit", valid=1, codec=TEXT),
), valid=_VALID)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSection:
    """One section of a record with its descriptor.

    ``fru_id`` and ``fru_text`` are ``None`` where not declared valid. ``offset`` is where the section
    lies in the record, or ``None`` where it follows the section before. ``unknown_valid`` holds
    validation bits that nobody defines, ``residue`` bytes of the descriptor without a valid field.

    Source: UEFI 2.11 appendix N.2.2, Section Descriptor.
    """

    section: Section
    severity: Severity
    fru_id: uuid.UUID | None = None
    fru_text: str | None = None
    flags: int = 0
    revision: int = 0x100
    offset: int | None = None
    unknown_valid: int = 0
    residue: bytes = b""

    def encode_descriptor(self, offset: int, length: int) -> bytes:
        """Return the descriptor of a section at that offset of the record, of that many bytes.

        :raises ValueError: a value does not fit its field.
        """
        values: dict[str, Any] = {
            "section_offset": offset,
            "section_length": length,
            "revision": self.revision,
            "flags": self.flags,
            "section_type": self.section.guid,
            "fru_id": self.fru_id,
            "section_severity": self.severity,
            "fru_text": self.fru_text,
        }
        return DESCRIPTOR.pack(values, unknown_valid=self.unknown_valid, residue=self.residue)
