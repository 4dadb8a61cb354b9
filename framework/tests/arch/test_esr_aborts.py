# SPDX-License-Identifier: Apache-2.0
"""ESR_ELx of aborts and SErrors: values worked out by hand from the Arm ARM, every fault status."""

import pytest

from seabus.arch import esr as subject

# (value, fields it must have, fields it must not have). Bits from DDI 0487, ESR_EL2: "ISS encoding
# for an exception from a Data Abort", "... an Instruction Abort", "... an SError exception", and
# the ISS2 encodings of the same.
VECTORS = [
    # Measured in L2: EC 0b100100 << 26 | IL << 25 | FnV << 10 | 0b010000.
    (0x92000410, {"EC": 0x24, "IL": 1, "ISV": 0, "FnV": 1, "DFSC": 0x10, "SET": 0}, {"SAS", "LST"}),
    # Measured with ext_dabt_pending: the same EL, FAR valid.
    (0x96000010, {"EC": 0x25, "FnV": 0, "DFSC": 0x10}, set()),
    # MMIO store of a doubleword from x5: ISV, SAS 3, SRT 5, SF, WnR, translation level 3.
    # 0x24<<26 | 1<<25 | 1<<24 | 3<<22 | 5<<16 | 1<<15 | 1<<6 | 7
    (
        0x93C58047,
        {"ISV": 1, "SAS": 3, "SSE": 0, "SRT": 5, "SF": 1, "AR": 0, "WnR": 1},
        {"WU", "FnP", "TopLevel", "GCS"},
    ),
    # A sign-extending acquire load of a byte to w3: ISV, SSE << 21, SRT 3, AR << 14, level 2.
    (0x93234006, {"SAS": 0, "SSE": 1, "SRT": 3, "SF": 0, "AR": 1, "DFSC": 6}, {"PFV"}),
    # SEA with SET = UEO (3 << 11), WU = store did not update (2 << 16), PFV (1 << 14).
    (0x92025810, {"SET": 3, "WU": 2, "PFV": 1, "FnV": 0}, {"SRT", "AR"}),
    # SEA with EA (1 << 9) and WnR on a walk, level -1 (0x13) and -2 (0x12): no FnV there.
    (0x92000253, {"EA": 1, "WnR": 1, "DFSC": 0x13}, {"FnV"}),
    (0x96000012, {"EC": 0x25, "DFSC": 0x12, "SET": 0}, {"FnV", "LST"}),
    # SEA on a stage 2 walk for a stage 1 walk, level 2: S1PTW, DFSC 0x16; FnV does not exist there.
    (0x92000096, {"S1PTW": 1, "DFSC": 0x16}, {"FnV"}),
    # Cache maintenance: CM << 8 and WnR, translation level 0.
    (0x92000144, {"CM": 1, "WnR": 1, "DFSC": 0x04, "LST": 0}, {"SET"}),
    # Parity error on the access, without FEAT_RAS: EA exists, SET and FnV do not.
    (0x96000218, {"EA": 1, "DFSC": 0x18}, {"SET", "FnV", "WU", "PFV"}),
    # EL1 used VNCR_EL2 (1 << 13), access flag level 3.
    (0x9600200B, {"VNCR": 1, "DFSC": 0x0B}, set()),
    # FnP (1 << 15): an SVE load, translation level 3.
    (0x92008007, {"FnP": 1}, {"SF"}),
    # ISS2 of a permission fault, level 3: Overlay 38, DirtyBit 37, AssuredOnly 39, TnD 42, TagAccess 41.
    (0x40_9200000F, {"Overlay": 1, "DFSC": 0x0F}, {"Xs", "SET"}),
    (0x20_9200004F, {"DirtyBit": 1, "WnR": 1}, set()),
    (0x80_9200000F, {"AssuredOnly": 1}, set()),
    (0x400_9200004D, {"TnD": 1, "DFSC": 0x0D}, set()),
    (0x200_9200000D, {"TagAccess": 1}, set()),
    # TopLevel (1 << 21) of the ISS, FEAT_THE.
    (0x9220000F, {"TopLevel": 1}, {"SSE"}),
    # GCS (ISS2 bit 8), with a translation fault.
    (0x100_92000007, {"GCS": 1}, {"Overlay"}),
    # HDBSSF (ISS2 bit 11): permission fault, SEA on a walk, granule protection fault on a walk.
    (0x800_9200004F, {"HDBSSF": 1}, set()),
    (0x800_92000056, {"HDBSSF": 1, "DFSC": 0x16}, set()),
    (0x800_92000065, {"HDBSSF": 1, "DFSC": 0x25}, set()),
    # ST64BV0 (LST 3 << 11) of x8.. with the status to x11 (Xs): ISV, SAS 3, SRT 8, SF, WnR, level 3.
    # 0x24<<26 | 1<<25 | 1<<24 | 3<<22 | 8<<16 | 1<<15 | 3<<11 | 1<<6 | 7, 11<<32
    (0xB_93C89847, {"LST": 3, "Xs": 11, "SRT": 8, "SAS": 3}, {"GCS"}),
    # LD64B (LST 2): no status, so no Xs.
    (0x93C89007, {"LST": 2}, {"Xs"}),
    # Instruction abort from a lower EL, permission fault level 3.
    (0x8200000F, {"EC": 0x20, "IFSC": 0x0F, "Overlay": 0}, {"DFSC", "WnR", "ISV"}),
    # ... SEA from the same EL with SET UC (2 << 11), FnV, EA, PFV.
    (0x86005610, {"EC": 0x21, "SET": 2, "FnV": 1, "EA": 1, "PFV": 1, "IFSC": 0x10}, {"WU", "CM"}),
    # ... on a walk of level 0: PFV and SET, no FnV.
    (0x82004014, {"PFV": 1, "IFSC": 0x14, "SET": 0}, {"FnV"}),
    # ... TopLevel in the ISS, AssuredOnly and DirtyBit in the ISS2.
    (0xA0_8220000E, {"TopLevel": 1, "AssuredOnly": 1, "DirtyBit": 1}, {"TagAccess"}),
    # ... HDBSSF (ISS2 bit 11), Overlay (bit 6), S1PTW << 7.
    (0x840_8200008F, {"HDBSSF": 1, "Overlay": 1, "S1PTW": 1, "IFSC": 0x0F}, {"SET"}),
    # SError, IESB, AET = UER (3 << 10), EA, DFSC 0x11.
    (0xBE002E11, {"EC": 0x2F, "IDS": 0, "IESB": 1, "AET": 3, "EA": 1, "DFSC": 0x11}, {"ISS", "WnR"}),
    # ... FEAT_RASv2: ELS << 18, WU 3 << 16, VFV << 15, PFV << 14, WnRV << 7, WnR << 6.
    (0xBE07C0D1, {"ELS": 1, "WU": 3, "VFV": 1, "PFV": 1, "WnRV": 1, "WnR": 1, "AET": 0}, set()),
    # SError with an IMPLEMENTATION DEFINED syndrome 0x123456.
    (0xBF123456, {"EC": 0x2F, "IDS": 1, "ISS": 0x123456}, {"AET", "DFSC"}),
    # SError without FEAT_RAS: the syndrome is zero.
    (0xBE000000, {"IDS": 0, "DFSC": 0}, {"AET", "EA", "IESB"}),
]


