# SPDX-License-Identifier: Apache-2.0
"""Runs as JSON lines, for whoever counts, plots or archives them (``docs/reference/report.md``)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import seabus
from seabus.report.columns import facts
from seabus.report.loaded import Run, Runs
from seabus.report.scene import Row, Scene, scene_of

#: Of the lines; raised when a field changes its meaning or goes.
SCHEMA: Final = 1


def document(runs: Runs) -> str:
    """A line for the report, and for each run one, with one for each of its rows."""
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in _lines(runs))


def _lines(runs: Runs) -> Iterator[dict[str, Any]]:
    yield {
        "type": "report",
        "schema": SCHEMA,
        "seabus": seabus.__version__,
        "runs": len(runs.runs),
        "kinds": dict(Counter(str(run.kind) for run in runs.runs)),
        "without": list(runs.without),
    }
    for number, run in enumerate(runs.runs):
        scene = scene_of(run)
        yield _run(number, run, scene)
        for place, row in enumerate(scene.rows):
            yield _row(number, place, row)


def _run(number: int, run: Run, scene: Scene) -> dict[str, Any]:
    return {
        "type": "run",
        "run": number,
        "test": run.test,
        "title": run.title,
        "kind": str(run.kind),
        "verdict": str(run.verdict),
        "reason": run.reason,
        "known": run.known or None,
        "findings": [
            {"kind": one.kind, "subject": one.subject, "field": one.field, "text": one.text}
            for one in run.findings
        ],
        "reach": {level: status and str(status) for level, status in scene.reach().items()},
        "faults": list(run.faults),
        "configuration": facts(run),
        "seconds": dict(run.seconds),
        "started": run.started or None,
        "worker": run.worker or None,
        "folder": str(run.folder),
    }


def _row(number: int, place: int, row: Row) -> dict[str, Any]:
    event = row.event
    return {
        "type": "event",
        "run": number,
        "row": place,
        "level": row.lane.level,
        "who": row.lane.who,
        "status": str(row.status),
        "t": row.seconds,
        "witness": event.witness if event else None,
        "kind": event.kind if event else None,
        "fields": dict(event.fields) if event else {},
        "expected": row.expected.name if row.expected else None,
        "causes": list(row.causes),
        "label": row.label,
        "remark": row.remark or None,
    }
