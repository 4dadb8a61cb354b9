# SPDX-License-Identifier: Apache-2.0
"""Holds a story against its expectations; every deviation becomes a finding, field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from seabus.errors import UsageError
from seabus.judge.assign import assign, comes_before
from seabus.judge.expectation import Expectation
from seabus.judge.verdict import Finding, FindingKind, Judgement, Verdict
from seabus.observe.events import UNJUDGED, Event
from seabus.observe.story import Story

_KIND_NAMES: Final = {
    "ghes": "hardware error record",
    "memory_failure": "memory failure",
    "sigbus": "SIGBUS",
    "sea": "synchronous external abort",
    "exception": "exception put into the guest",
    "siginfo": "signal in a victim",
    "complaint": "complaint",
    "panic": "kernel panic",
    "ended": "end of a process",
    "stuck": "process that cannot end",
}
#: Kinds of events that explain what else is missing, so they are told first; and how they are called.
_GRAVE: Final[dict[str, FindingKind]] = {
    "panic": "dead",
    "ended": "dead",
    "silent": "dead",
    "bystander": "bystander",
    "trouble": "trouble",
}


def judge(story: Story, expectations: Sequence[Expectation]) -> Judgement:
    """The verdict on a story.

    :return: ``UNKNOWN`` if a witness lost events, ``FAIL`` on any finding, else ``PASS``.
    :raises UsageError: two expectations have one name.
    """
    lost = [event for event in story.events if event.kind == "lost"]
    if lost:
        findings = [Finding(kind="lost", subject=e.level, text=e.text) for e in lost]
        return Judgement(verdict=Verdict.UNKNOWN, reason="a witness lost events", findings=findings)
    _must_be_told_apart(expectations)
    matched = assign(story, expectations)
    extra = list(_extra(story.events, matched))
    findings = [
        *(finding for finding in extra if finding.kind in ("dead", "bystander")),
        *_missing_and_wrong(expectations, matched),
        *(finding for finding in extra if finding.kind not in ("dead", "bystander")),
        *_out_of_order(story, expectations, matched),
    ]
    if not expectations:
        return Judgement(verdict=Verdict.UNKNOWN, reason="nothing was expected")
    if findings:
        return Judgement(verdict=Verdict.FAIL, reason=findings[0].text, findings=findings)
    return Judgement(
        verdict=Verdict.PASS,
        reason=f"all {len(expectations)} expected events were seen, and nothing else"
        if len(matched) == len(expectations)
        else f"{len(matched)} events were seen as expected, and nothing else",
        seen=tuple(matched),
    )


def _must_be_told_apart(expectations: Sequence[Expectation]) -> None:
    for name, count in Counter(one.name for one in expectations).items():
        if count > 1:
            raise UsageError(
                f"{name} is expected {count} times by one name, and one event would do for all",
                hint='tell them apart: again="-second"',
            )


def _missing_and_wrong(
    expectations: Sequence[Expectation], matched: Mapping[str, Event]
) -> Iterable[Finding]:
    for expected in expectations:
        event = matched.get(expected.name)
        if event is None and expected.optional:
            continue
        if event is None:
            what = _KIND_NAMES.get(expected.kind, expected.kind)
            yield Finding(
                kind="missing",
                subject=expected.name,
                text=f"missing: {expected.name} ({what} at {expected.level}, by {expected.witness})",
            )
            continue
        for name, (wanted, got) in expected.differences(event).items():
            yield Finding(
                kind="wrong",
                subject=expected.name,
                field=name,
                expected=wanted,
                observed=got,
                text=f"wrong: {expected.name}: {name} is {_shown(got)}, expected {_shown(wanted)}",
            )


def _extra(events: Sequence[Event], matched: Mapping[str, Event]) -> Iterable[Finding]:
    explained = {id(event) for event in matched.values()}
    for event in events:
        if event.kind in UNJUDGED or id(event) in explained:
            continue
        kind = _GRAVE.get(event.kind, "extra")
        text = event.text or _KIND_NAMES.get(event.kind, event.kind)
        yield Finding(
            kind=kind,
            subject=str(event.fields.get("who", event.kind)),
            text=text if kind in ("dead", "bystander") else f"{kind} at {event.level}: {text}",
            observed=dict(event.fields),
        )


def _out_of_order(
    story: Story, expectations: Sequence[Expectation], matched: Mapping[str, Event]
) -> Iterable[Finding]:
    for expected in expectations:
        event = matched.get(expected.name)
        for name in expected.after:
            earlier = matched.get(name)
            if event is None or earlier is None:
                continue
            if comes_before(story, event, earlier):
                yield Finding(
                    kind="order",
                    subject=expected.name,
                    text=f"out of order: {expected.name} came before {name}",
                    expected=f"after {name}",
                    observed=story.time_s(event) - story.time_s(earlier),
                )


def _shown(value: Any) -> str:  # noqa: ANN401 - any field's value
    if isinstance(value, bool) or not isinstance(value, int):
        return " or ".join(map(_shown, value)) if isinstance(value, tuple) else repr(value)
    return f"{value:#x}" if value > 255 else str(value)
