# SPDX-License-Identifier: Apache-2.0
"""ESR_ELx: vectors worked out by hand from the Arm ARM, coverage of the tables, round trips."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seabus.arch import esr as subject

raws = st.integers(0, 2**64 - 1)

# (value, fields it must have, fields it must not have). Bits from DDI 0487, ESR_ELx.
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
        {"WU", "FnP"},
    ),
    # SEA with SET = UEO (3 << 11), WU = store did not update (2 << 16), PFV (1 << 14).
    (0x92025810, {"SET": 3, "WU": 2, "PFV": 1, "FnV": 0}, {"SRT", "AR"}),
    # SEA on a stage 2 walk for a stage 1 walk, level 2: S1PTW, DFSC 0x16; FnV does not exist there.
    (0x92000096, {"S1PTW": 1, "DFSC": 0x16}, {"FnV"}),
    # Instruction abort from a lower EL, permission fault level 3.
    (0x8200000F, {"EC": 0x20, "IFSC": 0x0F}, {"DFSC", "WnR", "ISV"}),
    # SError, IESB, AET = UER (3 << 10), EA, DFSC 0x11.
    (0xBE002E11, {"EC": 0x2F, "IDS": 0, "IESB": 1, "AET": 3, "EA": 1, "DFSC": 0x11}, {"ISS"}),
    # SError with an IMPLEMENTATION DEFINED syndrome 0x123456.
    (0xBF123456, {"EC": 0x2F, "IDS": 1, "ISS": 0x123456}, {"AET", "DFSC"}),
    # SVC #0 from AArch64.
    (0x56000000, {"EC": 0x15, "IL": 1, "ISS": 0}, set()),
    # ISS2 of a data abort: permission fault level 3 because of an overlay (bit 38).
    (0x40_9200000F, {"Overlay": 1, "DFSC": 0x0F}, set()),
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
    (0x56000007, "EC 0x15 SVC in AArch64 state, IL, ISS 0x0000007"),
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
    (0x0A000000, "EC holds the reserved value 0x2"),
    (0x90000010, "IL is 0 where it is fixed at 1"),
    (0xBE001011, "AET holds the reserved value 0x4"),
    (0xBE000400, "bit 10 is RES0 but set"),  # AET of an uncategorized SError
]


@pytest.mark.parametrize(("raw", "text"), VIOLATIONS)
def test_violation(raw: int, text: str) -> None:
    syndrome = subject.decode_esr(raw)
    assert text in syndrome.violations
    assert text in syndrome.summary()


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


def test_every_fault_status_is_named_or_reserved() -> None:
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


def test_instruction_aborts_lack_the_data_only_codes() -> None:
    data_only = subject.DATA_FAULTS.keys() - subject.INSTRUCTION_FAULTS.keys()
    assert data_only == {0x11, 0x21, 0x34, 0x35}


def test_external_aborts() -> None:
    aborts = {c for c in range(64) if subject.decode_esr(0x96000000 | c).is_synchronous_external_abort}
    assert aborts == {0x10, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17}
    assert not subject.decode_esr(0xBE000010).is_synchronous_external_abort


def test_every_exception_class_decodes() -> None:
    unallocated = {0x02, 0x0B, 0x0F, 0x10, 0x23, 0x29, 0x2A, 0x2B, 0x2E, 0x36, 0x37, 0x39, 0x3B}
    assert set(range(64)) - subject.EXCEPTION_CLASSES.keys() == {*unallocated, 0x3E, 0x3F}
    for code in subject.EXCEPTION_CLASSES:
        syndrome = subject.decode_esr(code << 26 | 1 << 25)
        assert syndrome["EC"].meaning == subject.EXCEPTION_CLASSES[code].name
        assert syndrome.violations == ()


def test_qemu_sea() -> None:
    assert subject.qemu_sea_esr(from_el0=True) == 0x92000410
    assert subject.qemu_sea_esr(from_el0=False) == 0x96000410


def test_builders_against_hand_computed_values() -> None:
    mmio = subject.encode_data_abort(lower_el=True, isv=True, sas=3, srt=5, sf=True, wnr=True, dfsc=0x07)
    assert int(mmio) == 0x93C58047
    assert int(subject.encode_serror(aet=3, iesb=True, ea=True)) == 0xBE002E11
    assert int(subject.encode_instruction_abort(lower_el=True, ifsc=0x0F)) == 0x8200000F
    assert int(subject.encode_esr(0x2F, IDS=1, ISS=0x123456)) == 0xBF123456


def test_builders_refuse_what_the_architecture_does_not_have() -> None:
    with pytest.raises(ValueError, match="SAS does not exist here"):
        subject.encode_data_abort(lower_el=True, dfsc=0x07, sas=3)
    with pytest.raises(ValueError, match="FnV does not exist here"):
        subject.encode_data_abort(lower_el=True, dfsc=0x07, fnv=True)
    with pytest.raises(ValueError, match="reserved value 0x19"):
        subject.encode_data_abort(lower_el=True, dfsc=0x19)
    with pytest.raises(ValueError, match="6 bits wide"):
        subject.encode_data_abort(lower_el=True, dfsc=0x40)
    with pytest.raises(ValueError, match="no field WnR"):
        subject.encode_esr(0x20, WnR=1, IFSC=0x10)
    with pytest.raises(ValueError, match="EC 0x2 is reserved"):
        subject.encode_esr(0x02)
    with pytest.raises(ValueError, match="64 bits"):
        subject.decode_esr(1 << 64)


@given(raws)
def test_decoding_is_total_and_fields_never_overlap(raw: int) -> None:
    syndrome = subject.decode_esr(raw)
    rebuilt = covered = 0
    for field in syndrome.fields:
        mask = (1 << field.width) - 1 << field.low
        assert not covered & mask
        assert field.meaning
        assert field.source
        covered |= mask
        rebuilt |= field.value << field.low
    assert rebuilt == raw & covered
    assert bool(raw & ~covered) <= bool(syndrome.violations)
    assert "\n" not in syndrome.summary()


@given(st.sampled_from(sorted(subject.EXCEPTION_CLASSES)), st.integers(0, 2**25 - 1))
def test_legal_values_survive_decode_and_encode(ec: int, iss: int) -> None:
    syndrome = subject.decode_esr(ec << 26 | 1 << 25 | iss)
    assume(not syndrome.violations)
    values = {field.name: field.value for field in syndrome.fields if field.name != "EC"}
    assert subject.encode_esr(ec, **values) == syndrome.esr
