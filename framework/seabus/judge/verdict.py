# SPDX-License-Identifier: Apache-2.0
"""Verdicts, and the findings they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal


class Verdict(StrEnum):
    """What a run came to. Only ``PASS`` is one."""

    PASS = "pass"
    FAIL = "fail"  # the system under test is wrong
    ERROR = "error"  # ours, the machine's or the lab's: nothing was learnt about the system
    SKIP = "skip"  # a named capability is missing
    UNKNOWN = "unknown"  # no verdict could be reached


#: Exit codes of the command line; 2 is a usage error.
EXIT_CODES: Final = {
    Verdict.PASS: 0,
    Verdict.FAIL: 1,
    Verdict.ERROR: 3,
    Verdict.SKIP: 3,
    Verdict.UNKNOWN: 4,
}

FindingKind = Literal["missing", "extra", "wrong", "order", "bystander", "dead", "trouble", "lost"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is not as it must be.

    :param subject: the expectation's name, or what was checked.
    :param field: for "wrong": the field; ``expected`` and ``observed`` are its values.
    """

    kind: FindingKind
    subject: str
    text: str
    field: str | None = None
    expected: Any = None
    observed: Any = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict with its reasons.

    :param seen: of a pass: the names of the expectations that were met.
    """

    verdict: Verdict
    reason: str
    findings: Sequence[Finding] = ()
    seen: Sequence[str] = ()


class NotAsExpectedError(AssertionError):
    """The system under test did something else than it owes; every deviation is listed."""

    #: As of :class:`seabus.errors.SeabusError`; to pytest it is a failed assertion.
    exit_code = EXIT_CODES[Verdict.FAIL]
    blame = "system under test"
    advice = "seabus report FOLDER -o report.html shows what was seen; seabus replay FOLDER runs it again"

    def __init__(self, judgement: Judgement) -> None:
        lines = [f"{judgement.verdict}: {judgement.reason}"]
        lines += [f"  - {finding.text}" for finding in judgement.findings]
        super().__init__("\n".join(lines))
        self.judgement = judgement