@pytest.mark.parametrize(("raw", "present", "absent"), VECTORS)
def test_vector(raw: int, present: dict[str, int], absent: set[str]) -> None:
    syndrome = subject.decode_esr(raw)
    assert {name: syndrome[name].value for name in present} == present
    assert not absent & {field.name for field in syndrome.fields}
    assert syndrome.violations == ()


SUMMARIES = [
    (
        0x92000410,
        "EC 0x24 data abort from a lower EL, IL, FnV,"
        " DFSC 0x10 synchronous external abort (not on a table walk)",
    ),
    (
        0x93C58047,
        "EC 0x24 data abort from a lower EL, IL, ISV, SAS 0x3 doubleword, SRT 0x05, SF, WnR,"
        " DFSC 0x07 translation fault, level 3",
    ),
    (
        0xBE000011,
        "EC 0x2f SError, IL, AET 0x0 uncontainable (UC), DFSC 0x11 asynchronous SError",
    ),
    (0x56000007, "EC 0x15 SVC in AArch64 state, IL, imm16 0x0007"),
    (
        0x62300028,
        "EC 0x18 trapped MSR, MRS or system instruction, IL, Op0 0x3, Op2 0x0, Op1 0x0, CRn 0x0, Rt 0x01,"
        " CRm 0x4, Direction 0x0 write",
    ),
]


