# SPDX-License-Identifier: Apache-2.0
"""ISS of an SError exception, with FEAT_RAS (IDS 0) and with an IMPLEMENTATION DEFINED one (IDS 1).

Without FEAT_RAS an architected SError has a syndrome of zero, which reads as "uncategorized".

Source: Arm ARM DDI 0487, ESR_ELx, ISS encoding for an SError exception.
"""

from seabus.arch._bits import Row, When
from seabus.arch.esr.common import (
    ESR,
    EXTERNAL_ABORT_TYPE,
    IL,
    PFAR_VALID,
    WRITE_NOT_READ,
    WRITE_UPDATE,
    bit,
)
from seabus.arch.esr.faults import STATUS_MASK

_SERR = f"{ESR}, ISS encoding for an SError exception"

_ARCHITECTED = bit(24, 0)
_CATEGORIZED = _ARCHITECTED & When(STATUS_MASK, frozenset({0x11}))

#: AET, asynchronous error type.
ASYNC_ERROR_TYPE = {
    0: "uncontainable (UC)",
    1: "unrecoverable (UEU)",
    2: "restartable (UEO)",
    3: "recoverable (UER)",
    6: "corrected (CE)",
}
_STATUS = {0x00: "uncategorized error, or no FEAT_RAS", 0x11: "asynchronous SError"}

# fmt: off
SERROR = (
    IL,
    Row("IDS", 24, 24, "", _SERR, {0: "architected syndrome", 1: "IMPLEMENTATION DEFINED"}),
    Row("ISS", 23, 0, "IMPLEMENTATION DEFINED syndrome", _SERR, None, bit(24), telling=True),
    Row("ELS", 18, 18, "", _SERR,
        {0: "asynchronous", 1: "triggered by the instruction at ELR"}, _CATEGORIZED, feature="FEAT_RASv2"),
    Row("WU", 17, 16, "", _SERR, WRITE_UPDATE, _CATEGORIZED, feature="FEAT_RASv2"),
    Row("VFV", 15, 15, "", _SERR, {0: "FAR is not valid", 1: "FAR holds the address"},
        _CATEGORIZED, feature="FEAT_RASv2"),
    Row("PFV", 14, 14, "", _SERR, PFAR_VALID, _CATEGORIZED, feature="FEAT_PFAR"),
    Row("IESB", 13, 13, "", _SERR, {0: "not synchronized", 1: "synchronized by an implicit ESB"},
        _CATEGORIZED, feature="FEAT_IESB"),
    Row("AET", 12, 10, "", _SERR, ASYNC_ERROR_TYPE, _CATEGORIZED, telling=True, feature="FEAT_RAS"),
    Row("EA", 9, 9, EXTERNAL_ABORT_TYPE, _SERR, None, _CATEGORIZED,
        feature="FEAT_RAS"),
    Row("WnRV", 7, 7, "", _SERR, {0: "WnR not valid", 1: "WnR valid"}, _CATEGORIZED,
        feature="FEAT_RASv2"),
    Row("WnR", 6, 6, "", _SERR, WRITE_NOT_READ, _CATEGORIZED & bit(7), feature="FEAT_RASv2"),
    Row("DFSC", 5, 0, "", _SERR, _STATUS, _ARCHITECTED, telling=True, feature="FEAT_RAS"),
)
# fmt: on
