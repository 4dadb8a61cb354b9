# SPDX-License-Identifier: Apache-2.0
"""Runs in Chrome's trace event format, for Perfetto: a process for each level, arrows of cause.

Runs follow each other on the time axis, a second apart; each begins with its fault. The format is that of
the document "Trace Event Format" of the Chromium project: phases X (a slice), s and f (an arrow's ends) and
M (names). An arrow is drawn between slices, so every event is a short one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Final

from seabus.machine.console import printable
from seabus.observe.events import Level
from seabus.report.lanes import LEVELS
from seabus.report.loaded import Run
from seabus.report.scene import Row, Status, scene_of

#: How long an event is, in µs, where the next of its track leaves that much room.
_SLICE: Final = 500.0
_SHORTEST: Final = 1.0
_BETWEEN: Final = 1e6
#: A thread with the number of a process would be taken for its first.
_FIRST_TID: Final = 101

Event = dict[str, Any]


def document(runs: Sequence[Run]) -> str:
    """One JSON document."""
    tracks = _Tracks()
    arrows = count(1)
    events: list[Event] = []
    at = 0.0
    for run in runs:
        found = sorted(_events(run, at, tracks, arrows), key=_in_time)
        events += found
        at = max([at, *(one["ts"] + one.get("dur", 0) for one in found)]) + _BETWEEN
    told = {"traceEvents": [*tracks.named(), *events], "displayTimeUnit": "ms", "otherData": _about(runs)}
    return json.dumps(told, separators=(",", ":")) + "\n"


class _Tracks:
    """Numbers for levels and for who acts or watches there, given as they are met."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Level, str], int] = {}

    def of(self, row: Row) -> tuple[int, int]:
        """pid and tid of a row."""
        key = row.lane.level, _track(row)
        number = self._numbers.setdefault(key, len(self._numbers) + _FIRST_TID)
        return _pid(row.lane.level), number

    def named(self) -> Iterator[Event]:
        for level, what in LEVELS.items():
            pid = _pid(level)
            yield _meta("process_name", pid, pid, name=f"{level} {what}")
            yield _meta("process_sort_index", pid, pid, sort_index=pid)
        for (where, name), tid in self._numbers.items():
            yield _meta("thread_name", _pid(where), tid, name=name)
            yield _meta("thread_sort_index", _pid(where), tid, sort_index=tid)


def _in_time(event: Event) -> tuple[float, int]:
    """By time; of one moment what happened before the arrows that are bound to it."""
    return event["ts"], "Xisf".index(event["ph"])


def _pid(level: Level) -> int:
    return list(LEVELS).index(level) + 1


def _track(row: Row) -> str:
    """A vCPU where the event tells of one, else who acts, and the witness."""
    event = row.event
    if event is None:
        return f"{row.lane.who}: missing"
    if isinstance(vcpu := event.fields.get("vcpu"), int):
        return f"vCPU {vcpu}"
    if event.level == "L2" and isinstance(event.cpu, int):  # the guest's CPUs are the VMM's vCPUs
        return f"vCPU {event.cpu}"
    comm = str(event.fields.get("comm", ""))
    if comm.endswith("/KVM"):
        return f"vCPU {comm.removeprefix('CPU ').removesuffix('/KVM')}"
    return f"{row.lane.who}: {event.witness}"


def _meta(what: str, pid: int, tid: int, **told: str | int) -> Event:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "ts": 0, "args": told}


def _events(run: Run, at: float, tracks: _Tracks, arrows: Iterator[int]) -> Iterator[Event]:
    rows = scene_of(run).rows
    begun = min((row.seconds for row in rows if row.seconds is not None), default=0.0)
    slices: dict[int, Event] = {}
    for number, row in enumerate(rows):
        if row.seconds is not None:
            slices[number] = _slice(run, row, at + (row.seconds - min(begun, 0.0)) * 1e6, tracks)
    _make_room(list(slices.values()))
    yield from slices.values()
    if missing := [row for row in rows if row.status is Status.MISSING]:
        end = max((one["ts"] + one["dur"] for one in slices.values()), default=at)
        for row in missing:
            yield {**_slice(run, row, end, tracks), "ph": "i", "s": "t"}
    for number, one in slices.items():
        for cause in rows[number].causes:
            if cause in slices and slices[cause]["ts"] <= one["ts"]:
                yield from _arrow(slices[cause], one, next(arrows))


def _slice(run: Run, row: Row, ts: float, tracks: _Tracks) -> Event:
    pid, tid = tracks.of(row)
    told: dict[str, Any] = {"run": run.test or run.title, "status": str(row.status)}
    if row.expected is not None:
        told |= {"expected as": row.expected.name, "promise": row.expected.promise}
    if row.remark:
        told["remark"] = row.remark
    if row.event is not None:
        told |= {"witness": row.event.witness, **row.event.fields}
    named = {"name": printable(row.label), "cat": str(row.status)}
    return {"ph": "X", **named, "pid": pid, "tid": tid, "ts": round(ts, 3), "dur": _SLICE, "args": told}


def _make_room(slices: Sequence[Event]) -> None:
    """Slices of one track do not overlap, and those of one moment follow each other."""
    last: dict[tuple[int, int], Event] = {}
    for one in sorted(slices, key=lambda one: float(one["ts"])):
        before = last.get((one["pid"], one["tid"]))
        if before is not None:
            one["ts"] = max(one["ts"], round(before["ts"] + _SHORTEST, 3))
            before["dur"] = min(before["dur"], round(one["ts"] - before["ts"], 3))
        last[one["pid"], one["tid"]] = one


def _arrow(cause: Event, effect: Event, number: int) -> Iterator[Event]:
    """Its ends lie within the slices that it joins."""
    told = {"name": "causes", "cat": "cause", "id": number}
    for ph, end in (("s", cause), ("f", effect)):
        more = {"bp": "e"} if ph == "f" else {}
        yield {"ph": ph, **told, **more, "pid": end["pid"], "tid": end["tid"], "ts": end["ts"]}


def _about(runs: Sequence[Run]) -> dict[str, str]:
    return {run.test or run.title: f"{run.verdict}: {run.reason}" for run in runs}
