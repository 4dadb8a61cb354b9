# SPDX-License-Identifier: Apache-2.0
"""Exception classes: the values of ESR_ELx.EC and the layout each gives to the ISS.

Source: Arm ARM DDI 0487, ESR_EL1, ESR_EL2 and ESR_EL3, tables "EC"; which classes fix IL at 1 is
the description of IL together with pseudocode AArch64.ExceptionClass().
"""

from collections.abc import Mapping
from dataclasses import dataclass

from seabus.arch._bits import Row
from seabus.arch.esr import aborts, software, traps
from seabus.arch.esr.common import ESR, IL
from seabus.arch.esr.serror import SERROR

# A class of which nothing more is known: its syndromes are one field each.
OPAQUE = (
    IL,
    Row("ISS", 24, 0, "syndrome of this class, not decoded", ESR, telling=True),
    Row("ISS2", 55, 32, "second syndrome of this class, not decoded", ESR),
)
# EL3's own class; the manual calls the field IMPLEMENTATION DEFINED.
_IMPLEMENTATION_DEFINED = (
    IL,
    Row("ISS", 24, 0, "IMPLEMENTATION DEFINED syndrome", ESR, telling=True),
)

_ALL = frozenset({1, 2, 3})
_EL1_EL2 = frozenset({1, 2})
_EL2 = frozenset({2})
_EL2_EL3 = frozenset({2, 3})
_EL3 = frozenset({3})


@dataclass(frozen=True, slots=True)
class ExceptionClass:
    """One value of ESR_ELx.EC.

    ``feature`` is the architecture feature that brought it, or an empty string; ``levels`` the
    exception levels whose ESR can hold it. ``il_is_one`` says that IL is 1 for it: by definition
    (for a data abort while ISV is 0), or because all instructions of A64 are 32 bits long.
    """

    code: int
    name: str
    feature: str = ""
    il_is_one: bool = False
    layout: tuple[Row, ...] = software.NOTHING
    levels: frozenset[int] = _ALL


def _class(
    code: int,
    name: str,
    layout: tuple[Row, ...],
    *,
    feature: str = "",
    il: bool = False,
    levels: frozenset[int] = _ALL,
) -> ExceptionClass:
    return ExceptionClass(code, name, feature, il, layout, levels)


