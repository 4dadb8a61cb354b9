# SPDX-License-Identifier: Apache-2.0
"""The matrix for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seabus.matrix.judge import Answer, Status
from seabus.matrix.pairs import pairs
from seabus.matrix.run import MatrixRun
from seabus.matrix.witnesses import Testimony


def result(runs: Sequence[MatrixRun], testimonies: Sequence[Testimony]) -> dict[str, Any]:
    """One document (``docs/reference/matrix.md``)."""
    return {
        "schema": 1,
        "cells": [_cell(run.mode, answer) for run in runs for answer in run.answers],
        "counts": {status: sum(len(run.of(status)) for run in runs) for status in Status},
        "pairs": [
            {
                "mode": run.mode,
                **pair.events.question.at,
                "differ": {name: list(map(_value, values)) for name, values in pair.differ.items()},
            }
            for run in runs
            for pair in pairs(run.answers)
        ],
        "witnesses": {
            "cells": sum(testimony.cells for testimony in testimonies),
            "complaints": [
                {"cell": str(question), "complaint": words}
                for testimony in testimonies
                for question, words in testimony.complaints
            ],
        },
        "seconds": sum(run.seconds for run in runs),
        "asked": sum(run.asked for run in runs),
    }


def _cell(mode: str, answer: Answer) -> dict[str, Any]:
    return {
        "mode": mode,
        "group": answer.question.group,
        **answer.question.at,
        "status": str(answer.status),
        "reason": answer.reason,
        "seen": {name: _value(value) for name, value in answer.seen.items()},
        "differences": {
            name: [_value(wanted), _value(was)] for name, (wanted, was) in answer.differences.items()
        },
    }


def _value(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple | list):
        return [_value(item) for item in value]
    return hex(value) if type(value) is int and value > 9 else value
