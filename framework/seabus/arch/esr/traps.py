# SPDX-License-Identifier: Apache-2.0
"""ISS of trapped instructions: WFx, system registers of both states, FP, SVE, SME, ERET, LS64.

Source: Arm ARM DDI 0487, ESR_EL2, the paragraphs named in the rows.
"""

from seabus.arch._bits import Row
from seabus.arch.esr.common import DIRECTION, ESR, IL, ISS, bit, condition_code, operand

_WFX = f"{ISS} from a WF* instruction"
_MCR = f"{ISS} from an MCR or MRC access"
_MCRR = f"{ISS} from an MCRR or MRRC access"
_LDC = f"{ISS} from an LDC or STC instruction"
_FP = f"{ISS} from an access to a register or instruction resulting from the FPEN and TFP traps"
_OTHER = f"{ISS} from any other instruction"
_SMC = f"{ISS} from SMC instruction execution in AArch32 state"
_MSR = f"{ISS} from MSR, MRS, or System instruction execution in AArch64 state"
_MSRR = f"{ISS} from MSRR, MRRS, or 128-bit System instruction execution in AArch64 state"
_SME = f"{ESR}, ISS encoding for an exception due to SME functionality"
_ERET = f"{ISS} from an ERET, ERETAA, or ERETAB instruction"

_WITH_TIMEOUT = bit(1)  # TI is WFIT or WFET
_MAYBE_NOT_PASSED = bit(19)

_TRAPPED_WAIT = {0: "WFI", 1: "WFE", 2: "WFIT (FEAT_WFxT)", 3: "WFET (FEAT_WFxT)"}
_ADDRESSING = {
    0: "immediate unindexed",
    1: "immediate post-indexed",
    2: "immediate offset",
    3: "immediate pre-indexed",
    4: "literal unindexed (A32 LDC)",
    6: "literal offset (LDC)",
}
_OTHER_INSTRUCTION = {
    0: "ST64BV (FEAT_LS64_V)",
    1: "ST64BV0 (FEAT_LS64_ACCDATA)",
    2: "LD64B or ST64B (FEAT_LS64)",
    3: "TSB CSYNC (FEAT_TRBEv1p1)",
    4: "PSB CSYNC (FEAT_SPEv1p5)",
}
_SME_TRAP = {
    0: "access trapped by a control register",
    1: "Advanced SIMD, SVE or SVE2 instruction while PSTATE.SM is 1",
    2: "SME instruction while PSTATE.SM is 0",
    3: "SME instruction while PSTATE.ZA is 0",
    4: "access to ZT0 (FEAT_SME2)",
}

# fmt: off
WAIT = (
    IL,
    *condition_code(_WFX),
    Row("RN", 9, 5, "number of the register with the timeout", _WFX, None, _WITH_TIMEOUT,
        telling=True, feature="FEAT_WFxT"),
    Row("RV", 2, 2, "", _WFX, {0: "RN not valid", 1: "RN valid"}, _WITH_TIMEOUT, feature="FEAT_WFxT"),
    Row("TI", 1, 0, "", _WFX, _TRAPPED_WAIT, telling=True),
)

MCR_MRC = (
    IL,
    *condition_code(_MCR),
    operand("Opc2", 19, 17, "Opc2 of the instruction", _MCR),
    operand("Opc1", 16, 14, "Opc1 of the instruction", _MCR),
    operand("CRn", 13, 10, "CRn of the instruction", _MCR),
    operand("Rt", 9, 5, "number of the register transferred", _MCR),
    operand("CRm", 4, 1, "CRm of the instruction", _MCR),
    Row("Direction", 0, 0, "", _MCR, DIRECTION, telling=True),
)

MCRR_MRRC = (
    IL,
    *condition_code(_MCRR),
    operand("Opc1", 19, 16, "Opc1 of the instruction", _MCRR),
    operand("Rt2", 14, 10, "number of the second register transferred", _MCRR),
    operand("Rt", 9, 5, "number of the first register transferred", _MCRR),
    operand("CRm", 4, 1, "CRm of the instruction", _MCRR),
    Row("Direction", 0, 0, "", _MCRR, DIRECTION, telling=True),
)

LDC_STC = (
    IL,
    *condition_code(_LDC),
    operand("imm8", 19, 12, "immediate of the instruction", _LDC),
    operand("Rn", 9, 5, "number of the base register", _LDC),
    Row("Offset", 4, 4, "", _LDC, {0: "subtract the offset", 1: "add the offset"}),
    Row("AM", 3, 1, "", _LDC, _ADDRESSING, telling=True),
    Row("Direction", 0, 0, "", _LDC, {0: "write to memory (STC)", 1: "read from memory (LDC)"},
        telling=True),
)

FLOATING_POINT_ACCESS = (IL, *condition_code(_FP))

OTHER_INSTRUCTION = (
    IL,
    Row("ISS", 24, 0, "", _OTHER, _OTHER_INSTRUCTION, telling=True),
)

SMC_AARCH32 = (
    IL,
    *condition_code(_SMC, _MAYBE_NOT_PASSED),
    Row("CCKNOWNPASS", 19, 19, "", _SMC,
        {0: "unconditional, or passed its check", 1: "might have failed its condition code check"}),
)

MSR_MRS = (
    IL,
    operand("Op0", 21, 20, "Op0 of the instruction", _MSR),
    operand("Op2", 19, 17, "Op2 of the instruction", _MSR),
    operand("Op1", 16, 14, "Op1 of the instruction", _MSR),
    operand("CRn", 13, 10, "CRn of the instruction", _MSR),
    operand("Rt", 9, 5, "number of the register transferred", _MSR),
    operand("CRm", 4, 1, "CRm of the instruction", _MSR),
    Row("Direction", 0, 0, "", _MSR, DIRECTION, telling=True),
)

MSRR_MRRS = (
    IL,
    operand("Op0", 21, 20, "Op0 of the instruction", _MSRR),
    operand("Op2", 19, 17, "Op2 of the instruction", _MSRR),
    operand("Op1", 16, 14, "Op1 of the instruction", _MSRR),
    operand("CRn", 13, 10, "CRn of the instruction", _MSRR),
    operand("Rt", 9, 6, "number of the first register of the pair, halved", _MSRR),
    operand("CRm", 4, 1, "CRm of the instruction", _MSRR),
    Row("Direction", 0, 0, "", _MSRR, DIRECTION, telling=True),
)

SME_ACCESS = (
    IL,
    Row("SMTC", 2, 0, "", _SME, _SME_TRAP, telling=True),
)

EXCEPTION_RETURN = (
    IL,
    Row("ERET", 1, 1, "", _ERET, {0: "ERET", 1: "ERETAA or ERETAB"}, telling=True),
    Row("ERETA", 0, 0, "", _ERET, {0: "ERETAA", 1: "ERETAB"}, bit(1), telling=True),
)
# fmt: on
