# SPDX-License-Identifier: Apache-2.0
"""What a processor does to PSTATE, SPSR and ELR when it takes an exception to EL1.

>>> before = 0x6000_0000 | PSTATE_MODES[Origin.EL0]     # Z and C set, at EL0
>>> entry = enter_el1(before, pc=0x1000, vbar=0x8_0000, rules=EntryRules())
>>> hex(entry.pstate), hex(entry.spsr), hex(entry.pc)
('0x600003c5', '0x60000000', '0x80400')

PSTATE is written as SPSR_EL1 has it (Arm ARM DDI 0487, SPSR_EL1, exception taken from AArch64)::

    31 30 29 28 25  24  23  22  21 20 12   11:10 9 8 7 6  4:0
     N  Z  C  V TCO DIT UAO PAN SS IL SSBS BTYPE D A I F  mode
"""

from dataclasses import dataclass
from typing import Final

from seabus.arch.expected_abort import Origin

NZCV: Final = 0xF << 28
TCO: Final = 1 << 25
DIT: Final = 1 << 24
UAO: Final = 1 << 23
PAN: Final = 1 << 22
SSBS: Final = 1 << 12
DAIF: Final = 0xF << 6
#: PSTATE.A masks SError.
MASK_A: Final = 1 << 8
_MODE: Final = 0x1F
_EL1H: Final = 0x5

#: PSTATE.{EL,SP} of each origin.
PSTATE_MODES: Final = {Origin.EL0: 0x0, Origin.EL1T: 0x4, Origin.EL1H: 0x5}

_SERROR: Final = 0x180


@dataclass(frozen=True, slots=True)
class EntryRules:
    """What decides about PSTATE beside PSTATE itself.

    :param pan, ssbs, mte: FEAT_PAN, FEAT_SSBS2, FEAT_MTE2 are implemented.
    :param span: SCTLR_EL1.SPAN; 0 makes every entry set PAN.
    :param dssbs: SCTLR_EL1.DSSBS, which SSBS becomes.
    """

    pan: bool = True
    ssbs: bool = False
    mte: bool = False
    span: bool = True
    dssbs: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """The registers that every exception changes alike; ``pc`` and ``elr`` are guest-virtual."""

    pc: int
    pstate: int
    elr: int
    spsr: int


def enter_el1(before: int, *, pc: int, vbar: int, rules: EntryRules, serror_vector: bool = False) -> Entry:
    """Take an exception to EL1 using AArch64.

    :param before: PSTATE.
    :param pc: the preferred return address.
    :param vbar: VBAR_EL1.
    :param serror_vector: it is an SError, or a Synchronous External abort under SCTLR2_EL1.EASE.
    :raises ValueError: ``before`` is of no level that EL1 can take an exception from.

    Source: Arm ARM DDI 0487, pseudocode AArch64.TakeException(): NZCV and DIT are not touched; UAO, SS,
    IL and BTYPE become 0; D, A, I and F become 1.
    """
    origin = origin_of(before)
    after = before & (NZCV | DIT | PAN) | DAIF | _EL1H
    if rules.pan and not rules.span:
        after |= PAN
    if rules.ssbs and rules.dssbs:
        after |= SSBS
    if rules.mte:
        after |= TCO
    vector = origin.value + (_SERROR if serror_vector else 0)
    return Entry(pc=vbar + vector, pstate=after, elr=pc, spsr=before)


def origin_of(pstate: int) -> Origin:
    """The level and stack pointer that a PSTATE names.

    :raises ValueError: none that EL1 takes exceptions from.
    """
    if pstate & 0x10:
        return Origin.EL0_AARCH32
    for origin, mode in PSTATE_MODES.items():
        if pstate & _MODE == mode:
            return origin
    raise ValueError(f"PSTATE {pstate:#x} is not of EL0 or EL1")
