# SPDX-License-Identifier: Apache-2.0
"""ISS and ISS2 of data aborts, instruction aborts and granule protection checks.

Source: Arm ARM DDI 0487, ESR_EL1, ESR_EL2 and ESR_EL3, the paragraphs named in the rows. Where the
three registers disagree, or leave a condition open, pseudocode AArch64.FaultSyndrome() decides:
TopLevel, TagAccess and TnD are set on permission faults only.
"""

from seabus.arch._bits import Row, When
from seabus.arch.esr.common import (
    EL1_EL2,
    EL2,
    EL2_EL3,
    ESR,
    EXTERNAL_ABORT_TYPE,
    FAR_NOT_PRECISE,
    FAR_NOT_VALID,
    FROM_VNCR,
    IL,
    ISS,
    PFAR_VALID,
    WRITE_NOT_READ,
    WRITE_UPDATE,
    YES_NO,
    bit,
)
from seabus.arch.esr.faults import (
    DATA_FAULTS,
    EXTERNAL_ABORTS,
    GRANULE_FAULTS_ON_WALK,
    INSTRUCTION_FAULTS,
    PARITY_ERRORS,
    PERMISSION_FAULTS,
    STATUS_MASK,
)

_DABT = f"{ISS} from a Data Abort"
_DABT2 = f"{ESR}, ISS2 encoding for an exception from a Data Abort"
_IABT = f"{ISS} from an Instruction Abort"
_IABT2 = f"{ESR}, ISS2 encoding for an exception from an Instruction Abort"
_GPC = f"{ESR}, ISS encoding for a Granule Protection Check exception"
_GPC2 = f"{ESR}, ISS2 encoding for a Granule Protection Check exception"


def _status(codes: frozenset[int]) -> When:
    return When(STATUS_MASK, codes)


# --- Conditions -----------------------------------------------------------------------------------

_ISV = bit(24)
_NO_ISV = bit(24, 0)
_ON_ACCESS = _status(frozenset({0x10}))
_EXTERNAL = _status(EXTERNAL_ABORTS)
_EXTERNAL_OR_PARITY = _status(EXTERNAL_ABORTS | PARITY_ERRORS)
_PERMISSION = _status(PERMISSION_FAULTS)
# The manual: DFSC 0b0011xx, 0b01001x, 0b0101xx, 0b10001x or 0b1001xx.
_HDBSS = _status(PERMISSION_FAULTS | (EXTERNAL_ABORTS - {0x10}) | GRANULE_FAULTS_ON_WALK)
# The manual: DFSC 0b00xxxx or 0b10101x, but not 0b0000xx.
_MAPPING = _status(frozenset({*range(0x04, 0x10), 0x2A, 0x2B}))
_STORE_WITH_STATUS = When(3 << 11, frozenset({1 << 11, 3 << 11}))  # LST: ST64BV or ST64BV0

# --- Values ---------------------------------------------------------------------------------------

#: SET, synchronous error type; 2 is reserved where FEAT_RASv2 is implemented.
SYNC_ERROR_TYPE = {0: "recoverable (UER)", 2: "uncontainable (UC)", 3: "restartable (UEO)"}
_CM = {0: "no", 1: "cache maintenance or address translation"}
_S1PTW = {0: "not on a stage 1 table walk", 1: "stage 2 fault on a stage 1 table walk"}
_LST = {0: "not specified", 1: "ST64BV", 2: "LD64B or ST64B", 3: "ST64BV0"}
_DATA_STATUS = {code: str(fault) for code, fault in DATA_FAULTS.items()}
_INSTRUCTION_STATUS = {code: str(fault) for code, fault in INSTRUCTION_FAULTS.items()}
_GRANULE_STATUS = {code: _DATA_STATUS[code] for code in range(0x23, 0x29)}
_GRANULE_CHECK = {
    0x00: "GPT address size fault, level 0",
    0x04: "GPT walk fault, level 0",
    0x05: "GPT walk fault, level 1",
    0x0C: "granule protection fault, level 0",
    0x0D: "granule protection fault, level 1",
    0x14: "synchronous external abort on a GPT fetch, level 0",
    0x15: "synchronous external abort on a GPT fetch, level 1",
}

# --- Layouts --------------------------------------------------------------------------------------

