# SPDX-License-Identifier: Apache-2.0
"""The matrix as data: complete, without doubles, and with a rule for whatever is known to differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import pytest

from seabus.arch.esr import decode_esr
from seabus.arch.expected_abort import KvmInjection
from seabus.errors import UsageError
from seabus.kvmprobe.vm import Vm
from seabus.matrix.firmware import judge_firmware
from seabus.matrix.judge import Answer, Status
from seabus.matrix.linux_guest import linux_questions
from seabus.matrix.nested import nested
from seabus.matrix.poisonings import poisonings
from seabus.matrix.question import FIELDS, Expected, Question
from seabus.matrix.table import GROUPS, questions
from seabus.report.matrix_grid import SHAPES, grids


def test_it_has_thousands_of_cells(table: list[Question]) -> None:
    asked = Counter(question.group for question in table if question.cell)
    assert sum(asked.values()) > 4000
    assert asked.keys() == set(GROUPS)


def test_no_two_cells_are_the_same(table: list[Question]) -> None:
    keys = Counter((question.group, tuple(sorted(question.at.items()))) for question in table)
    assert [key for key, times in keys.items() if times > 1] == []


def test_what_cannot_be_asked_says_why(table: list[Question]) -> None:
    for question in table:
        assert question.cell or question.unreachable, str(question)


def test_what_differs_has_a_rule(table: list[Question]) -> None:
    for question in table:
        if question.known and not question.unreachable:
            differing = {
                name for name in FIELDS if getattr(question.spec, name) != getattr(question.known, name)
            }
            assert differing <= question.rules.keys(), str(question)


def test_what_hardware_reports_is_legal(table: list[Question]) -> None:
    for question in table:
        if question.group in ("access", "walk", "pstate") and question.spec.esr is not None:
            assert decode_esr(question.spec.esr, el=1).violations == (), str(question)


def test_every_place_is_there(table: list[Question], vm: Vm) -> None:
    walks = {
        (at["granule"], at["place"], at["origin"], at["page"])
        for question in table
        if question.group == "walk"
        for at in [question.at]
    }
    levels = {"4k": (0, 1, 2, 3), "4k-52": (-1, 0, 1, 2, 3), "16k": (0, 1, 2, 3), "64k": (1, 2, 3)}
    for granule, wanted in levels.items():
        for level in wanted:
            for origin in ("EL0", "EL1t", "EL1h"):
                for page in ("hole", "poison", "nobody"):
                    assert (granule, f"walk {level}", origin, page) in walks
    assert {regime.granule for regime in vm.regimes} == levels.keys()


def test_every_syndrome_is_there(table: list[Question]) -> None:
    written = {
        (question.at["origin"], question.spec.esr)
        for question in table
        if question.group == "syndrome" and question.cell
    }
    for origin, lower in (("EL0", 0), ("EL1t", 1), ("EL1h", 1)):
        for ec in (0x20, 0x24):
            for code in range(64):
                for fnv in (0, 1 << 10):
                    for il in (0, 1 << 25):
                        assert (origin, (ec + lower) << 26 | il | fnv | code) in written


@pytest.mark.parametrize(
    ("esr", "origin", "words"),
    [
        (0x9200_0010, "EL0", ""),
        (0x9600_0000, "EL0", "another origin"),
        (0x9200_0018, "EL0", "only without FEAT_RAS"),
        (0x9000_0010, "EL0", "IL is 0"),
        (0x9600_0414, "EL1h", "RES0"),
        (0x9600_0090, "EL1t", "S1PTW"),
        (0x9700_0010, "EL1t", "ISV is 0"),
        (0x9600_003F, "EL1h", "reserved"),
    ],
)
def test_which_syndromes_are_legal(table: list[Question], esr: int, origin: str, words: str) -> None:
    found = [
        question
        for question in table
        if question.group == "syndrome" and question.spec.esr == esr and question.at["origin"] == origin
    ]
    assert found
    for question in found:
        assert (words in question.illegal) if words else not question.illegal


def test_a_kernel_that_can_less_is_expected_to_do_less(vm: Vm) -> None:
    def esrs(kvm: KvmInjection) -> set[int | None]:
        return {
            (question.known or question.spec).esr
            for question in questions(vm, kvm, ["walk"])
            if question.at["path"] == "events"
        }

    assert {0x9200_0017, 0x9600_0013} <= esrs(KvmInjection())
    assert esrs(KvmInjection(walk_level=False)) == {0x9200_0010, 0x9600_0010}


def test_an_unknown_group_is_refused(vm: Vm) -> None:
    with pytest.raises(UsageError, match="no group 'nonsense'"):
        list(questions(vm, KvmInjection(), ["nonsense"]))


def test_every_cell_is_in_one_grid(table: list[Question], vm: Vm) -> None:
    more = [*poisonings(), *nested(vm), *(question for question, _ in linux_questions())]
    answers = [
        *(Answer(question=question, status=Status.UNREACHABLE, reason="") for question in [*table, *more]),
        *judge_firmware("", ""),
    ]
    laid_out = grids(answers)
    assert len(laid_out) == len(SHAPES)
    shown = Counter(id(answer) for grid in laid_out for square in grid.squares.values() for answer in square)
    assert shown.keys() == {id(answer) for answer in answers}
    assert set(shown.values()) == {1}


def test_every_field_is_compared() -> None:
    assert {field.name for field in fields(Expected)} == {*FIELDS, "esr_unknown"}
