# SPDX-License-Identifier: Apache-2.0
"""ESR_ELx: a value or two of every exception class, worked out by hand, and whose register has it."""

import pytest

from seabus.arch import esr as subject

# EC << 26 | IL << 25 | ISS, bits from DDI 0487, ESR_EL2, the ISS encoding of that class (of ESR_EL3
# for 0x1E and 0x1F). CV and COND are 1 and 0b1110 for all of A64: 0x01E00000.
VECTORS = [
    (0x02000000, {}),
    # WFI: TI 0; WFIT x3: RN 3 << 5, RV 1 << 2, TI 2.
    (0x07E00000, {"CV": 1, "COND": 14, "TI": 0}),
    (0x07E00066, {"CV": 1, "COND": 14, "RN": 3, "RV": 1, "TI": 2}),
    # MRC p15, 0, r1, c1, c0, 0: CRn 1 << 10, Rt 1 << 5, Direction 1.
    (0x0FE00421, {"CV": 1, "COND": 14, "Opc2": 0, "Opc1": 0, "CRn": 1, "Rt": 1, "CRm": 0, "Direction": 1}),
    # MCR p15, 0, r2, c7, c10, 5: Opc2 5 << 17, CRn 7 << 10, Rt 2 << 5, CRm 10 << 1.
    (0x0FEA1C54, {"CV": 1, "COND": 14, "Opc2": 5, "Opc1": 0, "CRn": 7, "Rt": 2, "CRm": 10, "Direction": 0}),
    # MRRC p15, 1, r2, r3, c14: Opc1 1 << 16, Rt2 3 << 10, Rt 2 << 5, CRm 14 << 1, Direction 1.
    (0x13E10C5D, {"CV": 1, "COND": 14, "Opc1": 1, "Rt2": 3, "Rt": 2, "CRm": 14, "Direction": 1}),
    # MRC p14, 0, r0, c0, c1, 0.
    (0x17E00003, {"CV": 1, "COND": 14, "Opc2": 0, "Opc1": 0, "CRn": 0, "Rt": 0, "CRm": 1, "Direction": 1}),
    # LDC p14, c5, [r2, #4]: imm8 1 << 12, Rn 2 << 5, Offset 1 << 4, AM 2 << 1, Direction 1.
    (0x1BE01055, {"CV": 1, "COND": 14, "imm8": 1, "Rn": 2, "Offset": 1, "AM": 2, "Direction": 1}),
    (0x1FE00000, {"CV": 1, "COND": 14}),
    # VMRS r3, FPSID: Opc1 7 << 14, Rt 3 << 5, Direction 1.
    (0x23E1C061, {"CV": 1, "COND": 14, "Opc2": 0, "Opc1": 7, "CRn": 0, "Rt": 3, "CRm": 0, "Direction": 1}),
    (0x26000000, {}),
    (0x2A000001, {"ISS": 1}),  # ST64BV0
    # MRRC p14, 0, r4, r5, c1: Rt2 5 << 10, Rt 4 << 5, CRm 1 << 1, Direction 1.
    (0x33E01483, {"CV": 1, "COND": 14, "Opc1": 0, "Rt2": 5, "Rt": 4, "CRm": 1, "Direction": 1}),
    (0x36000002, {"BTYPE": 2}),
    (0x3A000000, {}),
    (0x44000007, {"imm16": 7, "IL": 0}),  # a 16-bit SVC of T32
    (0x4A000001, {"imm16": 1}),
    # SMCNE: CV 1 << 24, COND 1 << 20, CCKNOWNPASS 1 << 19; an unconditional one reports none of them.
    (0x4F180000, {"CV": 1, "COND": 1, "CCKNOWNPASS": 1}),
    (0x4E000000, {"CCKNOWNPASS": 0}),
    # MRRS x4, x5, TTBR0_EL1 (3, 0, c2, c0, 0): Op0 3 << 20, CRn 2 << 10, Rt 2 << 6, Direction 1.
    (0x52300881, {"Op0": 3, "Op2": 0, "Op1": 0, "CRn": 2, "Rt": 2, "CRm": 0, "Direction": 1}),
    # MSRR (3, 5, c13, c9, 6), x14, x15: Op2 6 << 17, Op1 5 << 14, CRn 13 << 10, Rt 7 << 6, CRm 9 << 1.
    (0x523D75D2, {"Op0": 3, "Op2": 6, "Op1": 5, "CRn": 13, "Rt": 7, "CRm": 9, "Direction": 0}),
    (0x5600002A, {"imm16": 42}),
    (0x5A000000, {"imm16": 0}),
    (0x5E00FFFF, {"imm16": 0xFFFF}),
    # MRS x1, ID_AA64PFR0_EL1 (3, 0, c0, c4, 0): Op0 3 << 20, Rt 1 << 5, CRm 4 << 1, Direction 1.
    (0x62300029, {"Op0": 3, "Op2": 0, "Op1": 0, "CRn": 0, "Rt": 1, "CRm": 4, "Direction": 1}),
    # MSR (3, 4, c12, c9, 5), x31: Op2 5 << 17, Op1 4 << 14, CRn 12 << 10, Rt 31 << 5, CRm 9 << 1.
    (0x623B33F2, {"Op0": 3, "Op2": 5, "Op1": 4, "CRn": 12, "Rt": 31, "CRm": 9, "Direction": 0}),
    (0x66000000, {}),
    (0x6A000000, {"ERET": 0}),
    (0x6A000003, {"ERET": 1, "ERETA": 1}),  # ERETAB
    (0x6E000000, {"ISS": 0, "ISS2": 0}),
    (0x72000003, {"DnI": 1, "BnA": 1}),
    (0x76000004, {"SMTC": 4}),
    # S2PTW 1 << 21, GPCSC 0xD << 14, WnR 1 << 6, xFSC 0x28; a fetch: InD 1 << 20 has no WnR, no VNCR.
    (
        0x7A234068,
        {"S2PTW": 1, "InD": 0, "GPCSC": 0x0D, "VNCR": 0, "CM": 0, "S1PTW": 0, "WnR": 1, "xFSC": 0x28}
        | {"HDBSSF": 0, "GCS": 0},
    ),
    (
        0x7A1000A4,
        {"S2PTW": 0, "InD": 1, "GPCSC": 0, "CM": 0, "S1PTW": 1, "xFSC": 0x24, "HDBSSF": 0, "GCS": 0},
    ),
    # GPCSC 4 << 14, VNCR 1 << 13, CM 1 << 8; ISS2: HDBSSF bit 11, GCS bit 8.
    (
        0x900_7A01_2168,
        {"S2PTW": 0, "InD": 0, "GPCSC": 4, "VNCR": 1, "CM": 1, "S1PTW": 0, "WnR": 1, "xFSC": 0x28}
        | {"HDBSSF": 1, "GCS": 1},
    ),
    (0x7E000123, {"ISS": 0x123}),
    (0x8A000000, {}),
    (0x9A000000, {}),
    # SETGE*: MemInst 1 << 24, isSETG 1 << 23, Options 2 << 19 (two bits), FromEpilogue 1 << 18,
    # FormatOption 2 << 16, x1, x2, x3. CPYFE*: Options 0xF << 19 (four bits).
    (
        0x9F960443,
        {"MemInst": 1, "isSETG": 1, "Options": 2, "FromEpilogue": 1, "FormatOption": 2}
        | {"destreg": 1, "srcreg": 2, "sizereg": 3},
    ),
    (
        0x9E7C0443,
        {"MemInst": 0, "isSETG": 0, "Options": 15, "FromEpilogue": 1, "FormatOption": 0}
        | {"destreg": 1, "srcreg": 2, "sizereg": 3},
    ),
    # TFV 1 << 23, VECITR 7 << 8 (RES1 from AArch32), DZF 1 << 1; IXF 1 << 4, IOF 1.
    (
        0xA2800702,
        {"TFV": 1, "VECITR": 7, "IDF": 0, "IXF": 0, "UFF": 0, "OFF": 0, "DZF": 1, "IOF": 0},
    ),
    (
        0xB2800091,
        {"TFV": 1, "VECITR": 0, "IDF": 1, "IXF": 1, "UFF": 0, "OFF": 0, "DZF": 0, "IOF": 1},
    ),
    # UFF 1 << 3, OFF 1 << 2.
    (
        0xB280000C,
        {"TFV": 1, "VECITR": 0, "IDF": 0, "IXF": 0, "UFF": 1, "OFF": 1, "DZF": 0, "IOF": 0},
    ),
    # RETAA: ExType 0, Rn 30 << 5, IT 2; EXLOCK; a trapped GCSSTR x5, [x4]: Raddr 4 << 10, Rvalue 5 << 5.
    (0xB60003C2, {"ExType": 0, "Rn": 30, "IT": 2}),
    (0xB6100000, {"ExType": 1}),
    (0xB62010A0, {"ExType": 2, "Raddr": 4, "Rvalue": 5}),
    (0xC2000022, {"IFSC": 0x22}),
    (0xC6000022, {"IFSC": 0x22}),
    # ISV 1 << 24, EX 1 << 6.
    (0xCB000062, {"ISV": 1, "EX": 1, "IFSC": 0x22}),
    (0xCE000022, {"ISV": 0, "IFSC": 0x22}),
    # WPT 5 << 18, WPTV 1 << 17, WPF 1 << 16, FnP 1 << 15, WnR 1 << 6; GCS in the ISS2.
    (
        0x100_D217_8062,
        {"WPT": 5, "WPTV": 1, "WPF": 1, "FnP": 1, "VNCR": 0, "FnV": 0, "CM": 0, "WnR": 1, "DFSC": 0x22}
        | {"GCS": 1},
    ),
    # FnV 1 << 10 leaves no FnP; CM 1 << 8; VNCR 1 << 13.
    (
        0xD6002562,
        {"WPT": 0, "WPTV": 0, "WPF": 0, "VNCR": 1, "FnV": 1, "CM": 1, "WnR": 1, "DFSC": 0x22, "GCS": 0},
    ),
    (0xE0000003, {"Comment": 3, "IL": 0}),  # a 16-bit BKPT of T32
    (0xEA000022, {"IFSC": 0x22}),
    (0xF2000800, {"Comment": 0x800}),
    (0xF6000001, {"FSC": 0, "SYNC": 1}),
    (0xF6000004, {"FSC": 2}),
]
# Aborts and SErrors have their own vectors, in test_esr_aborts.py.
ELSEWHERE = {0x20, 0x21, 0x24, 0x25, 0x2F}


