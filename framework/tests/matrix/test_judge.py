# SPDX-License-Identifier: Apache-2.0
"""The judge of the matrix: nothing that differs from what was promised goes through."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seabus.kvmprobe.cell import BusError, Cell, Exit, Record, Result
from seabus.matrix.judge import Status, judge
from seabus.matrix.pairs import pairs
from seabus.matrix.question import Expected, Question

RECORD = Record(
    vector=0x200,
    esr=0x9600_0010,
    far=0x1000_0000,
    elr=0x4000_1000,
    spsr=0x3C5,
    pstate=0x3C5,
    disr=0,
    isr=0,
)
RESULT = Result(
    number=0, taken=1, exits=(Exit(reason=6, address=0x1000_0000, write=False),), records=(RECORD,)
)
SPEC = Expected(
    vector=0x200,
    esr=0x9600_0010,
    esr_unknown=1 << 9,
    far=0x1000_0000,
    elr=0x4000_1000,
    spsr=0x3C5,
    pstate=0x3C5,
    exits=("mmio",),
)
QUESTION = Question(
    group="access", at={"origin": "EL1h", "path": "events"}, cell=Cell(access="ldr"), spec=SPEC
)


def test_what_is_promised_agrees() -> None:
    assert judge(QUESTION, RESULT).status is Status.AGREED
    unknown = replace(RESULT, records=(replace(RECORD, esr=RECORD.esr | 1 << 9),))
    assert judge(QUESTION, unknown).status is Status.AGREED


@pytest.mark.parametrize(
    ("result", "field"),
    [
        (replace(RESULT, records=(replace(RECORD, vector=0x380),)), "vector"),
        (replace(RESULT, records=(replace(RECORD, esr=0x9600_0050),)), "esr"),
        (replace(RESULT, records=(replace(RECORD, far=0),)), "far"),
        (replace(RESULT, records=(replace(RECORD, elr=0x4000_1004),)), "elr"),
        (replace(RESULT, records=(replace(RECORD, spsr=0x3C4),)), "spsr"),
        (replace(RESULT, records=(replace(RECORD, pstate=0x1C5),)), "pstate"),
        (replace(RESULT, records=(replace(RECORD, changed={"x2": 0}),)), "changed"),
        (replace(RESULT, taken=2), "taken"),
        (replace(RESULT, pending=True), "pending"),
        (replace(RESULT, exits=()), "exits"),
        (replace(RESULT, exits=(*RESULT.exits, *RESULT.exits)), "exits"),
        (replace(RESULT, exits=(Exit(reason=-38),)), "exits"),
        (replace(RESULT, stuck=True), "outcome"),
        (replace(RESULT, failed="KVM_SET_ONE_REG", errno=22), "outcome"),
        (replace(RESULT, taken=0, records=()), "outcome"),
        (replace(RESULT, serial="V200E0\n"), "outcome"),
    ],
)
def test_whatever_differs_is_unexplained(result: Result, field: str) -> None:
    answer = judge(QUESTION, result)
    assert answer.status is Status.UNEXPLAINED
    assert field in answer.reason


def test_a_rule_explains_its_value_only() -> None:
    known = replace(QUESTION, known=replace(SPEC, esr=0x9600_0050), rules={"esr": "WnR is not known"})
    seen = replace(RESULT, records=(replace(RECORD, esr=0x9600_0050),))
    answer = judge(known, seen)
    assert (answer.status, answer.reason) == (Status.DEVIATES, "esr: WnR is not known")
    assert judge(known, RESULT).status is Status.AGREED
    assert judge(replace(known, rules={}), seen).status is Status.UNEXPLAINED
    other = replace(RESULT, records=(replace(RECORD, esr=0x9600_0150),))
    assert judge(known, other).status is Status.UNEXPLAINED
    also = replace(RESULT, records=(replace(RECORD, esr=0x9600_0050, far=1),))
    assert judge(known, also).status is Status.UNEXPLAINED


def test_what_no_processor_reports_deviates_even_if_delivered() -> None:
    chosen = replace(QUESTION, illegal="IL is 0")
    assert judge(chosen, RESULT).status is Status.DEVIATES
    assert judge(chosen, replace(RESULT, taken=2)).status is Status.UNEXPLAINED


def test_unreachable_is_what_was_foreseen() -> None:
    question = replace(QUESTION, spec=Expected(outcome="silent", taken=0), known=SPEC, unreachable="no TEA")
    assert judge(question, RESULT).status is Status.UNREACHABLE
    assert judge(question, replace(RESULT, taken=2)).status is Status.UNEXPLAINED
    assert judge(replace(question, cell=None), None).status is Status.UNREACHABLE


def test_a_sigbus_of_another_kind_or_thread_is_no_consumption() -> None:
    poisoned = replace(QUESTION, spec=replace(SPEC, exits=("sigbus",)))
    met = BusError(code=4, address=0x1000, lsb=12, tid=7, vcpu=True)
    for signal, status in (
        (met, Status.AGREED),
        (replace(met, code=5), Status.UNEXPLAINED),
        (replace(met, vcpu=False), Status.UNEXPLAINED),
    ):
        result = replace(RESULT, exits=(Exit(reason=-4, sigbus=signal),))
        assert judge(poisoned, result).status is status


def test_the_same_abort_is_compared_register_by_register() -> None:
    events = judge(QUESTION, RESULT)
    question = replace(QUESTION, at={"origin": "EL1h", "path": "registers"})
    written = judge(question, replace(RESULT, records=(replace(RECORD, esr=0x9600_0050),)))
    elsewhere = judge(replace(question, at={"origin": "EL0", "path": "registers"}), RESULT)
    [pair] = pairs([events, elsewhere, written])
    assert pair.differ == {"esr": (0x9600_0010, 0x9600_0050)}