@pytest.mark.parametrize(("raw", "text"), SUMMARIES)
def test_summary(raw: int, text: str) -> None:
    assert subject.decode_esr(raw).summary() == text


VIOLATIONS = [
    (0x92000410 | 1 << 63, "bit 63 is RES0 but set"),
    (0x92000407, "bit 10 is RES0 but set"),  # FnV with a translation fault
    (0x92C00007, "bit 23 is RES0 but set"),  # SAS without ISV
    (0x82000050, "bit 6 is RES0 but set"),  # WnR in an instruction abort
    (0x92000019, "DFSC holds the reserved value 0x19"),
    (0x82000021, "IFSC holds the reserved value 0x21"),  # alignment faults of fetches have EC 0x22
    (0x92000810, "SET holds the reserved value 0x1"),
    (0x92010010, "WU holds the reserved value 0x1"),
    (0x92000204, "bit 9 is RES0 but set"),  # EA without an external abort
    (0x40_92000007, "bit 38 is RES0 but set"),  # Overlay without a permission fault
    (0x100_93C58047, "bit 40 is RES0 but set"),  # GCS with ISV
    (0x1_93C89007, "bit 32 is RES0 but set"),  # Xs of an LD64B
    (0x800_92000010, "bit 43 is RES0 but set"),  # HDBSSF with an abort that is not on a walk
    (0x200_9600010D | 1 << 44, "bit 44 is RES0 but set"),
    (0x0A000000, "EC holds the reserved value 0x2"),
    (0x90000010, "IL is 0 where it is fixed at 1"),
    (0xBE001011, "AET holds the reserved value 0x4"),
    (0xBE000400, "bit 10 is RES0 but set"),  # AET of an uncategorized SError
    (0xBE000051, "bit 6 is RES0 but set"),  # WnR while WnRV is 0
    (0xBE000111, "bit 8 is RES0 but set"),
]


@pytest.mark.parametrize(("raw", "text"), VIOLATIONS)
def test_violation(raw: int, text: str) -> None:
    syndrome = subject.decode_esr(raw)
    assert text in syndrome.violations
    assert text in syndrome.summary()


def test_a_violating_value_names_all_it_violates() -> None:
    # EC 0x15, IL 0, and bits 24 and 16 of an ISS that ends at bit 15; bit 60 of the register.
    assert subject.decode_esr(0x1000_0000_5501_0000).violations == (
        "IL is 0 where it is fixed at 1",
        "bit 60 is RES0 but set",
        "bit 24 is RES0 but set",
        "bit 16 is RES0 but set",
    )