@pytest.mark.parametrize(("raw", "expected"), VECTORS)
def test_vector(raw: int, expected: dict[str, int]) -> None:
    syndrome = subject.decode_esr(raw)
    found = {field.name: field.value for field in syndrome.fields}
    assert found == {"EC": raw >> 26 & 0x3F, "IL": 1, **expected}
    assert syndrome.violations == ()


@pytest.mark.parametrize(("raw", "expected"), VECTORS)
def test_vector_built_by_names(raw: int, expected: dict[str, int]) -> None:
    assert int(subject.encode_esr(raw >> 26 & 0x3F, **expected)) == raw


def test_every_exception_class_has_a_vector() -> None:
    seen = {raw >> 26 & 0x3F for raw, _ in VECTORS}
    assert seen | ELSEWHERE == subject.EXCEPTION_CLASSES.keys()
    unallocated = {0x02, 0x0B, 0x0F, 0x10, 0x23, 0x29, 0x2A, 0x2B, 0x2E, 0x36, 0x37, 0x39, 0x3B}
    assert set(range(64)) - seen - ELSEWHERE == {*unallocated, 0x3E, 0x3F}


# DDI 0487, the EC tables of ESR_EL1, ESR_EL2 and ESR_EL3; 0x1B is of issues with FEAT_TME.
REPORTED = {
    1: {
        *(0x00, 0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x09, 0x0A, 0x0C, 0x0D, 0x0E, 0x11, 0x14, 0x15),
        *(0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x20, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x2C),
        *(0x2D, 0x2F, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x38, 0x3C, 0x3D),
    },
    2: {
        *(0x00, 0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0C, 0x0D, 0x0E, 0x11, 0x12),
        *(0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x20, 0x21, 0x22, 0x24),
        *(0x25, 0x26, 0x27, 0x28, 0x2C, 0x2D, 0x2F, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x38, 0x3A),
        *(0x3C, 0x3D),
    },
    3: {
        *(0x00, 0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x09, 0x0A, 0x0C, 0x0D, 0x0E, 0x13, 0x14, 0x15),
        *(0x16, 0x17, 0x18, 0x19, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F, 0x20, 0x21, 0x22, 0x24, 0x25, 0x26),
        *(0x27, 0x2C, 0x2D, 0x2F, 0x3C, 0x3D),
    },
}


