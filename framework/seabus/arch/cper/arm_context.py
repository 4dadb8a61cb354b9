# SPDX-License-Identifier: Apache-2.0
"""ARM processor context: registers as they were when an error was found."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from seabus.arch._layout import Item, Table
from seabus.arch.cper._section import bytes_rows
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

#: Kinds of register context. Source: UEFI 2.11 appendix N.2.4.4.2, Register Context Type; type 9 from the
#: table of its own.
ARM_CONTEXT_TYPES: Mapping[int, str] = {
    0: "AArch32 general purpose registers",
    1: "AArch32 EL1 context registers",
    2: "AArch32 EL2 context registers",
    3: "AArch32 secure context registers",
    4: "AArch64 general purpose registers",
    5: "AArch64 EL1 context registers",
    6: "AArch64 EL2 context registers",
    7: "AArch64 EL3 context registers",
    8: "misc. system registers",
    9: "128-bit translation table base registers",
}

# UEFI 2.11 appendix N.2.4.4.2: bytes a register, and the registers in order.
_REGISTERS: Mapping[int, tuple[int, tuple[str, ...]]] = {
    number: (size, tuple(names.split()))
    for number, size, names in (
        (0, 4, " ".join(f"R{number}" for number in range(16))),
        (
            1,
            4,
            "DFAR DFSR IFAR ISR MAIR0 MAIR1 MIDR MPIDR NMRR PRRR SCTLR_NS SPSR SPSR_abt SPSR_fiq SPSR_irq"
            " SPSR_svc SPSR_und TPIDRPRW TPIDRURO TPIDRURW TTBCR TTBR0 TTBR1 DACR",
        ),
        (
            2,
            4,
            "ELR_hyp HAMAIR0 HAMAIR1 HCR HCR2 HDFAR HIFAR HPFAR HSR HTCR HTPIDR HTTBR SPSR_hyp VTCR VTTBR"
            " DACR32_EL2",
        ),
        (3, 4, "SCTLR_S SPSR_mon"),
        (4, 8, " ".join(f"X{number}" for number in range(31)) + " SP"),
        (
            5,
            8,
            "ELR_EL1 ESR_EL1 FAR_EL1 ISR_EL1 MAIR_EL1 MIDR_EL1 MPIDR_EL1 SCTLR_EL1 SP_EL0 SP_EL1 SPSR_EL1"
            " TCR_EL1 TPIDR_EL0 TPIDR_EL1 TPIDRRO_EL0 TTBR0_EL1 TTBR1_EL1",
        ),
        (
            6,
            8,
            "ELR_EL2 ESR_EL2 FAR_EL2 HACR_EL2 HCR_EL2 HPFAR_EL2 MAIR_EL2 SCTLR_EL2 SP_EL2 SPSR_EL2 TCR_EL2"
            " TPIDR_EL2 TTBR0_EL2 VTCR_EL2 VTTBR_EL2",
        ),
        (
            7,
            8,
            "ELR_EL3 ESR_EL3 FAR_EL3 MAIR_EL3 SCTLR_EL3 SP_EL3 SPSR_EL3 TCR_EL3 TPIDR_EL3 TTBR0_EL3",
        ),
        (9, 16, "TTBR0_EL1 TTBR0_EL2 TTBR0_EL3 TTBR1_EL1 TTBR1_EL2 VTTBR_EL2"),
    )
}
_MISC = 8
_MISC_SIZE = 10  # a register's encoding, 2 bytes, and its value, 8 bytes

_SOURCE = "UEFI 2.11 N.2.4.4.2, ARM Processor Error Context Information Header Structure"
_HEADER = Table(
    _SOURCE,
    8,
    (
        Item("version", 0, 2, "revision of this structure"),
        Item("type", 2, 2, names=ARM_CONTEXT_TYPES),
        Item("size", 4, 4, "bytes of the register array"),
    ),
)
_SIZE = _HEADER.fields["size"]
_ALIGNMENT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmContext:
    """Registers of one kind. ``data`` is the register array.

    ``padded`` says whether zeros follow up to a multiple of 16 bytes, header included, as UEFI wants them
    and Linux 7.3 expects them; Linux 6.12 expects none.

    Source: UEFI 2.11 appendix N.2.4.4.2, and N.2.4.4, Processor Context.
    """

    type: int
    data: bytes = b""
    version: int = 0
    padded: bool = True

    @classmethod
    def of(cls, context_type: int | str, registers: Mapping[str, int]) -> Self:
        """Build a context from registers by name; those of its kind that are left out are 0.

        :param context_type: its number, or its name in :data:`ARM_CONTEXT_TYPES`.
        :raises ValueError: no such type, no such register, or a value too wide.
        """
        number = _type_number(context_type)
        if number == _MISC:
            entries = ((_misc_encoding(name), value) for name, value in registers.items())
            raw = b"".join(code.to_bytes(2, "little") + _register(value, 8) for code, value in entries)
            return cls(type=number, data=raw)
        size, names = _REGISTERS[number]
        strangers = set(registers) - set(names)
        if strangers:
            raise ValueError(f"{ARM_CONTEXT_TYPES[number]} have no {', '.join(sorted(strangers))}")
        return cls(type=number, data=b"".join(_register(registers.get(name, 0), size) for name in names))

    @property
    def registers(self) -> tuple[tuple[str, int], ...]:
        """Names and values in order, as far as the array has them whole; none of an unknown type.

        A miscellaneous system register is named as the Arm ARM writes it: ``S3_0_C5_C2_0``.
        """
        return tuple((name, value) for name, value, _at, _size in self._places())

    def _places(self) -> Iterator[tuple[str, int, int, int]]:
        if self.type == _MISC:
            for at in range(0, len(self.data) - _MISC_SIZE + 1, _MISC_SIZE):
                code = int.from_bytes(self.data[at : at + 2], "little")
                value = int.from_bytes(self.data[at + 2 : at + _MISC_SIZE], "little")
                yield _misc_name(code), value, at + 2, _MISC_SIZE - 2
            return
        size, names = _REGISTERS.get(self.type, (1, ()))
        for index, name in zip(range(len(self.data) // size), names, strict=False):
            at = index * size
            yield name, int.from_bytes(self.data[at : at + size], "little"), at, size

    def encode(self) -> bytes:
        """Return header, array and padding.

        :raises ValueError: a value does not fit its field.
        """
        values = {"version": self.version, "type": self.type, "size": len(self.data)}
        raw = _HEADER.pack(values) + self.data
        return raw + bytes(-len(raw) % _ALIGNMENT) if self.padded else raw

    @classmethod
    def decode(cls, data: bytes, start: int, base: int, *, padded: bool) -> tuple[Self, int]:
        """Read the context at ``start`` of a section.

        :param data: the section, as far as contexts may reach.
        :param base: where the section starts in the whole record, for the error.
        :param padded: whether to expect zeros up to a multiple of 16 bytes.
        :return: the context, and where it ends.
        :raises MalformedRecord: truncated, or the padding is not zero.
        """
        header = data[start : start + _HEADER.size]
        values = _HEADER.unpack(header, base + start).values
        array = start + _HEADER.size
        end = array + values["size"]
        behind = end + (start - end) % _ALIGNMENT if padded else end
        if behind > len(data):
            reason = f"{behind - array} bytes wanted, {len(data) - array} left"
            raise MalformedRecord(base + start + _SIZE.offset, _SIZE.name, reason)
        if any(data[end:behind]):
            raise MalformedRecord(base + end, "padding", "it is not zero")
        # Without a need for padding, both layouts are one.
        told = padded or (end - start) % _ALIGNMENT == 0
        context = cls(type=values["type"], data=data[array:end], version=values["version"], padded=told)
        return context, behind

    def rows(self, offset: int = 0, path: str = "") -> Iterator[FieldRow]:
        """Yield rows of the header, and one a register.

        :param offset: where the context starts in the whole record.
        :param path: what the rows call the context.
        """
        yield from _HEADER.rows(self.encode(), base=offset, path=path)
        start = offset + _HEADER.size
        told = 0
        for name, value, at, size in self._places():
            if at > told:
                code = int.from_bytes(self.data[told:at], "little")
                yield _register_row(path, f"{name}.encoding", start + told, at - told, code, "MRS encoding")
            yield _register_row(path, name, start + at, size, value, "register")
            told = at + size
        yield from bytes_rows(self.data[told:], "data", start + told, path, _SOURCE)


def _register_row(path: str, name: str, offset: int, length: int, value: int, meaning: str) -> FieldRow:
    return FieldRow(
        path=path,
        name=name,
        offset=offset,
        length=length,
        value=value,
        meaning=meaning,
        source=_SOURCE,
    )


def _type_number(context_type: int | str) -> int:
    for number, name in ARM_CONTEXT_TYPES.items():
        if context_type in (number, name):
            return number
    known = ", ".join(ARM_CONTEXT_TYPES.values())
    raise ValueError(f"no register context {context_type!r}; there are {known}")


def _register(value: int, size: int) -> bytes:
    if not 0 <= value < 1 << 8 * size:
        raise ValueError(f"a register of {8 * size} bits: {value:#x}")
    return value.to_bytes(size, "little")


# UEFI 2.11 appendix N.2.4.4.2, ARM Misc. Context System Register, MRS encoding: Op2 2:0, CRm 6:3, CRn 10:7,
# Op1 13:11, o0 14. System registers have an Op0 of 2 or 3, so o0 is its lower bit.
def _misc_name(code: int) -> str:
    op0, op1 = 2 | code >> 14 & 1, code >> 11 & 7
    return f"S{op0}_{op1}_C{code >> 7 & 15}_C{code >> 3 & 15}_{code & 7}"


def _misc_encoding(name: str) -> int:
    parts = name.removeprefix("S").replace("C", "").split("_")
    if len(parts) == 5 and all(part.isdecimal() for part in parts):
        op0, op1, crn, crm, op2 = (int(part) for part in parts)
        if op0 in (2, 3) and op1 < 8 and crn < 16 and crm < 16 and op2 < 8:
            return (op0 & 1) << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
    raise ValueError(f"not a system register such as S3_0_C5_C2_0: {name!r}")