# fmt: off
_CLASSES = (
    _class(0x00, "unknown reason", software.NOTHING, il=True),
    _class(0x01, "trapped WF* instruction", traps.WAIT),
    _class(0x03, "trapped MCR or MRC, coproc 0b1111", traps.MCR_MRC, feature="FEAT_AA32"),
    _class(0x04, "trapped MCRR or MRRC, coproc 0b1111", traps.MCRR_MRRC, feature="FEAT_AA32"),
    _class(0x05, "trapped MCR or MRC, coproc 0b1110", traps.MCR_MRC, feature="FEAT_AA32"),
    _class(0x06, "trapped LDC or STC", traps.LDC_STC, feature="FEAT_AA32"),
    _class(0x07, "trapped SME, SVE, Advanced SIMD or floating-point access", traps.FLOATING_POINT_ACCESS),
    _class(0x08, "trapped VMRS, ID group", traps.MCR_MRC, feature="FEAT_AA32", levels=_EL2),
    _class(0x09, "trapped pointer authentication instruction", software.NOTHING,
           feature="FEAT_PAuth", il=True),
    _class(0x0A, "trapped instruction of no other class", traps.OTHER_INSTRUCTION,
           feature="FEAT_LS64, FEAT_SPEv1p5, FEAT_TRBEv1p1"),
    _class(0x0C, "trapped MRRC, coproc 0b1110", traps.MCRR_MRRC, feature="FEAT_AA32"),
    _class(0x0D, "branch target exception", software.BRANCH_TARGET, feature="FEAT_BTI", il=True),
    _class(0x0E, "illegal execution state", software.NOTHING, il=True),
    _class(0x11, "SVC in AArch32 state", software.CALL, feature="FEAT_AA32", levels=_EL1_EL2),
    _class(0x12, "HVC in AArch32 state", software.CALL, feature="FEAT_AA32", levels=_EL2),
    _class(0x13, "SMC in AArch32 state", traps.SMC_AARCH32, feature="FEAT_AA32", levels=_EL2_EL3),
    _class(0x14, "trapped MSRR, MRRS or 128-bit system instruction", traps.MSRR_MRRS,
           feature="FEAT_SYSREG128, FEAT_SYSINSTR128", il=True),
    _class(0x15, "SVC in AArch64 state", software.CALL, il=True),
    _class(0x16, "HVC in AArch64 state", software.CALL, il=True, levels=_EL2_EL3),
    _class(0x17, "SMC in AArch64 state", software.SECURE_CALL, il=True, levels=_EL2_EL3),
    _class(0x18, "trapped MSR, MRS or system instruction", traps.MSR_MRS, il=True),
    _class(0x19, "trapped SVE access", software.NOTHING, feature="FEAT_SVE", il=True),
    _class(0x1A, "trapped ERET, ERETAA or ERETAB", traps.EXCEPTION_RETURN,
           feature="FEAT_FGT, FEAT_NV", il=True, levels=_EL1_EL2),
    # Issues of the manual from before FEAT_TME was withdrawn have it; nothing can be tested on it.
    _class(0x1B, "trapped TSTART", OPAQUE, feature="FEAT_TME (withdrawn)"),
    _class(0x1C, "pointer authentication failure", software.POINTER_AUTHENTICATION_FAILURE,
           feature="FEAT_FPAC", il=True),
    _class(0x1D, "trapped SME access", traps.SME_ACCESS, feature="FEAT_SME", il=True),
    _class(0x1E, "granule protection check", aborts.GRANULE_PROTECTION_CHECK,
           feature="FEAT_RME", levels=_EL3),
    _class(0x1F, "IMPLEMENTATION DEFINED exception to EL3", _IMPLEMENTATION_DEFINED, levels=_EL3),
    _class(0x20, "instruction abort from a lower EL", aborts.INSTRUCTION_ABORT, il=True),
    _class(0x21, "instruction abort from the same EL", aborts.INSTRUCTION_ABORT, il=True),
    _class(0x22, "PC alignment fault", software.NOTHING, il=True),
    _class(0x24, "data abort from a lower EL", aborts.DATA_ABORT, il=True),
    _class(0x25, "data abort from the same EL", aborts.DATA_ABORT, il=True),
    _class(0x26, "SP alignment fault", software.NOTHING, il=True),
    _class(0x27, "memory operation exception", software.MEMORY_OPERATION, feature="FEAT_MOPS", il=True),
    _class(0x28, "trapped floating-point exception in AArch32 state", software.FLOATING_POINT_EXCEPTION,
           feature="FEAT_AA32", levels=_EL1_EL2),
    _class(0x2C, "trapped floating-point exception in AArch64 state", software.FLOATING_POINT_EXCEPTION,
           il=True),
    _class(0x2D, "guarded control stack exception", software.GUARDED_CONTROL_STACK,
           feature="FEAT_GCS", il=True),
    _class(0x2F, "SError", SERROR, il=True),
    _class(0x30, "breakpoint from a lower EL", software.BREAKPOINT, il=True, levels=_EL1_EL2),
    _class(0x31, "breakpoint from the same EL", software.BREAKPOINT, il=True, levels=_EL1_EL2),
    _class(0x32, "software step from a lower EL", software.SOFTWARE_STEP, il=True, levels=_EL1_EL2),
    _class(0x33, "software step from the same EL", software.SOFTWARE_STEP, il=True, levels=_EL1_EL2),
    _class(0x34, "watchpoint from a lower EL", software.WATCHPOINT, il=True, levels=_EL1_EL2),
    _class(0x35, "watchpoint from the same EL", software.WATCHPOINT, il=True, levels=_EL1_EL2),
    _class(0x38, "BKPT in AArch32 state", software.BREAKPOINT_INSTRUCTION,
           feature="FEAT_AA32", levels=_EL1_EL2),
    _class(0x3A, "vector catch from AArch32 state", software.BREAKPOINT,
           feature="FEAT_AA32", il=True, levels=_EL2),
    _class(0x3C, "BRK in AArch64 state", software.BREAKPOINT_INSTRUCTION, il=True),
    _class(0x3D, "profiling exception", software.PROFILING,
           feature="FEAT_EBEP, FEAT_SPE_EXC, FEAT_TRBE_EXC"),
)
# fmt: on

#: ESR_ELx.EC, by code; a code that is not here is reserved.
EXCEPTION_CLASSES: Mapping[int, ExceptionClass] = {entry.code: entry for entry in _CLASSES}

#: The row every ESR_ELx starts with.
EC_ROW = Row("EC", 31, 26, "", ESR, {entry.code: entry.name for entry in _CLASSES}, telling=True)


def rows_of(code: int) -> tuple[Row, ...]:
    """Return the rows of ESR_ELx while EC has that value, EC's own first."""
    entry = EXCEPTION_CLASSES.get(code)
    return (EC_ROW, *(OPAQUE if entry is None else entry.layout))