@pytest.mark.parametrize("el", [1, 2, 3])
def test_whose_register_has_which_class(el: int) -> None:
    for code in subject.EXCEPTION_CLASSES:
        text = f"EC {code:#x} is not reported in ESR_EL{el}"
        assert (text in subject.decode_esr(code << 26, el=el).violations) == (code not in REPORTED[el])
        assert text not in subject.decode_esr(code << 26).violations


# (value, exception levels whose register has the field in it), by the three registers' layouts.
OWN_FIELDS = [
    (0x9600200B, "VNCR", {2, 3}),
    (0x9220000F, "TopLevel", {2}),
    (0x8220000F, "TopLevel", {2}),
    (0x200_9200000D, "TagAccess", {1, 2}),
    (0x80_9200000F, "AssuredOnly", {1, 2}),
    (0x80_8200000F, "AssuredOnly", {1, 2}),
    (0x20_8200000E, "DirtyBit", {2}),
    (0x20_9200000E, "DirtyBit", {1, 2, 3}),
]


@pytest.mark.parametrize(("raw", "name", "levels"), OWN_FIELDS)
def test_whose_register_has_which_field(raw: int, name: str, levels: set[int]) -> None:
    for el in (1, 2, 3):
        syndrome = subject.decode_esr(raw, el=el)
        assert (syndrome.get(name) is not None) == (el in levels)
        assert (syndrome.violations == ()) == (el in levels)
    assert subject.decode_esr(raw)[name].value == 1


