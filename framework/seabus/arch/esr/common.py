# SPDX-License-Identifier: Apache-2.0
"""Rows and words that several syndromes share."""

from seabus.arch._bits import Row, When

#: The paragraphs below are named by their title, which outlives the manual's section numbers.
ESR = "Arm ARM DDI 0487, ESR_ELx"
ISS = f"{ESR}, ISS encoding for an exception"

EL2 = frozenset({2})
EL3 = frozenset({3})
EL1_EL2 = frozenset({1, 2})
EL2_EL3 = frozenset({2, 3})

YES_NO = {0: "no", 1: "yes"}
DIRECTION = {0: "write", 1: "read"}
WRITE_NOT_READ = {0: "read", 1: "write"}
DEBUG_EXCEPTION = {0x22: "debug exception"}
WRITE_UPDATE = {
    0: "not a store, or the location may have been updated",
    2: "the store did not update the location",
    3: "the store updated the location",
}
PFAR_VALID = {0: "PFAR is UNKNOWN", 1: "PFAR holds the physical address"}
FAR_NOT_VALID = {0: "FAR holds the address", 1: "FAR is not valid"}
FAR_NOT_PRECISE = {0: "FAR is precise", 1: "FAR is within the granule"}
FROM_VNCR = {0: "not from VNCR_EL2", 1: "EL1 used VNCR_EL2"}
EXTERNAL_ABORT_TYPE = "IMPLEMENTATION DEFINED class of external abort"

_CONDITIONS = ("EQ", "NE", "CS", "CC", "MI", "PL", "VS", "VC", "HI", "LS", "GE", "LT", "GT", "LE", "AL")

IL = Row("IL", 25, 25, "", ESR, {0: "16-bit instruction", 1: "32-bit instruction, or none"})


def bit(number: int, value: int = 1) -> When:
    """The condition that one bit has that value."""
    return When(1 << number, frozenset({value << number}))


def condition_code(source: str, when: When | None = None) -> tuple[Row, Row]:
    """The CV and COND fields, which say under which condition an AArch32 instruction executes."""
    names = {**dict(enumerate(_CONDITIONS)), 15: "no condition code"}
    valid = {0: "COND not valid", 1: "COND valid"}
    if when is None:
        return Row("CV", 24, 24, "", source, valid), Row("COND", 23, 20, "", source, names)
    return (
        Row("CV", 24, 24, "", source, valid, when),
        Row("COND", 23, 20, "", source, names, when),
    )


def operand(name: str, high: int, low: int, title: str, source: str) -> Row:
    """A field copied from the instruction, such as a register number: zero says something too."""
    return Row(name, high, low, title, source, telling=True)


def immediate(source: str, name: str = "imm16") -> Row:
    """The 16-bit immediate of an instruction that asks for an exception."""
    return Row(name, 15, 0, "immediate of the instruction", source, telling=True)