# DDI 0487, DFSC: every code of 0..63 that is defined; (codes, name, first level), by paragraph.
LEVELLED = [
    ([0x00, 0x01, 0x02, 0x03], "address size fault", 0),
    ([0x2C, 0x29], "address size fault", -2),
    ([0x04, 0x05, 0x06, 0x07], "translation fault", 0),
    ([0x2A, 0x2B], "translation fault", -2),
    ([0x08, 0x09, 0x0A, 0x0B], "access flag fault", 0),
    ([0x0C, 0x0D, 0x0E, 0x0F], "permission fault", 0),
    ([0x12, 0x13, 0x14, 0x15, 0x16, 0x17], "synchronous external abort on a table walk", -2),
    ([0x1B, 0x1C, 0x1D, 0x1E, 0x1F], "synchronous parity or ECC error on a table walk", -1),
    ([0x22, 0x23, 0x24, 0x25, 0x26, 0x27], "granule protection fault on a table walk", -2),
]
UNLEVELLED = {0x10, 0x11, 0x18, 0x21, 0x28, 0x30, 0x31, 0x34, 0x35}
RESERVED = {0x19, 0x1A, 0x20, 0x2D, 0x2E, 0x2F, 0x32, 0x33, *range(0x36, 0x40)}
# DDI 0487, IFSC: the codes that DFSC has and IFSC has not.
DATA_ONLY = {0x11, 0x21, 0x34, 0x35}
# The same tables, "Applies when".
FEATURES = {
    0x08: "FEAT_LPA2",
    0x0C: "FEAT_LPA2",
    0x11: "FEAT_MTE2",
    0x12: "FEAT_D128",
    0x13: "FEAT_LPA2",
    0x18: "no FEAT_RAS",
    0x1B: "FEAT_LPA2, no FEAT_RAS",
    **dict.fromkeys((0x1C, 0x1D, 0x1E, 0x1F), "no FEAT_RAS"),
    0x22: "FEAT_RME, FEAT_D128",
    0x23: "FEAT_RME, FEAT_LPA2",
    **dict.fromkeys(range(0x24, 0x29), "FEAT_RME"),
    0x29: "FEAT_LPA2",
    0x2A: "FEAT_D128",
    0x2B: "FEAT_LPA2",
    0x2C: "FEAT_D128",
    0x31: "FEAT_HAFDBS",
}


def test_every_data_fault_status_is_named_or_reserved() -> None:
    levelled = {
        code: f"{name}, level {first + step}"
        for codes, name, first in LEVELLED
        for step, code in enumerate(codes)
    }
    assert sorted([*levelled, *UNLEVELLED, *RESERVED]) == list(range(64))
    for code in range(64):
        syndrome = subject.decode_esr(0x92000000 | code)
        meaning = syndrome["DFSC"].meaning
        if code in levelled:
            assert meaning == levelled[code]
        else:
            assert (meaning == "reserved") == (code in RESERVED)
        assert (syndrome.fault is None) == (code in RESERVED)
        assert syndrome.fault is None or syndrome.fault.feature == FEATURES.get(code, "")


@pytest.mark.parametrize("code", range(64))
def test_every_instruction_fault_status_is_named_or_reserved(code: int) -> None:
    syndrome = subject.decode_esr(0x82000000 | code)
    if code in RESERVED | DATA_ONLY:
        assert syndrome["IFSC"].meaning == "reserved"
        assert syndrome.fault is None
    else:
        assert syndrome["IFSC"].meaning == subject.decode_esr(0x92000000 | code)["DFSC"].meaning
        assert syndrome.violations == ()


def test_external_aborts_and_parity_errors() -> None:
    faults = {code: subject.decode_esr(0x96000000 | code).fault for code in range(64)}
    external = {code for code, fault in faults.items() if fault and fault.is_external_abort}
    parity = {code for code, fault in faults.items() if fault and fault.is_parity_error}
    assert external == {0x10, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17}
    assert parity == {0x18, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F}
    assert subject.decode_esr(0x92000013).is_synchronous_external_abort
    assert not subject.decode_esr(0x9200001B).is_synchronous_external_abort
    assert not subject.decode_esr(0xBE000010).is_synchronous_external_abort


def test_qemu_sea() -> None:
    assert subject.qemu_sea_esr(from_el0=True) == 0x92000410
    assert subject.qemu_sea_esr(from_el0=False) == 0x96000410


def test_builders_against_hand_computed_values() -> None:
    mmio = subject.encode_data_abort(lower_el=True, isv=True, sas=3, srt=5, sf=True, wnr=True, dfsc=0x07)
    assert int(mmio) == 0x93C58047
    assert int(subject.encode_serror(aet=3, iesb=True, ea=True)) == 0xBE002E11
    assert int(subject.encode_instruction_abort(lower_el=True, ifsc=0x0F)) == 0x8200000F
    assert int(subject.encode_instruction_abort(lower_el=False, ifsc=0x10, set_=2, fnv=True, ea=True)) == (
        0x86001610
    )
