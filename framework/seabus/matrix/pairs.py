# SPDX-License-Identifier: Apache-2.0
"""The same abort put in by both ways, compared register by register."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from seabus.matrix.judge import Answer

_REGISTERS: Final = ("vector", "esr", "far", "elr", "spsr", "pstate")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers about one abort.

    :param differ: registers that the guest found different: by KVM_SET_VCPU_EVENTS, by KVM_SET_ONE_REG.
    """

    events: Answer
    registers: Answer
    differ: Mapping[str, tuple[Any, Any]]


def pairs(answers: Iterable[Answer]) -> Iterator[Pair]:
    """Those answers that are about the same abort, from the same PSTATE."""
    waiting: dict[tuple[object, ...], Answer] = {}
    for answer in answers:
        cell = answer.question.cell
        path = answer.question.at.get("path")
        if cell is None or path not in ("events", "registers") or cell.before or "vector" not in answer.seen:
            continue
        key = (answer.question.group, _abort(answer))
        if answer.question.group not in ("access", "walk", "pstate"):
            continue
        other = waiting.pop(key, None)
        if other is None:
            waiting[key] = answer
            continue
        events, registers = (other, answer) if path == "registers" else (answer, other)
        differ = {
            name: (events.seen[name], registers.seen[name])
            for name in _REGISTERS
            if events.seen[name] != registers.seen[name]
        }
        yield Pair(events, registers, differ)


def _abort(answer: Answer) -> tuple[object, ...]:
    cell = answer.question.cell
    assert cell is not None
    at = tuple(sorted((name, value) for name, value in answer.question.at.items() if name != "path"))
    return at, cell.pstate, cell.sctlr
