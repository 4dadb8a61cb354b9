# SPDX-License-Identifier: Apache-2.0
"""What a picture of a fault shows, from top to bottom: what happened, and what should have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from seabus.report.recorded import Recorded, Seen
from seabus.report.terminal import describe

#: From the emulated machine down to the process that loses its page.
LANES: Final = ("L0 firmware", "L1 host", "L1 VMM", "L2 guest", "L2 victim")
#: Who sees what happens in the VMM and in a victim; everything else at a level is its kernel's.
_OF_VMM: Final = ("vmm-log", "vmm", "monitor", "process", "pagemap")
_OF_VICTIM: Final = ("victim", "command", "bystander")
_HIDDEN: Final = ("note",)

State = Literal["plain", "right", "wrong", "extra", "missing"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that happened, or should have.

    :param name: the expectation's; empty if it is held for none.
    :param t: seconds; None of what did not come.
    :param causes: names of rows that this one must not precede.
    :param details: what the witness saw, in full, for who wants to look closer.
    """

    name: str
    lane: int
    t: float | None
    state: State
    text: str
    details: str
    causes: Sequence[str] = field(default=())


def rows(run: Recorded) -> list[Row]:
    """The rows of a run's picture."""
    expected = {expectation["name"]: expectation for expectation in run.expectations}
    wrong = _by_subject(run)
    seen = [_row(one, expected, wrong) for one in run.events if one.event.kind not in _HIDDEN]
    missing = [
        _missing(expected[finding["subject"]])
        for finding in run.findings
        if finding["kind"] == "missing" and finding["subject"] in expected
    ]
    return list(_in_place(seen, missing))


def _row(one: Seen, expected: Mapping[str, Mapping[str, Any]], wrong: Mapping[str, list[str]]) -> Row:
    event = one.event
    name = one.expectation or ""
    text = describe(event)
    state: State = "right" if name else "plain" if event.kind in ("inject", "touch") else "extra"
    if name in wrong:
        state, text = "wrong", f"{text} - {'; '.join(wrong[name])}"
    return Row(
        name=name,
        lane=_lane(event.level, event.witness, event.kind),
        t=one.t,
        state=state,
        text=text,
        details=_details(one, expected.get(name)),
        causes=tuple(expected[name]["after"]) if name in expected else (),
    )


def _missing(expectation: Mapping[str, Any]) -> Row:
    wanted = ", ".join(f"{name} {_shown(value)}" for name, value in expectation["fields"].items())
    return Row(
        name=expectation["name"],
        lane=_lane(expectation["level"], expectation["witness"], expectation["kind"]),
        t=None,
        state="missing",
        text=f"missing: {expectation['name']}",
        details=f"{expectation['promise']}\nexpected: {wanted or 'any'}",
        causes=tuple(expectation["after"]),
    )


def _in_place(seen: Sequence[Row], missing: Sequence[Row]) -> Iterator[Row]:
    """What did not come stands behind the last of its causes that did; without any, at the end."""
    waiting = list(missing)
    shown: set[str] = set()
    for row in seen:
        yield row
        shown.add(row.name)
        while ready := [one for one in waiting if one.causes and shown.issuperset(one.causes)]:
            for one in ready:
                yield one
                shown.add(one.name)
                waiting.remove(one)
    yield from waiting


def _by_subject(run: Recorded) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in run.findings:
        if finding["kind"] == "wrong":
            told = f"{finding['field']} should be {_shown(finding['expected'])}"
            found.setdefault(finding["subject"], []).append(told)
        elif finding["kind"] == "order":
            found.setdefault(finding["subject"], []).append(finding["text"])
    return found


def _lane(level: str, witness: str, kind: str) -> int:
    if level == "L0":
        return 0
    if level == "L1":
        if witness == "victim":
            return 1
        return 2 if witness in _OF_VMM or kind == "ended" else 1
    return 4 if witness in _OF_VICTIM else 3


def _details(one: Seen, expectation: Mapping[str, Any] | None) -> str:
    event = one.event
    lines = [f"{event.kind}, seen by {event.level} {event.witness} at {one.t * 1e3:.2f} ms"]
    if expectation is not None:
        lines.append(f"{expectation['name']}: {expectation['promise']}")
    lines += [f"{name}: {_shown(value)}" for name, value in event.fields.items() if value is not None]
    return "\n".join(lines)


def _shown(value: Any) -> str:  # noqa: ANN401 - any field's value
    if isinstance(value, list | tuple):
        return " or ".join(map(_shown, value))
    if isinstance(value, bool) or not isinstance(value, int):
        return str(value)
    return f"{value:#x}" if value > 255 else str(value)
