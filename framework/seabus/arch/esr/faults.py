# SPDX-License-Identifier: Apache-2.0
"""Fault status codes: what the DFSC of a data abort and the IFSC of an instruction abort mean.

Source: Arm ARM DDI 0487, ESR_EL2, ISS encodings for an exception from a Data Abort and from an
Instruction Abort, tables "DFSC" and "IFSC". ESR_EL1 and ESR_EL3 have the same tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass

#: Where the status lies in the ISS of both kinds of abort.
STATUS_MASK = 0x3F

#: Synchronous External abort: on the access itself, and on a table walk of level -2 to 3.
EXTERNAL_ABORTS = frozenset({0x10, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17})
#: Synchronous parity or ECC error, which only processors without FEAT_RAS tell from those.
PARITY_ERRORS = frozenset({0x18, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F})
#: Granule Protection Fault on a table walk.
GRANULE_FAULTS_ON_WALK = frozenset(range(0x22, 0x28))
#: Permission fault.
PERMISSION_FAULTS = frozenset(range(0x0C, 0x10))


@dataclass(frozen=True, slots=True)
class FaultStatus:
    """What a DFSC or IFSC means.

    ``level`` is the translation level it names (-2 to 3), or ``None``; ``feature`` the architecture
    feature that brought the code ("no FEAT_RAS": only without it), or an empty string;
    ``data_only`` says that an IFSC cannot hold it.
    """

    code: int
    name: str
    level: int | None = None
    feature: str = ""
    data_only: bool = False

    def __str__(self) -> str:
        return self.name if self.level is None else f"{self.name}, level {self.level}"

    @property
    def is_external_abort(self) -> bool:
        """Whether this is a Synchronous External abort, on the access or on a table walk."""
        return self.code in EXTERNAL_ABORTS

    @property
    def is_parity_error(self) -> bool:
        """Whether this is a parity or ECC error told from External aborts (no FEAT_RAS)."""
        return self.code in PARITY_ERRORS


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
