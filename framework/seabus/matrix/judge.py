# SPDX-License-Identifier: Apache-2.0
"""From what was seen to a status: who agrees with whom, and by which rule not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from seabus.kvmprobe.cell import KVM_EXIT_ARM_NISV, KVM_EXIT_ARM_SEA, KVM_EXIT_MMIO, Exit, Result
from seabus.matrix.question import FIELDS, Expected, Question

_EXITS: Final = {KVM_EXIT_MMIO: "mmio", KVM_EXIT_ARM_NISV: "nisv", KVM_EXIT_ARM_SEA: "sea"}
_BUS_MCEERR_AR: Final = 4


class Status(StrEnum):
    """What became of a cell. ``UNEXPLAINED`` is a failure."""

    AGREED = "agreed"
    DEVIATES = "deviates"
    UNREACHABLE = "unreachable"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A cell that was judged.

    :param differences: field to what was expected and what was seen.
    """

    question: Question
    status: Status
    reason: str
    seen: Mapping[str, Any] = field(default_factory=dict)
    differences: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


def judge(question: Question, result: Result | None) -> Answer:
    """Compare.

    :param result: of the question's cell; ``None`` if it has none.
    """
    if question.cell is None:
        return Answer(question=question, status=Status.UNREACHABLE, reason=question.unreachable)
    assert result is not None, "a question with a cell was asked"
    seen = observed(result)
    if not (differences := compare(question.spec, seen)):
        status = Status.DEVIATES if question.illegal else Status.AGREED
        return Answer(question=question, status=status, reason=question.illegal, seen=seen)
    if question.unreachable and question.known and not compare(question.known, seen):
        reason = question.unreachable
        return Answer(question=question, status=Status.UNREACHABLE, reason=reason, seen=seen)
    if question.known and not compare(question.known, seen) and differences.keys() <= question.rules.keys():
        told = [f"{name}: {question.rules[name]}" for name in differences]
        reason = "; ".join([*told, question.illegal] if question.illegal else told)
        return Answer(
            question=question, status=Status.DEVIATES, reason=reason, seen=seen, differences=differences
        )
    nearest = compare(question.known, seen) if question.known else differences
    reason = "; ".join(
        f"{name} is {_text(was)}, not {_text(wanted)}" for name, (wanted, was) in nearest.items()
    )
    return Answer(
        question=question,
        status=Status.UNEXPLAINED,
        reason=reason or f"no rule explains {', '.join(differences)}",
        seen=seen,
        differences=differences,
    )


def observed(result: Result) -> dict[str, Any]:
    """What was seen, by the names of :class:`Expected`; the first record counts."""
    seen: dict[str, Any] = {
        "outcome": _outcome(result),
        "exits": tuple(map(_exit, result.exits)),
        "taken": result.taken,
        "pending": result.pending,
        "changed": frozenset(),
    }
    if result.records:
        first = result.records[0]
        for name in ("vector", "esr", "far", "elr", "spsr", "pstate", "disr", "isr"):
            seen[name] = getattr(first, name)
        seen["changed"] = frozenset(first.changed)
        if result.serial is not None:
            told = "".join(record.serial() for record in result.records)
            if result.serial != told:
                seen["outcome"] = f"the serial line says {result.serial!r}, the record {told!r}"
    return seen


def compare(expected: Expected, seen: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Fields that differ: what was expected, and what was seen."""
    found = {}
    for name in FIELDS:
        wanted, was = getattr(expected, name), seen.get(name)
        if wanted is None:
            continue
        if name == "esr" and was is not None and not (wanted ^ was) & ~expected.esr_unknown:
            continue
        if wanted != was:
            found[name] = (wanted, was)
    return found


def _outcome(result: Result) -> str:
    if result.failed:
        return f"refused {result.errno}" if result.errno else f"refused: {result.failed}"
    if result.stuck:
        return "stuck"
    return "reported" if result.records else "silent"


def _exit(left: Exit) -> str:
    if left.sigbus is not None:
        return "sigbus" if left.sigbus.code == _BUS_MCEERR_AR and left.sigbus.vcpu else f"{left.sigbus}"
    if left.reason < 0:
        return f"errno {-left.reason}"
    return _EXITS.get(left.reason, f"exit {left.reason}")


def _text(value: object) -> str:
    if isinstance(value, frozenset):
        return " ".join(sorted(value)) or "none"
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    return hex(value) if type(value) is int else str(value)
