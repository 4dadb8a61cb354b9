# SPDX-License-Identifier: Apache-2.0
"""ESR_ELx decoded: named fields, what each value means, and what the value violates."""

from dataclasses import dataclass

from seabus.arch._bits import Field
from seabus.arch.esr.classes import EXCEPTION_CLASSES, ExceptionClass
from seabus.arch.esr.faults import DATA_FAULTS, INSTRUCTION_FAULTS, STATUS_MASK, FaultStatus
from seabus.arch.esr.plans import existing_rows, plan_for
from seabus.arch.esr.value import Esr


@dataclass(frozen=True, slots=True)
class Syndrome:
    """A decoded ESR_ELx.

    ``fields`` starts with EC and IL and holds only the fields that exist for this value: ``SAS`` is
    absent while ISV is 0. ``violations`` lists, in words, RES0 bits that are set, reserved
    encodings, and an IL of 0 where the architecture fixes it at 1; it is empty for a legal value.

    >>> decode_esr(0x92000410)["DFSC"].value
    16
    """

    esr: Esr
    fields: tuple[Field, ...]
    violations: tuple[str, ...]

    def __getitem__(self, name: str) -> Field:
        """Return the field of that name.

        :raises KeyError: this value has no such field.
        """
        field = self.get(name)
        if field is None:
            raise KeyError(name)
        return field

    def get(self, name: str) -> Field | None:
        """Return the field of that name, or ``None`` where this value has no such field."""
        return next((field for field in self.fields if field.name == name), None)

    @property
    def exception_class(self) -> ExceptionClass | None:
        """The exception class, ``None`` for a reserved one."""
        return EXCEPTION_CLASSES.get(self.esr.ec)

    @property
    def fault(self) -> FaultStatus | None:
        """Fault status of a data or instruction abort; ``None`` for others and reserved codes."""
        status = self.esr.raw & STATUS_MASK
        if self.esr.ec in {0x24, 0x25}:
            return DATA_FAULTS.get(status)
        if self.esr.ec in {0x20, 0x21}:
            return INSTRUCTION_FAULTS.get(status)
        return None

    @property
    def is_synchronous_external_abort(self) -> bool:
        """Whether this is an SEA: an abort with status 0x10, or 0x12-0x17 on a table walk."""
        return self.fault is not None and self.fault.is_external_abort

    def summary(self) -> str:
        """Return one line: the class, the flags that are set, the fields that tell something."""
        rows = {row.name: row for row in existing_rows(self.esr.raw, None)}
        parts: list[str] = []
        for field in self.fields:
            row = rows[field.name]
            if row.telling or (field.value and field.width > 1):
                text = str(field)
                parts.append(text if row.values else text.removesuffix(f" {field.meaning}"))
            elif field.value:
                parts.append(field.name)
        if self.violations:
            parts.append("violates: " + "; ".join(self.violations))
        return ", ".join(parts)


def decode_esr(raw: int | Esr, *, el: int | None = None) -> Syndrome:
    """Decode a value of ESR_EL1, ESR_EL2 or ESR_EL3. Total over 64 bits: it never fails on them.

    >>> decode_esr(0x5A000000, el=1).violations
    ('EC 0x16 is not reported in ESR_EL1',)

    :param raw: the register.
    :param el: whose register it is, 1 to 3. Without it, fields and classes of all three are known.
    :raises ValueError: negative, or wider than 64 bits; an ``el`` without an ESR.

    Source: Arm ARM DDI 0487, chapter D24, ESR_ELx; each field carries its paragraph.
    """
    if el is not None and el not in {1, 2, 3}:
        raise ValueError(f"EL{el} has no ESR")
    esr = raw if isinstance(raw, Esr) else Esr(raw)
    value = esr.raw
    plan = plan_for(value, el)
    fields = tuple([by_bits[value & mask] for mask, by_bits in plan.reads])
    return Syndrome(esr, fields, plan.violations(value))
