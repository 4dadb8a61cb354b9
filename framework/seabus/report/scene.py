# SPDX-License-Identifier: Apache-2.0
"""A run as a scene: its events and what was expected beside them, each in its lane, with what caused it.

The scene is what pictures, traces and summaries are made from. Its rows are in order of time; what was
expected and never seen stands where it should have been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Final

from seabus.arch.addresses import PAGE_SHIFT
from seabus.arch.sigbus import BusCode
from seabus.judge.expectation import Expectation
from seabus.observe.events import UNJUDGED, Event, Level
from seabus.report.lanes import ALWAYS, ORDER, VMM, Lane, lane_of, of_expectation
from seabus.report.loaded import Run
from seabus.report.wording import describe, value


class Status(StrEnum):
    """What an event is to its expectation."""

    CONTEXT = "context"  # judged by nobody: what was done
    EXPECTED = "expected"
    WRONG = "wrong"  # it came, with other values
    UNEXPECTED = "unexpected"
    MISSING = "missing"  # it never came


#: What is seen by looking, and caused by nothing but that.
_LOOKED_AT: Final = ("answer", "booted", "frame", "migrated", "moved")
#: Those that make a run fail.
BAD: Final = (Status.WRONG, Status.UNEXPECTED, Status.MISSING)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One event, or one that never came.

    :param seconds: since the injection; None if it never came.
    :param causes: places of the rows that made it happen.
    :param remark: what is wrong with it, in a line.
    """

    lane: Lane
    status: Status
    label: str
    seconds: float | None = None
    event: Event | None = None
    expected: Expectation | None = None
    causes: tuple[int, ...] = ()
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All of a run that can be shown in order."""

    rows: Sequence[Row]

    @property
    def lanes(self) -> list[Lane]:
        """Those that somebody acts in, and those that are always there."""
        used = {row.lane for row in self.rows} | set(ALWAYS)
        return [lane for lane in ORDER if lane in used]

    def reach(self) -> Mapping[Level, Status | None]:
        """The worst that happened at each level; None: nothing was expected there, and nothing happened."""
        found: dict[Level, Status | None] = dict.fromkeys(("L0", "L1", "L2"))
        for status in (Status.EXPECTED, *BAD):
            for row in self.rows:
                if row.status is status or (row.lane.level == "L0" and row.status is Status.CONTEXT):
                    found[row.lane.level] = row.status
        return found


def scene_of(run: Run) -> Scene:
    """The scene of a run."""
    rows = _with_missing(_seen(run), run)
    return Scene(rows=_Causes(rows).told())


def is_begun_touch(event: Event) -> bool:
    """Whether a victim begins to touch its memory there."""
    return event.kind == "note" and event.witness == "victim" and "op" in event.fields


def _seen(run: Run) -> list[Row]:
    expected_of = {id(run.matched[one.name]): one for one in run.expectations if one.name in run.matched}
    return [
        _row(event, expected_of.get(id(event)), run.story.time_s(event))
        for event in run.story.events
        if event.kind != "note" or is_begun_touch(event)
    ]


def _row(event: Event, expected: Expectation | None, seconds: float) -> Row:
    status, remark = Status.EXPECTED, ""
    if expected is not None and (differences := expected.differences(event)):
        status = Status.WRONG
        remark = "; ".join(
            f"{name} is {value(name, got)}, expected {value(name, wanted)}"
            for name, (wanted, got) in differences.items()
        )
    elif expected is None:
        status = Status.CONTEXT if event.kind in UNJUDGED else Status.UNEXPECTED
        remark = "nobody expected this" if status is Status.UNEXPECTED else ""
    return Row(
        lane=lane_of(event),
        status=status,
        label=_label(event),
        seconds=seconds,
        event=event,
        expected=expected,
        remark=remark,
    )


def _label(event: Event) -> str:
    """How a touch ended is told here, unless a signal says so."""
    told = describe(event)
    return f"{told}: {event.text}" if event.kind == "touch" and "SIGBUS" not in event.text else told


def _with_missing(rows: list[Row], run: Run) -> list[Row]:
    """What never came stands before the first event that should have followed it, or at the end."""
    for expected in run.expectations:
        if expected.name in run.matched or expected.optional:
            continue
        followers = _followers(expected.name, run.expectations)
        place = next(
            (n for n, row in enumerate(rows) if row.expected and row.expected.name in followers), len(rows)
        )
        what = ", ".join(f"{name} {value(name, one)}" for name, one in expected.fields.items())
        missing = Row(
            lane=of_expectation(expected),
            status=Status.MISSING,
            label=f"missing: {expected.name}",
            expected=expected,
            remark=f"{expected.kind} with {what}" if what else expected.kind,
        )
        rows.insert(place, missing)
    return rows


def _followers(name: str, expectations: Sequence[Expectation]) -> set[str]:
    """All that must come after an expectation, directly or not."""
    found = {name}
    while more := {one.name for one in expectations if found & set(one.after)} - found:
        found |= more
    return found - {name}


class _Causes:
    """Finds what made each row happen: what the chain says, and what every RAS engineer would add."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._named = {row.expected.name: n for n, row in enumerate(rows) if row.expected}

    def told(self) -> list[Row]:
        return [replace(row, causes=tuple(self._of(number, row))) for number, row in enumerate(self._rows)]

    def _of(self, number: int, row: Row) -> Iterator[int]:
        if _kind(row) == "touch":
            yield from self._touch(number, row, {row.lane.level})
        elif row.expected is not None and _kind(row) not in _LOOKED_AT:
            found = [*self._abort(number, row)] or [*self._in_chain(row)]
            if _is_consumption(row) and not (found and _kind(self._rows[found[0]]) == "ghes"):
                found += self._touch(number, row, {"L2"} if row.lane == VMM else {row.lane.level})
            yield from found or self._root(number, row)
        elif row.status is Status.UNEXPECTED:
            yield from self._certain(number, row)

    def _certain(self, number: int, row: Row) -> Iterator[int]:
        """Of what nobody expected: what made it happen, where a thread, a vCPU, a page or a nonce says so."""
        event = row.event
        assert event is not None
        fields = event.fields
        match event.kind:
            case "sea":
                yield from self._abort(number, row)
            case "siginfo":
                yield from self._latest(
                    number, lambda one: _signals(one, event.level, "tid", fields.get("tid"))
                )
            case "exception":
                thread = f"CPU {fields.get('vcpu')}/KVM"
                yield from self._latest(number, lambda one: _signals(one, "L1", "comm", thread))
            case "sigbus" if _is_consumption(row):
                if row.lane != VMM:
                    yield from self._touch(number, row, {row.lane.level})
                elif str(fields.get("comm")).endswith("/KVM"):
                    yield from self._touch(number, row, {"L2"})
            case "memory_failure":
                page = fields.get("pfn")
                yield from self._latest(number, lambda one: _reports(one, event.level, page))
            case "ghes" if fields.get("fru_id"):
                nonce = fields["fru_id"]
                yield from self._latest(
                    number,
                    lambda one: (
                        one.event is not None
                        and one.event.kind == "inject"
                        and one.event.fields.get("nonce") == nonce
                    ),
                )

    def _abort(self, number: int, row: Row) -> Iterator[int]:
        """An abort that is taken was put in by somebody, who may tell of it."""
        if _kind(row) == "sea":
            yield from self._latest(number, lambda one: _kind(one) == "exception")

    def _root(self, number: int, row: Row) -> Iterator[int]:
        """Where the chain says nothing: the record that its level's kernel got, or what was injected."""
        return self._latest(
            number,
            lambda one: (
                _kind(one) == "inject"
                or (_kind(row) != "ghes" and _kind(one) == "ghes" and one.lane.level == row.lane.level)
            ),
        )

    def _in_chain(self, row: Row) -> Iterator[int]:
        """Of what must come before: the latest in the same lane, or else the latest."""
        assert row.expected is not None
        before = [self._named[name] for name in row.expected.after if name in self._named]
        if _kind(row) == "memory_failure":  # it signals, and is caused by no signal
            before = [number for number in before if _kind(self._rows[number]) != "sigbus"]
        near = [number for number in before if self._rows[number].lane == row.lane]
        if before:
            yield max(near or before)

    def _touch(self, number: int, row: Row, levels: set[Level]) -> Iterator[int]:
        """The access that ended so; of a victim, its own."""
        tid = row.event.fields.get("tid") if row.event and row.lane != VMM else None

        def is_it(one: Row) -> bool:
            event = one.event
            return (
                event is not None
                and is_begun_touch(event)
                and event.level in levels
                and tid in (None, event.fields.get("tid"))
            )

        return self._latest(number, is_it)

    def _latest(self, number: int, wanted: Callable[[Row], bool]) -> Iterator[int]:
        """The latest row before this one that is wanted, if there is one."""
        return islice((n for n in range(number - 1, -1, -1) if wanted(self._rows[n])), 1)


def _kind(row: Row) -> str:
    told = row.event or row.expected
    return told.kind if told else ""


def _signals(row: Row, level: Level, name: str, whom: object) -> bool:
    """Whether a row is a SIGBUS at a level to whoever has this in a field."""
    event = row.event
    return (
        event is not None
        and (event.level, event.kind) == (level, "sigbus")
        and event.fields.get(name) == whom is not None
    )


def _reports(row: Row, level: Level, pfn: object) -> bool:
    """Whether a row is a level's record of an error in this page."""
    event = row.event
    if event is None or (event.level, event.kind) != (level, "ghes"):
        return False
    address = event.fields.get("physical_address")
    return isinstance(address, int) and address >> PAGE_SHIFT == pfn


def _is_consumption(row: Row) -> bool:
    """Whether somebody is signalled for touching what is lost."""
    told = row.event or row.expected
    return told is not None and told.kind == "sigbus" and told.fields.get("code") == BusCode.BUS_MCEERR_AR
