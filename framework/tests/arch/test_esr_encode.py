# SPDX-License-Identifier: Apache-2.0
"""ESR_ELx from names: refusals that help, round trips of every class, fast reading equals plain."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch import _bits
from seabus.arch import esr as subject
from seabus.arch.esr.classes import rows_of

raws = st.integers(0, 2**64 - 1)
els = st.sampled_from([None, 1, 2, 3])
classes = sorted(subject.EXCEPTION_CLASSES)


# (class, fields, the field to blame, words of the reason, something that must be allowed instead)
REFUSED = [
    (0x24, {"DFSC": 0x07, "SAS": 3}, "SAS", "SAS does not exist here", ""),
    (0x24, {"DFSC": 0x07, "SAS": 3}, "SAS", "it needs ISV = 0x1", ""),
    (0x24, {"DFSC": 0x07, "FnV": 1}, "FnV", "it needs DFSC = 0x10", ""),
    (0x24, {"DFSC": 0x07, "Xs": 1}, "Xs", "it needs LST = 0x1 or 0x3", ""),
    (0x2F, {"DFSC": 0x11, "WnR": 1}, "WnR", "it needs WnRV = 0x1", ""),
    (0x2F, {"ISS": 5}, "ISS", "it needs IDS = 0x1", ""),
    (0x24, {"DFSC": 0x19}, "DFSC", "reserved value 0x19; nearest to it: 0x17", "0x10 synchronous external"),
    (0x24, {"DFSC": 0x10, "SET": 1}, "SET", "0x0 (recoverable (UER)) and 0x2 (uncontainable", "0x3 rest"),
    (0x24, {"DFSC": 0x40}, "DFSC", "6 bits wide: 0x40", "0 to 0x3f"),
    (0x24, {"DFSC": 0x10, "FnV": 2}, "FnV", "1 bit wide", "0 to 0x1"),
    (0x24, {"DFSC": -1}, "DFSC", "6 bits wide: -0x1", ""),
    (0x24, {"DFSC": 0x10, "fnv": 1}, "fnv", "no field fnv in EC 0x24; did you mean FnV?", "FnV"),
    (0x20, {"DFSC": 0x10}, "DFSC", "did you mean IFSC?", "IFSC"),
    (0x20, {"WnR": 1, "IFSC": 0x10}, "WnR", "no field WnR", "IFSC"),
    (0x15, {"quux": 1}, "quux", "no field quux in EC 0x15", "imm16"),
    (0x02, {}, "EC", "EC 0x2 is reserved", "0x24 data abort"),
    (0x40, {}, "EC", "EC 0x40 is reserved", ""),
    (0x30, {}, "IFSC", "IFSC holds the reserved value 0x0", "0x22 debug exception"),
    (0x24, {"DFSC": 0x10, "IL": 0}, "IL", "IL is 0 where it is fixed at 1", ""),
    (0x15, {"ISS": 1 << 20}, "ISS", "bit 20 is RES0 but set", ""),
    (0x15, {"ISS2": 1}, "ISS", "bit 32 is RES0 but set", ""),
    (0x24, {"ISS": 7, "DFSC": 7}, "DFSC", "DFSC is a part of ISS", ""),
    (0x24, {"ISS": 0x19}, "DFSC", "reserved value 0x19", ""),
    (0x27, {"MemInst": 1, "Options": 4}, "Options", "2 bits wide", "0 to 0x3"),
]


@pytest.mark.parametrize(("ec", "fields", "culprit", "words", "allowed"), REFUSED)
def test_refused(ec: int, fields: dict[str, int], culprit: str, words: str, allowed: str) -> None:
    with pytest.raises(subject.BadEsrField) as caught:
        subject.encode_esr(ec, **fields)
    assert caught.value.field == culprit
    assert words in str(caught.value)
    assert words in caught.value.reason
    assert not allowed or any(entry.startswith(allowed) for entry in caught.value.allowed)


def test_refused_for_one_register_only() -> None:
    with pytest.raises(subject.BadEsrField, match="EC 0x16 is not reported in ESR_EL1"):
        subject.encode_esr(0x16, el=1)
    with pytest.raises(subject.BadEsrField, match="no field VNCR"):
        subject.encode_esr(0x25, el=1, VNCR=1, DFSC=7)
    assert int(subject.encode_esr(0x25, el=2, VNCR=1, DFSC=7)) == 0x96002007


def test_a_refusal_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="reserved"):
        subject.encode_data_abort(lower_el=True, dfsc=0x19)
    with pytest.raises(ValueError, match="64 bits"):
        subject.decode_esr(1 << 64)
    with pytest.raises(ValueError, match="64 bits"):
        subject.decode_esr(-1)


def test_whole_syndromes() -> None:
    assert int(subject.encode_esr(0x15, ISS=42)) == 0x5600002A
    assert int(subject.encode_esr(0x24, ISS=0x410, IL=1)) == 0x92000410
    assert int(subject.encode_esr(0x24, ISS=0xF, ISS2=0x40)) == 0x40_9200000F
    assert int(subject.encode_esr(0x2F, IDS=1, ISS=0x123456)) == 0xBF123456


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


@given(raws, els)
def test_planned_reading_equals_plain_reading(raw: int, el: int | None) -> None:
    rows = [row for row in rows_of(raw >> 26 & 0x3F) if el is None or el in row.levels]
    fields, violations = _bits.decode(rows, raw)
    syndrome = subject.decode_esr(raw, el=el)
    assert syndrome.fields == fields
    own = {text for text in syndrome.violations if text.startswith(("IL is", "EC 0x"))}
    assert set(syndrome.violations) - own == set(violations)
    # Once more, now that the plan and its fields are kept.
    assert subject.decode_esr(raw, el=el) == syndrome


def legal(raw: int) -> int:
    """Turn a value into a legal one: allowed values in place of reserved ones, then RES0 cleared."""
    syndrome = subject.decode_esr(raw | 1 << 25)
    while syndrome.violations:
        raw = syndrome.esr.raw
        known = 0
        for row in rows_of(raw >> 26 & 0x3F):
            if row.when(raw):
                known |= row.mask
                value = (raw & row.mask) >> row.low
                if row.values is not None and value not in row.values:
                    nearest = min(row.values, key=lambda code: (code ^ value).bit_count())
                    raw = raw & ~row.mask | nearest << row.low
                    break
        else:
            raw &= known
        syndrome = subject.decode_esr(raw)
    return syndrome.esr.raw


def names(raw: int) -> dict[str, int]:
    return {field.name: field.value for field in subject.decode_esr(raw).fields if field.name != "EC"}


@pytest.mark.parametrize("ec", classes)
@given(data=st.data())
def test_legal_values_survive_decode_and_encode(ec: int, data: st.DataObject) -> None:
    noise = data.draw(st.integers(0, 2**56 - 1))
    raw = legal(noise & ~(0x3F << 26) | ec << 26)
    assert raw >> 26 & 0x3F == ec
    assert int(subject.encode_esr(ec, **names(raw))) == raw


def every_field_and_value(ec: int) -> Iterator[tuple[str, int, int]]:
    for row in rows_of(ec)[1:]:
        assert isinstance(row.when, _bits.When)
        values = row.values if row.values is not None else [0, 1, row.mask >> row.low]
        for where in row.when.values:
            for value in values:
                yield row.name, value, ec << 26 | 1 << 25 & ~row.mask | where | value << row.low


@pytest.mark.parametrize("ec", classes)
def test_every_field_can_hold_every_value_it_names(ec: int) -> None:
    for name, value, raw in every_field_and_value(ec):
        field = subject.decode_esr(raw)[name]
        assert field.value == value
        assert field.meaning != "reserved"


@given(st.sampled_from(classes), st.dictionaries(st.text(max_size=6), st.integers(-4, 2**64), max_size=4))
def test_encoding_fails_in_one_way_only(ec: int, fields: dict[str, int]) -> None:
    fields.pop("el", None)
    try:
        esr = subject.encode_esr(ec, **fields)
    except subject.BadEsrField:
        return
    assert subject.decode_esr(esr).violations == ()
