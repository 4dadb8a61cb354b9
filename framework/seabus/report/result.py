# SPDX-License-Identifier: Apache-2.0
"""The result file: what a run came to, for machines (``docs/reference/result.md``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import seabus
from seabus.arch.esr import decode_esr
from seabus.errors import SeabusError
from seabus.judge.verdict import Verdict
from seabus.observe.story import Story
from seabus.report.complaint import as_json
from seabus.session.outcome import Outcome

#: Raised when a field changes its meaning or goes; new fields do not raise it.
SCHEMA: Final = 1


def of_outcome(outcome: Outcome, *, versions: Mapping[str, str], artefacts: Path) -> dict[str, Any]:
    """The result of a run that was judged."""
    judgement = outcome.judgement
    return {
        "schema": SCHEMA,
        "verdict": str(judgement.verdict),
        "reason": judgement.reason,
        "findings": [asdict(finding) for finding in judgement.findings],
        **_of_faults(outcome),
        "addresses": [
            {"space": space, "address": address, "by": by}
            for page in outcome.addresses[:1]
            for space, address, by in page.steps()
        ],
        "events": _events(outcome.story),
        "clocks": {
            level: {"error_s": alignment.error_ns / 1e9} for level, alignment in outcome.story.clocks.items()
        },
        "expectations": [asdict(expectation) for expectation in outcome.expectations],
        "seconds": outcome.seconds,
        "versions": {"seabus": seabus.__version__, **versions},
        "artefacts": str(artefacts),
        "error": None,
    }


def of_error(error: SeabusError | None, *, versions: Mapping[str, str], artefacts: Path) -> dict[str, Any]:
    """The result of a run that could not be judged; the same fields, empty.

    :param error: why; None if the run simply ended.
    """
    verdict = Verdict.UNKNOWN if error is None or error.exit_code == 4 else Verdict.ERROR
    return {
        "schema": SCHEMA,
        "verdict": str(verdict),
        "reason": error.message if error else "ended without a verdict",
        "findings": [],
        "fault": None,
        "receipt": None,
        "faults": [],
        "receipts": [],
        "addresses": [],
        "events": [],
        "clocks": {},
        "expectations": [],
        "seconds": {},
        "versions": {"seabus": seabus.__version__, **versions},
        "artefacts": str(artefacts),
        "error": as_json(error) if error else None,
    }


def _of_faults(outcome: Outcome) -> dict[str, Any]:
    """All of them, and the first by itself: most runs have one."""
    faults = [dict(fault.described()) for fault in outcome.faults]
    receipts = [{"witness": receipt.witness, **receipt.facts} for receipt in outcome.receipts]
    return {
        "fault": faults[0] if faults else None,
        "receipt": receipts[0] if receipts else None,
        "faults": faults,
        "receipts": receipts,
    }


def _events(story: Story) -> list[dict[str, Any]]:
    return [
        {
            "level": event.level,
            "witness": event.witness,
            "kind": event.kind,
            "t": round(story.time_s(event), 6),
            "fields": _readable(event.fields),
            "text": event.text,
        }
        for event in story.events
    ]


def _readable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as they are, with the decoded syndrome beside an ESR."""
    found = dict(fields)
    if isinstance(found.get("esr"), int):
        found["esr_decoded"] = decode_esr(found["esr"]).summary()
    return found