# fmt: off
DATA_ABORT = (
    IL,
    Row("ISV", 24, 24, "", _DABT, {0: "ISS[23:14] not valid", 1: "ISS[23:14] valid"}),
    Row("SAS", 23, 22, "", _DABT, {0: "byte", 1: "halfword", 2: "word", 3: "doubleword"},
        _ISV, telling=True),
    Row("SSE", 21, 21, "", _DABT, {0: "no sign extension", 1: "sign extension"}, _ISV),
    Row("TopLevel", 21, 21, "", _DABT, YES_NO, _NO_ISV & _PERMISSION, feature="FEAT_THE", levels=EL2),
    Row("SRT", 20, 16, "number of the register transferred", _DABT, None, _ISV, telling=True),
    Row("WU", 17, 16, "", _DABT, WRITE_UPDATE, _NO_ISV & _EXTERNAL, feature="FEAT_RASv2"),
    Row("SF", 15, 15, "", _DABT, {0: "32-bit register", 1: "64-bit register"}, _ISV),
    Row("FnP", 15, 15, "", _DABT, FAR_NOT_PRECISE, _NO_ISV, feature="FEAT_SVE, FEAT_SME"),
    Row("AR", 14, 14, "", _DABT, {0: "no acquire/release", 1: "acquire/release"}, _ISV),
    Row("PFV", 14, 14, "", _DABT, PFAR_VALID, _NO_ISV & _EXTERNAL, feature="FEAT_PFAR"),
    Row("VNCR", 13, 13, "", _DABT, FROM_VNCR, feature="FEAT_NV2", levels=EL2_EL3),
    Row("LST", 12, 11, "", _DABT, _LST, _MAPPING, feature="FEAT_LS64"),
    Row("SET", 12, 11, "", _DABT, SYNC_ERROR_TYPE, _EXTERNAL, feature="FEAT_RAS"),
    Row("FnV", 10, 10, "", _DABT, FAR_NOT_VALID, _ON_ACCESS),
    Row("EA", 9, 9, EXTERNAL_ABORT_TYPE, _DABT, None, _EXTERNAL_OR_PARITY),
    Row("CM", 8, 8, "", _DABT, _CM),
    Row("S1PTW", 7, 7, "", _DABT, _S1PTW),
    Row("WnR", 6, 6, "", _DABT, WRITE_NOT_READ),
    Row("DFSC", 5, 0, "", _DABT, _DATA_STATUS, telling=True),
    Row("HDBSSF", 43, 43, "", _DABT2, YES_NO, _HDBSS, feature="FEAT_HDBSS"),
    Row("TnD", 42, 42, "", _DABT2, {0: "data", 1: "tag"}, _PERMISSION,
        feature="FEAT_MTE_CANONICAL_TAGS"),
    Row("TagAccess", 41, 41, "", _DABT2, YES_NO, _PERMISSION, feature="FEAT_MTE_PERM", levels=EL1_EL2),
    # "The ISV field is 0" where GCS is 1.
    Row("GCS", 40, 40, "", _DABT2, YES_NO, _NO_ISV, feature="FEAT_GCS"),
    Row("AssuredOnly", 39, 39, "", _DABT2, YES_NO, _PERMISSION, feature="FEAT_THE", levels=EL1_EL2),
    Row("Overlay", 38, 38, "", _DABT2, YES_NO, _PERMISSION, feature="FEAT_S1POE, FEAT_S2POE"),
    Row("DirtyBit", 37, 37, "", _DABT2, YES_NO, _PERMISSION, feature="FEAT_S1PIE, FEAT_S2PIE"),
    Row("Xs", 36, 32, "number of the register that gets the status", _DABT2, None,
        _MAPPING & _STORE_WITH_STATUS, telling=True, feature="FEAT_LS64_V, FEAT_LS64_ACCDATA"),
)

INSTRUCTION_ABORT = (
    IL,
    Row("TopLevel", 21, 21, "", _IABT, YES_NO, _PERMISSION, feature="FEAT_THE", levels=EL2),
    Row("PFV", 14, 14, "", _IABT, PFAR_VALID, _EXTERNAL, feature="FEAT_PFAR"),
    # ESR_EL2 has SET with IFSC 0x10 only, ESR_EL1 and ESR_EL3 on table walks too.
    Row("SET", 12, 11, "", _IABT, SYNC_ERROR_TYPE, _EXTERNAL, feature="FEAT_RAS"),
    Row("FnV", 10, 10, "", _IABT, FAR_NOT_VALID, _ON_ACCESS),
    Row("EA", 9, 9, EXTERNAL_ABORT_TYPE, _IABT, None, _EXTERNAL_OR_PARITY),
    Row("S1PTW", 7, 7, "", _IABT, _S1PTW),
    Row("IFSC", 5, 0, "", _IABT, _INSTRUCTION_STATUS, telling=True),
    Row("HDBSSF", 43, 43, "", _IABT2, YES_NO, _HDBSS, feature="FEAT_HDBSS"),
    Row("AssuredOnly", 39, 39, "", _IABT2, YES_NO, _PERMISSION, feature="FEAT_THE", levels=EL1_EL2),
    Row("Overlay", 38, 38, "", _IABT2, YES_NO, _PERMISSION, feature="FEAT_S1POE, FEAT_S2POE"),
    Row("DirtyBit", 37, 37, "", _IABT2, YES_NO, _PERMISSION, feature="FEAT_S2PIE", levels=EL2),
)

_DATA_SIDE = bit(20, 0)

GRANULE_PROTECTION_CHECK = (
    IL,
    Row("S2PTW", 21, 21, "", _GPC, {0: "not on a stage 2 table walk", 1: "on a stage 2 table walk"}),
    Row("InD", 20, 20, "", _GPC, {0: "data access", 1: "instruction access"}),
    Row("GPCSC", 19, 14, "", _GPC, _GRANULE_CHECK, telling=True),
    Row("VNCR", 13, 13, "", _GPC, FROM_VNCR, _DATA_SIDE, feature="FEAT_NV2"),
    Row("CM", 8, 8, "", _GPC, _CM),
    Row("S1PTW", 7, 7, "", _GPC, _S1PTW),
    Row("WnR", 6, 6, "", _GPC, WRITE_NOT_READ, _DATA_SIDE),
    Row("xFSC", 5, 0, "", _GPC, _GRANULE_STATUS, telling=True),
    Row("HDBSSF", 43, 43, "", _GPC2, YES_NO, feature="FEAT_HDBSS"),
    Row("GCS", 40, 40, "", _GPC2, YES_NO, feature="FEAT_GCS"),
)
# fmt: on
