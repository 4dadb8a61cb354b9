# SPDX-License-Identifier: Apache-2.0
"""The tables behind :mod:`seabus.arch.esr`: exception classes, fault status codes, ISS layouts.

Source of all of it: Arm ARM DDI 0487, chapter D24 "AArch64 System Register Descriptions", ESR_EL1
and ESR_EL2. Paragraphs are named by their title, which outlives the section numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from seabus.arch._bits import Row

_ESR = "Arm ARM DDI 0487, ESR_ELx"
_DABT = f"{_ESR}, ISS encoding for an exception from a Data Abort"
_DABT2 = f"{_ESR}, ISS2 encoding for an exception from a Data Abort"
_IABT = f"{_ESR}, ISS encoding for an exception from an Instruction Abort"
_IABT2 = f"{_ESR}, ISS2 encoding for an exception from an Instruction Abort"
_SERR = f"{_ESR}, ISS encoding for an SError exception"

ISV = 1 << 24
IDS = 1 << 24
STATUS_MASK = 0x3F

# --- Fault status codes ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FaultStatus:
    """What a DFSC or IFSC means.

    ``level`` is the translation level it names (-2 to 3), or ``None``; ``feature`` the architecture
    feature that brought the code, or an empty string; ``data_only`` says that an IFSC cannot hold
    it.
    """

    code: int
    name: str
    level: int | None = None
    feature: str = ""
    data_only: bool = False

    def __str__(self) -> str:
        return self.name if self.level is None else f"{self.name}, level {self.level}"


_ASF = "address size fault"
_TF = "translation fault"
_AFF = "access flag fault"
_PF = "permission fault"
_SEA = "synchronous external abort on a table walk"
_ECC = "synchronous parity or ECC error on a table walk"
_GPF = "granule protection fault on a table walk"

# fmt: off
_FAULTS = (
    FaultStatus(0x00, _ASF, 0),
    FaultStatus(0x01, _ASF, 1),
    FaultStatus(0x02, _ASF, 2),
    FaultStatus(0x03, _ASF, 3),
    FaultStatus(0x04, _TF, 0),
    FaultStatus(0x05, _TF, 1),
    FaultStatus(0x06, _TF, 2),
    FaultStatus(0x07, _TF, 3),
    FaultStatus(0x08, _AFF, 0, "FEAT_LPA2"),
    FaultStatus(0x09, _AFF, 1),
    FaultStatus(0x0A, _AFF, 2),
    FaultStatus(0x0B, _AFF, 3),
    FaultStatus(0x0C, _PF, 0, "FEAT_LPA2"),
    FaultStatus(0x0D, _PF, 1),
    FaultStatus(0x0E, _PF, 2),
    FaultStatus(0x0F, _PF, 3),
    FaultStatus(0x10, "synchronous external abort (not on a table walk)"),
    FaultStatus(0x11, "synchronous tag check fault", None, "FEAT_MTE2", data_only=True),
    FaultStatus(0x12, _SEA, -2, "FEAT_D128"),
    FaultStatus(0x13, _SEA, -1, "FEAT_LPA2"),
    FaultStatus(0x14, _SEA, 0),
    FaultStatus(0x15, _SEA, 1),
    FaultStatus(0x16, _SEA, 2),
    FaultStatus(0x17, _SEA, 3),
    # 0x18-0x1F exist without FEAT_RAS only; with it such errors are synchronous external aborts.
    FaultStatus(0x18, "synchronous parity or ECC error (not on a table walk)", None, "no FEAT_RAS"),
    FaultStatus(0x1B, _ECC, -1, "FEAT_LPA2, no FEAT_RAS"),
    FaultStatus(0x1C, _ECC, 0, "no FEAT_RAS"),
    FaultStatus(0x1D, _ECC, 1, "no FEAT_RAS"),
    FaultStatus(0x1E, _ECC, 2, "no FEAT_RAS"),
    FaultStatus(0x1F, _ECC, 3, "no FEAT_RAS"),
    FaultStatus(0x21, "alignment fault", data_only=True),
    FaultStatus(0x22, _GPF, -2, "FEAT_RME, FEAT_D128"),
    FaultStatus(0x23, _GPF, -1, "FEAT_RME, FEAT_LPA2"),
    FaultStatus(0x24, _GPF, 0, "FEAT_RME"),
    FaultStatus(0x25, _GPF, 1, "FEAT_RME"),
    FaultStatus(0x26, _GPF, 2, "FEAT_RME"),
    FaultStatus(0x27, _GPF, 3, "FEAT_RME"),
    FaultStatus(0x28, "granule protection fault (not on a table walk)", None, "FEAT_RME"),
    # 0x29, not 0x25: Linux' ESR_ELx_FSC_ADDRSZ_nL(-1) said so for a while ("arm64: Correct value
    # returned by ESR_ELx_FSC_ADDRSZ_nL()"), its own fault_info[] always agreed with the manual.
    FaultStatus(0x29, _ASF, -1, "FEAT_LPA2"),
    FaultStatus(0x2A, _TF, -2, "FEAT_D128"),
    FaultStatus(0x2B, _TF, -1, "FEAT_LPA2"),
    FaultStatus(0x2C, _ASF, -2, "FEAT_D128"),
    FaultStatus(0x30, "TLB conflict abort"),
    FaultStatus(0x31, "unsupported atomic hardware update fault", None, "FEAT_HAFDBS"),
    FaultStatus(0x34, "IMPLEMENTATION DEFINED fault (lockdown)", data_only=True),
    FaultStatus(0x35, "IMPLEMENTATION DEFINED fault (unsupported exclusive or atomic access)",
                data_only=True),
)
# fmt: on

#: DFSC of a data abort, by code; a code that is not here is reserved.
DATA_FAULTS: Mapping[int, FaultStatus] = {fault.code: fault for fault in _FAULTS}
#: IFSC of an instruction abort, by code; a code that is not here is reserved.
INSTRUCTION_FAULTS: Mapping[int, FaultStatus] = {
    fault.code: fault for fault in _FAULTS if not fault.data_only
}

# --- Conditions -----------------------------------------------------------------------------------


def _isv(raw: int) -> bool:
    return bool(raw & ISV)


def _no_isv(raw: int) -> bool:
    return not raw & ISV


def _abort_not_on_walk(raw: int) -> bool:
    return raw & STATUS_MASK == 0x10


def _external_abort(raw: int) -> bool:
    return raw & STATUS_MASK in {0x10, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17}


def _parity_or_external(raw: int) -> bool:
    return _external_abort(raw) or raw & STATUS_MASK in {0x18, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F}


def _permission(raw: int) -> bool:
    return raw & 0x3C == 0x0C


def _mapping_fault(raw: int) -> bool:
    # Translation, access flag or permission fault: DFSC 0b00xxxx but 0b0000xx, or 0b101011.
    return 0x04 <= raw & STATUS_MASK <= 0x0F or raw & STATUS_MASK == 0x2B


# --- Layouts --------------------------------------------------------------------------------------

_YES_NO = {0: "no", 1: "yes"}
_WRITE_UPDATE = {
    0: "not a store, or the location may have been updated",
    2: "the store did not update the location",
    3: "the store updated the location",
}
_SYNC_ERROR_TYPE = {0: "recoverable (UER)", 2: "uncontainable (UC)", 3: "restartable (UEO)"}
_ASYNC_ERROR_TYPE = {
    0: "uncontainable (UC)",
    1: "unrecoverable (UEU)",
    2: "restartable (UEO)",
    3: "recoverable (UER)",
    6: "corrected (CE)",
}
_FNV = {0: "FAR holds the address", 1: "FAR is not valid"}
_S1PTW = {0: "not on a stage 1 table walk", 1: "stage 2 fault on a stage 1 table walk"}
_PFV = {0: "PFAR is UNKNOWN", 1: "PFAR holds the physical address"}
_EA = "IMPLEMENTATION DEFINED class of external abort"

_IL = Row("IL", 25, 25, "", _ESR, {0: "16-bit instruction", 1: "32-bit instruction, or none"})

# fmt: off
DATA_ABORT = (
    _IL,
    Row("ISV", 24, 24, "", _DABT, {0: "ISS[23:14] not valid", 1: "ISS[23:14] valid"}),
    Row("SAS", 23, 22, "", _DABT, {0: "byte", 1: "halfword", 2: "word", 3: "doubleword"},
        when=_isv, telling=True),
    Row("SSE", 21, 21, "", _DABT, {0: "no sign extension", 1: "sign extension"}, when=_isv),
    Row("TopLevel", 21, 21, "", _DABT, _YES_NO,                          # FEAT_THE
        when=lambda raw: _no_isv(raw) and _permission(raw)),
    Row("SRT", 20, 16, "number of the register transferred", _DABT, when=_isv, telling=True),
    Row("WU", 17, 16, "", _DABT, _WRITE_UPDATE,                          # FEAT_RASv2
        when=lambda raw: _no_isv(raw) and _external_abort(raw)),
    Row("SF", 15, 15, "", _DABT, {0: "32-bit register", 1: "64-bit register"}, when=_isv),
    Row("FnP", 15, 15, "", _DABT, {0: "FAR is precise", 1: "FAR is within the granule"},
        when=_no_isv),
    Row("AR", 14, 14, "", _DABT, {0: "no acquire/release", 1: "acquire/release"}, when=_isv),
    Row("PFV", 14, 14, "", _DABT, _PFV,                                  # FEAT_PFAR
        when=lambda raw: _no_isv(raw) and _external_abort(raw)),
    Row("VNCR", 13, 13, "", _DABT, {0: "not from VNCR_EL2", 1: "EL1 used VNCR_EL2"}),  # FEAT_NV2
    Row("LST", 12, 11, "", _DABT,                                        # FEAT_LS64
        {0: "not specified", 1: "ST64BV", 2: "LD64B or ST64B", 3: "ST64BV0"}, when=_mapping_fault),
    Row("SET", 12, 11, "", _DABT, _SYNC_ERROR_TYPE, when=_external_abort),   # FEAT_RAS
    Row("FnV", 10, 10, "", _DABT, _FNV, when=_abort_not_on_walk),
    Row("EA", 9, 9, _EA, _DABT, when=_parity_or_external),
    Row("CM", 8, 8, "", _DABT, {0: "no", 1: "cache maintenance or address translation"}),
    Row("S1PTW", 7, 7, "", _DABT, _S1PTW),
    Row("WnR", 6, 6, "", _DABT, {0: "read", 1: "write"}),
    Row("DFSC", 5, 0, "", _DABT, {code: str(fault) for code, fault in DATA_FAULTS.items()},
        telling=True),
    Row("HDBSSF", 43, 43, "", _DABT2, _YES_NO),                          # FEAT_HDBSS
    Row("TnD", 42, 42, "", _DABT2, {0: "data", 1: "tag"},                # FEAT_MTE_CANONICAL_TAGS
        when=_permission),
    Row("TagAccess", 41, 41, "", _DABT2, _YES_NO, when=_permission),     # FEAT_MTE_PERM
    Row("GCS", 40, 40, "", _DABT2, _YES_NO),                             # FEAT_GCS
    Row("AssuredOnly", 39, 39, "", _DABT2, _YES_NO, when=_permission),   # FEAT_THE
    Row("Overlay", 38, 38, "", _DABT2, _YES_NO, when=_permission),       # FEAT_S1POE, FEAT_S2POE
    Row("DirtyBit", 37, 37, "", _DABT2, _YES_NO, when=_permission),      # FEAT_S1PIE, FEAT_S2PIE
    Row("Xs", 36, 32, "number of the register that got the status", _DABT2,  # FEAT_LS64_V
        when=_mapping_fault),
)

INSTRUCTION_ABORT = (
    _IL,
    Row("TopLevel", 21, 21, "", _IABT, _YES_NO, when=_permission),       # FEAT_THE
    Row("PFV", 14, 14, "", _IABT, _PFV, when=_external_abort),           # FEAT_PFAR
    Row("SET", 12, 11, "", _IABT, _SYNC_ERROR_TYPE, when=_external_abort),   # FEAT_RAS
    Row("FnV", 10, 10, "", _IABT, _FNV, when=_abort_not_on_walk),
    Row("EA", 9, 9, _EA, _IABT, when=_parity_or_external),
    Row("S1PTW", 7, 7, "", _IABT, _S1PTW),
    Row("IFSC", 5, 0, "", _IABT, {code: str(fault) for code, fault in INSTRUCTION_FAULTS.items()},
        telling=True),
    Row("HDBSSF", 43, 43, "", _IABT2, _YES_NO),                          # FEAT_HDBSS
    Row("AssuredOnly", 39, 39, "", _IABT2, _YES_NO, when=_permission),   # FEAT_THE
    Row("Overlay", 38, 38, "", _IABT2, _YES_NO, when=_permission),       # FEAT_S1POE, FEAT_S2POE
)
# fmt: on


def _architected(raw: int) -> bool:
    return not raw & IDS


def _categorized(raw: int) -> bool:
    return _architected(raw) and raw & STATUS_MASK == 0x11


# fmt: off
SERROR = (
    _IL,
    Row("IDS", 24, 24, "", _SERR, {0: "architected syndrome", 1: "IMPLEMENTATION DEFINED"}),
    Row("ISS", 23, 0, "IMPLEMENTATION DEFINED syndrome", _SERR, telling=True,
        when=lambda raw: not _architected(raw)),
    Row("WU", 17, 16, "", _SERR, _WRITE_UPDATE, when=_categorized),      # FEAT_RASv2
    Row("VFV", 15, 15, "", _SERR, {0: "FAR is UNKNOWN", 1: "FAR holds the address"},
        when=_categorized),                                              # FEAT_PFAR
    Row("PFV", 14, 14, "", _SERR, _PFV, when=_categorized),              # FEAT_PFAR
    Row("IESB", 13, 13, "", _SERR, {0: "not synchronized", 1: "synchronized by an implicit ESB"},
        when=_categorized),                                              # FEAT_IESB
    Row("AET", 12, 10, "", _SERR, _ASYNC_ERROR_TYPE, when=_categorized, telling=True),
    Row("EA", 9, 9, _EA, _SERR, when=_categorized),
    Row("WnRV", 7, 7, "", _SERR, {0: "WnR not valid", 1: "WnR valid"}, when=_categorized),
    Row("WnR", 6, 6, "", _SERR, {0: "read", 1: "write"}, when=_categorized),   # FEAT_RASv2
    Row("DFSC", 5, 0, "", _SERR, {0x00: "uncategorized error", 0x11: "asynchronous SError"},
        when=_architected, telling=True),
)

# A class nobody needed in detail yet: its ISS is one field. To decode it, give it a table above.
OPAQUE = (
    _IL,
    Row("ISS", 24, 0, "syndrome of this class, not decoded", _ESR, telling=True),
    Row("ISS2", 55, 32, "second syndrome of this class, not decoded", _ESR),
)
# fmt: on

# --- Exception classes ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExceptionClass:
    """One value of ESR_ELx.EC.

    ``il_is_one`` says that the architecture fixes IL at 1 for it (with ISV = 0 for a data abort).
    """

    code: int
    name: str
    feature: str = ""
    il_is_one: bool = False
    layout: tuple[Row, ...] = OPAQUE


# fmt: off
_CLASSES = (
    ExceptionClass(0x00, "unknown reason", il_is_one=True),
    ExceptionClass(0x01, "trapped WF* instruction"),
    ExceptionClass(0x03, "trapped MCR or MRC, coproc 0b1111"),
    ExceptionClass(0x04, "trapped MCRR or MRRC, coproc 0b1111"),
    ExceptionClass(0x05, "trapped MCR or MRC, coproc 0b1110"),
    ExceptionClass(0x06, "trapped LDC or STC"),
    ExceptionClass(0x07, "trapped SVE, Advanced SIMD or floating-point access"),
    ExceptionClass(0x08, "trapped VMRS, ID group"),
    ExceptionClass(0x09, "trapped pointer authentication instruction", "FEAT_PAuth"),
    ExceptionClass(0x0A, "trapped instruction of no other class", "FEAT_LS64"),
    ExceptionClass(0x0C, "trapped MRRC, coproc 0b1110"),
    ExceptionClass(0x0D, "branch target exception", "FEAT_BTI"),
    ExceptionClass(0x0E, "illegal execution state", il_is_one=True),
    ExceptionClass(0x11, "SVC in AArch32 state"),
    ExceptionClass(0x12, "HVC in AArch32 state"),
    ExceptionClass(0x13, "SMC in AArch32 state"),
    ExceptionClass(0x14, "trapped MSRR, MRRS or 128-bit system instruction",
                   "FEAT_SYSREG128, FEAT_SYSINSTR128"),
    ExceptionClass(0x15, "SVC in AArch64 state"),
    ExceptionClass(0x16, "HVC in AArch64 state"),
    ExceptionClass(0x17, "SMC in AArch64 state"),
    ExceptionClass(0x18, "trapped MSR, MRS or system instruction"),
    ExceptionClass(0x19, "trapped SVE access", "FEAT_SVE"),
    ExceptionClass(0x1A, "trapped ERET, ERETAA or ERETAB", "FEAT_FGT, FEAT_NV"),
    ExceptionClass(0x1B, "trapped TSTART", "FEAT_TME"),
    ExceptionClass(0x1C, "pointer authentication failure", "FEAT_FPAC"),
    ExceptionClass(0x1D, "trapped SME access", "FEAT_SME"),
    ExceptionClass(0x1E, "granule protection check", "FEAT_RME"),
    ExceptionClass(0x1F, "IMPLEMENTATION DEFINED exception to EL3"),
    ExceptionClass(0x20, "instruction abort from a lower EL", "", True, INSTRUCTION_ABORT),
    ExceptionClass(0x21, "instruction abort from the same EL", "", True, INSTRUCTION_ABORT),
    ExceptionClass(0x22, "PC alignment fault", il_is_one=True),
    ExceptionClass(0x24, "data abort from a lower EL", "", True, DATA_ABORT),
    ExceptionClass(0x25, "data abort from the same EL", "", True, DATA_ABORT),
    ExceptionClass(0x26, "SP alignment fault", il_is_one=True),
    ExceptionClass(0x27, "memory operation exception", "FEAT_MOPS"),
    ExceptionClass(0x28, "trapped floating-point exception in AArch32 state"),
    ExceptionClass(0x2C, "trapped floating-point exception in AArch64 state"),
    ExceptionClass(0x2D, "guarded control stack exception", "FEAT_GCS"),
    ExceptionClass(0x2F, "SError", "", True, SERROR),
    ExceptionClass(0x30, "breakpoint from a lower EL", il_is_one=True),
    ExceptionClass(0x31, "breakpoint from the same EL", il_is_one=True),
    ExceptionClass(0x32, "software step from a lower EL", il_is_one=True),
    ExceptionClass(0x33, "software step from the same EL", il_is_one=True),
    ExceptionClass(0x34, "watchpoint from a lower EL", il_is_one=True),
    ExceptionClass(0x35, "watchpoint from the same EL", il_is_one=True),
    ExceptionClass(0x38, "BKPT in AArch32 state"),
    ExceptionClass(0x3A, "vector catch from AArch32 state", il_is_one=True),
    ExceptionClass(0x3C, "BRK in AArch64 state"),
    ExceptionClass(0x3D, "profiling exception", "FEAT_EBEP, FEAT_SPE_EXC, FEAT_TRBE_EXC"),
)
# fmt: on

#: ESR_ELx.EC, by code; a code that is not here is reserved.
EXCEPTION_CLASSES: Mapping[int, ExceptionClass] = {entry.code: entry for entry in _CLASSES}

#: The row every ESR_ELx starts with.
EC_ROW = Row("EC", 31, 26, "", _ESR, {entry.code: entry.name for entry in _CLASSES}, telling=True)
