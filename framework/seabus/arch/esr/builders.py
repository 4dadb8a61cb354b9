# SPDX-License-Identifier: Apache-2.0
"""Builders of the syndromes that a RAS test compares with, with arguments that a type checker knows."""

from seabus.arch.esr.encode import encode_esr
from seabus.arch.esr.value import Esr


def encode_data_abort(
    *,
    lower_el: bool,
    dfsc: int,
    isv: bool = False,
    sas: int = 0,
    sse: bool = False,
    srt: int = 0,
    sf: bool = False,
    ar: bool = False,
    vncr: bool = False,
    set_: int = 0,
    fnv: bool = False,
    ea: bool = False,
    cm: bool = False,
    s1ptw: bool = False,
    wnr: bool = False,
    il: bool = True,
) -> Esr:
    """Build the syndrome of a data abort.

    :param lower_el: taken from a lower exception level (EC 0x24), or the same (EC 0x25).
    :param dfsc: fault status code, see :data:`DATA_FAULTS`.
    :param sas: log2 of the access size in bytes, 0 to 3; like the next four, needs ``isv``.
    :param srt: number of the register transferred, 31 is the zero register.
    :param set_: synchronous error type: 0 UER, 2 UC, 3 UEO.
    :raises BadEsrField: a combination that the architecture reserves.

    Source: Arm ARM DDI 0487, ESR_ELx, ISS encoding for an exception from a Data Abort.
    """
    return encode_esr(
        0x24 if lower_el else 0x25,
        IL=il,
        ISV=isv,
        SAS=sas,
        SSE=sse,
        SRT=srt,
        SF=sf,
        AR=ar,
        VNCR=vncr,
        SET=set_,
        FnV=fnv,
        EA=ea,
        CM=cm,
        S1PTW=s1ptw,
        WnR=wnr,
        DFSC=dfsc,
    )


def encode_instruction_abort(
    *,
    lower_el: bool,
    ifsc: int,
    set_: int = 0,
    fnv: bool = False,
    ea: bool = False,
    s1ptw: bool = False,
) -> Esr:
    """Build the syndrome of an instruction abort.

    :param lower_el: taken from a lower exception level (EC 0x20), or the same (EC 0x21).
    :param ifsc: fault status code, see :data:`INSTRUCTION_FAULTS`.
    :param set_: synchronous error type: 0 UER, 2 UC, 3 UEO.
    :raises BadEsrField: a combination that the architecture reserves.

    Source: Arm ARM DDI 0487, ESR_ELx, ISS encoding for an exception from an Instruction Abort.
    """
    ec = 0x20 if lower_el else 0x21
    return encode_esr(ec, SET=set_, FnV=fnv, EA=ea, S1PTW=s1ptw, IFSC=ifsc)


def encode_serror(*, aet: int, iesb: bool = False, ea: bool = False) -> Esr:
    """Build the syndrome of a categorized SError (IDS 0, DFSC 0x11), as FEAT_RAS reports it.

    For an IMPLEMENTATION DEFINED one use ``encode_esr(0x2F, IDS=1, ISS=...)``, for an uncategorized
    one, or one without FEAT_RAS, ``encode_esr(0x2F)``.

    :param aet: asynchronous error type: 0 UC, 1 UEU, 2 UEO, 3 UER, 6 CE.
    :raises BadEsrField: a reserved error type.

    Source: Arm ARM DDI 0487, ESR_ELx, ISS encoding for an SError exception.
    """
    return encode_esr(0x2F, IESB=iesb, AET=aet, EA=ea, DFSC=0x11)


def qemu_sea_esr(from_el0: bool) -> int:
    """Return the ESR_EL1 that QEMU gives a guest for poisoned memory, whatever the access was.

    Always a data abort to EL1, FAR not valid, status 0x10: 0x92000410 from EL0 (measured with QEMU
    11.1.3), 0x96000410 from EL1.

    Source: QEMU target/arm/kvm.c ``kvm_inject_arm_sea()``.
    """
    return int(encode_data_abort(lower_el=from_el0, fnv=True, dfsc=0x10))
