# SPDX-License-Identifier: Apache-2.0
"""ISS of exceptions that an instruction asks for or causes: calls, debug, FP, MOPS, GCS, PAC, BTI.

Source: Arm ARM DDI 0487, ESR_EL2, the paragraphs named in the rows.
"""

from seabus.arch._bits import Row, When
from seabus.arch.esr.common import (
    DEBUG_EXCEPTION,
    EL2,
    ESR,
    FAR_NOT_PRECISE,
    FAR_NOT_VALID,
    FROM_VNCR,
    IL,
    ISS,
    WRITE_NOT_READ,
    YES_NO,
    bit,
    immediate,
    operand,
)

_CALL = f"{ISS} from HVC or SVC instruction execution"
_SMC = f"{ISS} from SMC instruction execution in AArch64 state"
_BREAK = f"{ISS} from execution of a Breakpoint instruction"
_BREAKPOINT = f"{ISS} from a Breakpoint or Vector Catch debug exception"
_STEP = f"{ISS} from a Software Step exception"
_WATCH = f"{ISS} from a Watchpoint exception"
_WATCH2 = f"{ESR}, ISS2 encoding for an exception from a Watchpoint exception"
_FP = f"{ISS} from a trapped floating-point exception"
_MOPS = f"{ISS} from the Memory Copy and Memory Set instructions"
_GCS = f"{ESR}, ISS encoding for a GCS exception"
_PAC = f"{ESR}, ISS encoding for a PAC Fail exception"
_BTI = f"{ISS} from Branch Target Identification instruction"
_PROFILING = f"{ESR}, ISS encoding for a Profiling exception"

_SVE_SME = "FEAT_SVE, FEAT_SME"
_HAPPENED = {0: "did not occur", 1: "occurred"}
# "If FSC does not indicate a PMU Profiling exception, the only permitted value [of SYNC] is 0."
_PMU = When(0x1F << 1, frozenset({0}))
_COPY = bit(24, 0)
_SET = bit(24)


def _gcs(kind: int) -> When:
    return When(0xF << 20, frozenset({kind << 20}))


_GCS_KIND = {
    0: "data check exception",
    1: "EXLOCK exception",
    2: "trapped GCSSTR or GCSSTTR instruction",
}
_GCS_INSTRUCTION = {
    0: "procedure return without pointer authentication",
    1: "GCSPOPM",
    2: "procedure return with pointer authentication, key A",
    3: "procedure return with pointer authentication, key B",
    4: "GCSSS1",
    5: "GCSSS2",
    8: "GCSPOPCX",
    9: "GCSPOPX",
}
_PROFILING_EVENT = {
    0: "PMU (FEAT_EBEP)",
    1: "Profiling Buffer management event (FEAT_SPE_EXC)",
    2: "Trace Buffer management event (FEAT_TRBE_EXC)",
}

#: A class whose ISS is RES0.
NOTHING = (IL,)

CALL = (IL, immediate(_CALL))
SECURE_CALL = (IL, immediate(_SMC))
BREAKPOINT_INSTRUCTION = (IL, immediate(_BREAK, "Comment"))
BREAKPOINT = (IL, Row("IFSC", 5, 0, "", _BREAKPOINT, DEBUG_EXCEPTION))

# fmt: off
SOFTWARE_STEP = (
    IL,
    Row("ISV", 24, 24, "", _STEP, {0: "EX not valid", 1: "EX valid"}),
    Row("EX", 6, 6, "", _STEP, {0: "no load-exclusive", 1: "load-exclusive stepped"}, bit(24)),
    Row("IFSC", 5, 0, "", _STEP, DEBUG_EXCEPTION),
)

