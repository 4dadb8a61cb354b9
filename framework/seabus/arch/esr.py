# SPDX-License-Identifier: Apache-2.0
"""ESR_ELx, the register that says why an exception was taken: decoded and built from tables.

>>> print(decode_esr(0x92000047).summary())
EC 0x24 data abort from a lower EL, IL, WnR, DFSC 0x07 translation fault, level 3
>>> encode_data_abort(lower_el=True, fnv=True, dfsc=0x10)
Esr(0x92000410)

Layout (Arm ARM DDI 0487, ESR_EL1)::

    63    56 55        32 31  26 25 24                 0
    +-------+------------+------+--+-------------------+
    | RES0  |    ISS2    |  EC  |IL|        ISS        |
    +-------+------------+------+--+-------------------+
"""

from dataclasses import dataclass

from seabus.arch import _bits, _esr_tables
from seabus.arch._bits import Field
from seabus.arch._esr_tables import (
    DATA_FAULTS,
    EXCEPTION_CLASSES,
    INSTRUCTION_FAULTS,
    FaultStatus,
)

__all__ = [
    "DATA_FAULTS",
    "EXCEPTION_CLASSES",
    "INSTRUCTION_FAULTS",
    "Esr",
    "FaultStatus",
    "Field",
    "Syndrome",
    "decode_esr",
    "encode_data_abort",
    "encode_esr",
    "encode_instruction_abort",
    "encode_serror",
    "qemu_sea_esr",
]


@dataclass(frozen=True, slots=True, order=True)
class Esr:
    """A value of ESR_ELx, up to 64 bits (ISS2 included). Any value is allowed, legal or not.

    :raises ValueError: negative, or wider than 64 bits.
    """

    raw: int

    def __post_init__(self) -> None:
        if not 0 <= self.raw < 1 << 64:
            raise ValueError(f"ESR_ELx has 64 bits: {self.raw:#x}")

    def __int__(self) -> int:
        return self.raw

    def __str__(self) -> str:
        return f"{self.raw:#x}"

    def __repr__(self) -> str:
        return f"Esr({self.raw:#x})"

    @property
    def ec(self) -> int:
        """Exception class, bits 31:26."""
        return self.raw >> 26 & 0x3F

    @property
    def il(self) -> bool:
        """Instruction length, bit 25."""
        return bool(self.raw >> 25 & 1)

    @property
    def iss(self) -> int:
        """Instruction specific syndrome, bits 24:0."""
        return self.raw & 0x1FFFFFF

    @property
    def iss2(self) -> int:
        """Second syndrome, bits 55:32."""
        return self.raw >> 32 & 0xFFFFFF


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
    def fault(self) -> FaultStatus | None:
        """Fault status of a data or instruction abort; ``None`` for others and reserved codes."""
        status = self.esr.raw & _esr_tables.STATUS_MASK
        if self.esr.ec in {0x24, 0x25}:
            return DATA_FAULTS.get(status)
        if self.esr.ec in {0x20, 0x21}:
            return INSTRUCTION_FAULTS.get(status)
        return None

    @property
    def is_synchronous_external_abort(self) -> bool:
        """Whether this is an SEA: an abort with status 0x10, or 0x12-0x17 on a table walk."""
        return self.fault is not None and self.fault.code in {0x10, *range(0x12, 0x18)}

    def summary(self) -> str:
        """Return one line: the class, the flags that are set, the fields that tell something."""
        rows = {row.name: row for row in _rows(self.esr)}
        parts: list[str] = []
        for field in self.fields:
            row = rows[field.name]
            if field.width == 1:
                parts += [field.name] if field.value else []
            elif field.value or row.telling:
                text = str(field)
                parts.append(text if row.values else text.removesuffix(f" {field.meaning}"))
        if self.violations:
            parts.append("violates: " + "; ".join(self.violations))
        return ", ".join(parts)


def decode_esr(raw: int | Esr) -> Syndrome:
    """Decode a value of ESR_EL1, ESR_EL2 or ESR_EL3. Total over 64 bits: it never fails on them.

    :param raw: the register.
    :raises ValueError: negative, or wider than 64 bits.

    Source: Arm ARM DDI 0487, chapter D24, ESR_ELx; each field carries its paragraph.
    """
    esr = raw if isinstance(raw, Esr) else Esr(raw)
    fields, violations = _bits.decode(_rows(esr), esr.raw)
    if _il_is_one(esr) and not esr.il:
        violations = (*violations, "IL is 0 where it is fixed at 1")
    return Syndrome(esr, fields, violations)