# DDI 0487, IL: "This value is also used when the exception is ..." and AArch64.ExceptionClass():
# the classes that can also come from a 16-bit instruction of T32, or whose IL says nothing.
EITHER_LENGTH = {0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0A, 0x0C, 0x11, 0x12, 0x13, 0x28, 0x38}
UNSAID = {0x1B, 0x1E, 0x1F, 0x3D}


def test_where_il_is_one() -> None:
    fixed = {
        code
        for code in subject.EXCEPTION_CLASSES
        if "IL is 0 where it is fixed at 1" in subject.decode_esr(code << 26).violations
    }
    assert fixed == subject.EXCEPTION_CLASSES.keys() - EITHER_LENGTH - UNSAID
    # A data abort with ISV can come from a 16-bit instruction.
    assert subject.decode_esr(0x91000007).violations == ()


@pytest.mark.parametrize("el", [0, 4, -1])
def test_there_is_no_such_register(el: int) -> None:
    with pytest.raises(ValueError, match=f"EL{el} has no ESR"):
        subject.decode_esr(0, el=el)


def test_features_are_named() -> None:
    assert subject.EXCEPTION_CLASSES[0x2D].feature == "FEAT_GCS"
    assert subject.decode_esr(0x92000010)["WU"].feature == "FEAT_RASv2"
    found = subject.decode_esr(0xF6000000).exception_class
    assert found is not None
    assert found.name == "profiling exception"
    assert subject.decode_esr(0xFFFFFFFF).exception_class is None
