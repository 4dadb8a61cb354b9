# SPDX-License-Identifier: Apache-2.0
"""The result file: what a run came to, for machines (``docs/reference/result.md``)."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import seabus
from seabus.arch.esr import decode_esr
from seabus.errors import SeabusError
from seabus.faults.fault import Fault
from seabus.judge.assign import assign
from seabus.judge.expectation import Expectation
from seabus.judge.verdict import Verdict
from seabus.machine.config import WorldConfig
from seabus.observe.events import Event
from seabus.observe.story import Story
from seabus.report.complaint import as_json
from seabus.session.outcome import Outcome

#: Raised when a field changes its meaning or goes; new fields do not raise it.
SCHEMA: Final = 1


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What is known of a run, whatever it came to.

    :param scenario: its ``title``, ``fault`` and ``sources``, if it is one of the catalogue.
    :param started: seconds since the epoch.
    :param command: the words after ``seabus``, without the world's options and where the evidence goes.
    :param seed: from which all follows that was left to chance.
    :param rootdir: of a test: the folder that its name starts from.
    :param negative_control: nothing was injected.
    :param mutate: the expectations of what passed were changed one by one.
    :param lab: the lab file, if its hosts were no emulated ones.
    :param script: the text of the scenario file that was played.
    """

    versions: Mapping[str, str]
    artefacts: Path
    configuration: WorldConfig | None = None
    scenario: Mapping[str, Any] | None = None
    started: float = field(default_factory=time.time)
    command: Sequence[str] = ()
    seed: int | None = None
    rootdir: Path | None = None
    negative_control: bool = False
    mutate: bool = False
    lab: Path | None = None
    script: str | None = None

    def told(self) -> dict[str, Any]:
        """As the result file has it."""
        made_of = asdict(self.configuration) if self.configuration else {}
        return {
            "scenario": dict(self.scenario) if self.scenario else None,
            "configuration": {
                # It may be played again from another folder.
                name: str(value.absolute()) if isinstance(value, Path) else value
                for name, value in made_of.items()
            },
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
            "command": list(self.command),
            "seed": self.seed,
            "rootdir": str(self.rootdir) if self.rootdir else None,
            "mode": {
                "negative_control": self.negative_control,
                "mutate": self.mutate,
                "lab": str(self.lab.absolute()) if self.lab else None,
            },
            "script": self.script,
            "versions": {"seabus": seabus.__version__, **self.versions},
            "artefacts": str(self.artefacts),
        }


def of_outcome(outcome: Outcome, circumstances: Circumstances) -> dict[str, Any]:
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
        "expectations": _expectations(outcome),
        "seconds": outcome.seconds,
        **circumstances.told(),
        "error": None,
    }


def of_error(error: SeabusError | None, circumstances: Circumstances) -> dict[str, Any]:
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
        **circumstances.told(),
        "error": as_json(error) if error else None,
    }


def _of_faults(outcome: Outcome) -> dict[str, Any]:
    """All of them, and the first by itself: most runs have one."""
    faults = [_of_fault(fault) for fault in outcome.faults]
    receipts = [{"witness": receipt.witness, **receipt.facts} for receipt in outcome.receipts]
    return {
        "fault": faults[0] if faults else None,
        "receipt": receipts[0] if receipts else None,
        "faults": faults,
        "receipts": receipts,
    }


def _of_fault(fault: Fault) -> dict[str, Any]:
    """As it describes itself; of a firmware record the bytes as well."""
    encoded = getattr(fault, "encoded", None)
    cper = {"cper": base64.b64encode(encoded()).decode()} if encoded else {}
    return {**fault.described(), **cper}


def _expectations(outcome: Outcome) -> list[dict[str, Any]]:
    """Each with the number of the event that was taken for it."""
    events = outcome.story.events
    matched = assign(outcome.story, outcome.expectations)
    return [_of_expectation(one, matched.get(one.name), events) for one in outcome.expectations]


def _of_expectation(expected: Expectation, event: Event | None, events: list[Event]) -> dict[str, Any]:
    number = next((n for n, one in enumerate(events) if one is event), None)
    return {**asdict(expected), "event": number}


def _events(story: Story) -> list[dict[str, Any]]:
    return [
        {
            "level": event.level,
            "witness": event.witness,
            "kind": event.kind,
            "t": round(story.time_s(event), 6),
            "cpu": event.cpu,
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