def encode_esr(ec: int, /, **fields: int) -> Esr:
    """Build a legal ESR_ELx from its fields, named as the architecture spells them.

    >>> encode_esr(0x15, ISS=42)
    Esr(0x5600002a)

    To build an illegal one on purpose, pass the number to :class:`Esr`.

    :param ec: exception class, 0 to 63.
    :param fields: values by name, such as ``DFSC=0x10``. Those left out are zero, but for IL,
        which is 1 as for every A64 instruction.
    :raises ValueError: a field unknown to this class, a value too wide, or a combination that the
        architecture reserves.
    """
    entry = EXCEPTION_CLASSES.get(ec)
    if entry is None:
        raise ValueError(f"EC {ec:#x} is reserved")
    rows = (_esr_tables.EC_ROW, *entry.layout)
    esr = Esr(_bits.encode(rows, {"EC": ec, "IL": 1, **fields}))
    syndrome = decode_esr(esr)
    missing = (name for name, value in fields.items() if value and syndrome.get(name) is None)
    problems = [*(f"{name} does not exist here" for name in missing), *syndrome.violations]
    if problems:
        raise ValueError(f"not a legal ESR_ELx ({esr}): " + "; ".join(problems))
    return esr


def encode_data_abort(
    *,
    lower_el: bool,
    dfsc: int,
    isv: bool = False,
    sas: int = 0,
    sse: bool = False,
    srt: int = 0,
    sf: bool = False,
    ar: bool = False,
    vncr: bool = False,
    set_: int = 0,
    fnv: bool = False,
    ea: bool = False,
    cm: bool = False,
    s1ptw: bool = False,
    wnr: bool = False,
    il: bool = True,
) -> Esr:
    """Build the syndrome of a data abort.

    :param lower_el: taken from a lower exception level (EC 0x24), or the same (EC 0x25).
    :param dfsc: fault status code, see :data:`DATA_FAULTS`.
    :param sas: log2 of the access size in bytes, 0 to 3; like the next four, needs ``isv``.
    :param srt: number of the register transferred, 31 is the zero register.
    :param set_: synchronous error type: 0 UER, 2 UC, 3 UEO.
    :raises ValueError: a combination that the architecture reserves.

    Source: Arm ARM DDI 0487, ESR_ELx, ISS encoding for an exception from a Data Abort.
    """
    return encode_esr(
        0x24 if lower_el else 0x25,
        IL=il,
        ISV=isv,
        SAS=sas,
        SSE=sse,
        SRT=srt,
        SF=sf,
        AR=ar,
        VNCR=vncr,
        SET=set_,
        FnV=fnv,
        EA=ea,
        CM=cm,
        S1PTW=s1ptw,
        WnR=wnr,
        DFSC=dfsc,
    )


def encode_instruction_abort(
    *,
    lower_el: bool,
    ifsc: int,
    set_: int = 0,
    fnv: bool = False,
    ea: bool = False,
    s1ptw: bool = False,
) -> Esr:
    """Build the syndrome of an instruction abort.

    :param lower_el: taken from a lower exception level (EC 0x20), or the same (EC 0x21).
    :param ifsc: fault status code, see :data:`INSTRUCTION_FAULTS`.
    :param set_: synchronous error type: 0 UER, 2 UC, 3 UEO.
    :raises ValueError: a combination that the architecture reserves.

    Source: Arm ARM DDI 0487, ESR_ELx, ISS encoding for an exception from an Instruction Abort.
    """
    ec = 0x20 if lower_el else 0x21
    return encode_esr(ec, SET=set_, FnV=fnv, EA=ea, S1PTW=s1ptw, IFSC=ifsc)


def encode_serror(*, aet: int, iesb: bool = False, ea: bool = False) -> Esr:
    """Build the syndrome of a categorized SError (IDS 0, DFSC 0x11), as FEAT_RAS reports it.

    For an IMPLEMENTATION DEFINED one use ``encode_esr(0x2F, IDS=1, ISS=...)``, for an uncategorized
    one ``encode_esr(0x2F)``.

    :param aet: asynchronous error type: 0 UC, 1 UEU, 2 UEO, 3 UER, 6 CE.
    :raises ValueError: a reserved error type.

    Source: Arm ARM DDI 0487, ESR_ELx, ISS encoding for an SError exception.
    """
    return encode_esr(0x2F, IESB=iesb, AET=aet, EA=ea, DFSC=0x11)


def qemu_sea_esr(from_el0: bool) -> int:
    """Return the ESR_EL1 that QEMU gives a guest for poisoned memory, whatever the access was.

    Always a data abort to EL1, FAR not valid, status 0x10: 0x92000410 from EL0 (measured with QEMU
    11.1.3), 0x96000410 from EL1.

    Source: QEMU target/arm/kvm.c ``kvm_inject_arm_sea()``.
    """
    return int(encode_data_abort(lower_el=from_el0, fnv=True, dfsc=0x10))


def _rows(esr: Esr) -> tuple[_bits.Row, ...]:
    entry = EXCEPTION_CLASSES.get(esr.ec)
    return (_esr_tables.EC_ROW, *(_esr_tables.OPAQUE if entry is None else entry.layout))


def _il_is_one(esr: Esr) -> bool:
    entry = EXCEPTION_CLASSES.get(esr.ec)
    if entry is None or not entry.il_is_one:
        return False
    return entry.layout is not _esr_tables.DATA_ABORT or not esr.raw & _esr_tables.ISV