WATCHPOINT = (
    IL,
    Row("WPT", 23, 18, "number of the watchpoint", _WATCH, feature="FEAT_Debugv8p2"),
    Row("WPTV", 17, 17, "", _WATCH, {0: "WPT not valid", 1: "WPT valid"}, feature="FEAT_Debugv8p2"),
    Row("WPF", 16, 16, "", _WATCH, {0: "true match", 1: "might be a false positive"}, feature=_SVE_SME),
    # "If the FnV field is 1, the FnP field is 0."
    Row("FnP", 15, 15, "", _WATCH, FAR_NOT_PRECISE, bit(10, 0), feature=_SVE_SME),
    Row("VNCR", 13, 13, "", _WATCH, FROM_VNCR, feature="FEAT_NV2", levels=EL2),
    Row("FnV", 10, 10, "", _WATCH, FAR_NOT_VALID, feature=_SVE_SME),
    Row("CM", 8, 8, "", _WATCH, {0: "no", 1: "cache maintenance"}),
    Row("WnR", 6, 6, "", _WATCH, WRITE_NOT_READ),
    Row("DFSC", 5, 0, "", _WATCH, DEBUG_EXCEPTION),
    Row("GCS", 40, 40, "", _WATCH2, YES_NO, feature="FEAT_GCS"),
)

FLOATING_POINT_EXCEPTION = (
    IL,
    Row("TFV", 23, 23, "", _FP, {0: "the flags are UNKNOWN", 1: "the flags are valid"}),
    Row("VECITR", 10, 8, "RES1 from AArch32, UNKNOWN from AArch64", _FP),
    Row("IDF", 7, 7, "", _FP, _HAPPENED),
    Row("IXF", 4, 4, "", _FP, _HAPPENED),
    Row("UFF", 3, 3, "", _FP, _HAPPENED),
    Row("OFF", 2, 2, "", _FP, _HAPPENED),
    Row("DZF", 1, 1, "", _FP, _HAPPENED),
    Row("IOF", 0, 0, "", _FP, _HAPPENED),
)

MEMORY_OPERATION = (
    IL,
    Row("MemInst", 24, 24, "", _MOPS, {0: "CPY*", 1: "SET*"}, telling=True),
    Row("isSETG", 23, 23, "", _MOPS, {0: "not SETG*", 1: "SETGM* or SETGE*"}),
    Row("Options", 22, 19, "bits 15:12 of the instruction", _MOPS, None, _COPY, telling=True),
    Row("Options", 20, 19, "bits 13:12 of the instruction", _MOPS, None, _SET, telling=True),
    Row("FromEpilogue", 18, 18, "", _MOPS, {0: "no epilogue", 1: "epilogue instruction"}),
    # Formerly WrongOption, bit 17, and OptionA, bit 16.
    Row("FormatOption", 17, 16, "", _MOPS, {0: "option B", 1: "option A", 2: "option A", 3: "option B"}),
    operand("destreg", 14, 10, "number of the register with the destination", _MOPS),
    operand("srcreg", 9, 5, "number of the register with the source or the data", _MOPS),
    operand("sizereg", 4, 0, "number of the register with the size", _MOPS),
)

GUARDED_CONTROL_STACK = (
    IL,
    Row("ExType", 23, 20, "", _GCS, _GCS_KIND, telling=True),
    Row("Raddr", 14, 10, "number of the register with the address", _GCS, None, _gcs(2), telling=True),
    Row("Rn", 9, 5, "number of the register of the instruction", _GCS, None, _gcs(0), telling=True),
    Row("Rvalue", 9, 5, "number of the register with the data", _GCS, None, _gcs(2), telling=True),
    Row("IT", 4, 0, "", _GCS, _GCS_INSTRUCTION, _gcs(0), telling=True),
)

POINTER_AUTHENTICATION_FAILURE = (
    IL,
    Row("DnI", 1, 1, "", _PAC, {0: "instruction key", 1: "data key"}, telling=True),
    Row("BnA", 0, 0, "", _PAC, {0: "key A", 1: "key B"}, telling=True),
)

BRANCH_TARGET = (
    IL,
    Row("BTYPE", 1, 0, "PSTATE.BTYPE of the branch", _BTI, telling=True),
)

PROFILING = (
    IL,
    Row("FSC", 5, 1, "", _PROFILING, _PROFILING_EVENT, telling=True),
    Row("SYNC", 0, 0, "", _PROFILING, {0: "asynchronous", 1: "synchronous"}, _PMU,
        telling=True, feature="FEAT_SEBEP"),
)
# fmt: on
