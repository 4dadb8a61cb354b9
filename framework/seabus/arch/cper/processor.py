# SPDX-License-Identifier: Apache-2.0
"""The generic processor section: what any architecture can say of an error in a processor."""

import uuid
from dataclasses import dataclass
from typing import ClassVar

from seabus.arch._codecs import TEXT
from seabus.arch._layout import Item, Table, flags, reserved
from seabus.arch.cper._section import TableSection
from seabus.arch.cper.guids import PROCESSOR_GENERIC

_TYPES = {0: "IA32/X64", 1: "IA64", 2: "ARM"}
_ISAS = {0: "IA32", 1: "IA64", 2: "X64", 3: "ARM A32/T32", 4: "ARM A64"}
_OPERATIONS = {0: "unknown or generic", 1: "data read", 2: "data write", 3: "instruction execution"}

_VALID = Item("validation_bits", 0, 8)
# fmt: off
_TABLE = Table("UEFI 2.11 N.2.4.1, Processor Generic Error Section", 192, (
    _VALID,
    Item("processor_type", 8, 1, valid=0, names=_TYPES),
    Item("processor_isa", 9, 1, valid=1, names=_ISAS),
    # The specification lists single bits as values; Linux reads them as bits.
    Item("error_type", 10, 1, valid=2,
         parts=flags("cache error", "TLB error", "bus error", "micro-architectural error")),
    Item("operation", 11, 1, valid=3, names=_OPERATIONS),
    Item("flags", 12, 1, valid=4, parts=flags("restartable", "precise IP", "overflow", "corrected")),
    Item("level", 13, 1, "level of the structure, 0 is the lowest cache", valid=5),
    reserved(14, 2),
    Item("cpu_version", 16, 8, "MIDR_EL1 on ARM", valid=6),
    Item("cpu_brand", 24, 128, "brand string", valid=7, codec=TEXT),
    Item("processor_id", 152, 8, "MPIDR_EL1 on ARM", valid=8),
    Item("target_address", 160, 8, "target address of the error", valid=9),
    Item("requestor_id", 168, 8, "requestor of the error", valid=10),
    Item("responder_id", 176, 8, "responder of the error", valid=11),
    Item("instruction_ip", 184, 8, "instruction pointer when the error occurred", valid=12),
), valid=_VALID)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProcessorSection(TableSection):
    """A generic processor section. A field that is ``None`` is not declared valid by the record.

    ``error_type`` and ``flags`` are bits; ``target_address`` and ``instruction_ip`` are addresses as the
    processor had them, virtual or physical as the error has it.

    Source: UEFI 2.11 appendix N.2.4.1, Processor Generic Error Section.
    """

    guid: ClassVar[uuid.UUID] = PROCESSOR_GENERIC
    title: ClassVar[str] = "generic processor error section"
    table: ClassVar[Table] = _TABLE

    processor_type: int | None = None
    processor_isa: int | None = None
    error_type: int | None = None
    operation: int | None = None
    flags: int | None = None
    level: int | None = None
    cpu_version: int | None = None
    cpu_brand: str | None = None
    processor_id: int | None = None
    target_address: int | None = None
    requestor_id: int | None = None
    responder_id: int | None = None
    instruction_ip: int | None = None
