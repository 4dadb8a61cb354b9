# SPDX-License-Identifier: Apache-2.0
"""What a processor does to PSTATE, SPSR and ELR when it takes an exception to EL1 or EL2.

>>> before = 0x6000_0000 | PSTATE_MODES[Origin.EL0]     # Z and C set, at EL0
>>> entry = take_exception(before, pc=0x1000, vbar=0x8_0000, rules=EntryRules())
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


def take_exception(
    before: int, *, pc: int, vbar: int, rules: EntryRules, serror_vector: bool = False, target_el: int = 1
) -> Entry:
    """Take an exception to EL1 or EL2 using AArch64.

    :param before: PSTATE.
    :param pc: the preferred return address.
    :param vbar: VBAR of the target.
    :param rules: of the target; at EL2, SCTLR_EL2.SPAN counts with HCR_EL2.{E2H,TGE} = {1,1} only.
    :param serror_vector: it is an SError, or a Synchronous External abort under SCTLR2_ELx.EASE.
    :raises ValueError: ``before`` is of no level that the target can take an exception from.

    Source: Arm ARM DDI 0487, pseudocode AArch64.TakeException(): NZCV and DIT are not touched; UAO, SS,
    IL and BTYPE become 0; D, A, I and F become 1.
    """
    after = before & (NZCV | DIT | PAN) | DAIF | target_el << 2 | 1
    if rules.pan and not rules.span:
        after |= PAN
    if rules.ssbs and rules.dssbs:
        after |= SSBS
    if rules.mte:
        after |= TCO
    vector = vector_offset(before, target_el) + (_SERROR if serror_vector else 0)
    return Entry(pc=vbar + vector, pstate=after, elr=pc, spsr=before)


def vector_offset(before: int, target_el: int = 1) -> int:
    """Offset from VBAR of a synchronous exception that the target takes from that PSTATE.

    :raises ValueError: from a higher level, or a mode that does not exist.

    Source: Arm ARM DDI 0487, "Exception vectors".
    """
    if before & 0x10:
        return Origin.EL0_AARCH32.value
    level, own_stack = before >> 2 & 3, before & 1
    if before & 2 or level > target_el or (own_stack and not level):
        raise ValueError(f"EL{target_el} takes no exception from PSTATE {before:#x}")
    if level < target_el:
        return Origin.EL0.value
    return Origin.EL1H.value if own_stack else Origin.EL1T.value
