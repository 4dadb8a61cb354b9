# SPDX-License-Identifier: Apache-2.0
"""Traces, KTAP, JSON lines, Markdown: each as it was looked at once, and by the rules of its format."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import seabus
from seabus.report.export import ktap, lines, markdown, trace
from seabus.report.loaded import Run, Runs, load

Golden = Callable[[str, str], None]
VERSION = re.compile(re.escape(seabus.__version__))


def masked(text: str) -> str:
    return VERSION.sub("VERSION", text)


# Chrome trace


def test_trace_as_it_was(sample: Callable[[str], Run], golden: Golden) -> None:
    told = json.loads(trace.document([sample("consumed")]))
    golden("consumed.trace.json", json.dumps(told, indent=1) + "\n")


def test_trace_by_the_rules_of_its_format(samples: Runs, sample: Callable[[str], Run]) -> None:
    for name in ("consumed", "negative", "known", "error"):
        check(trace.document([sample(name)]))
    told = check(trace.document(samples.runs))
    assert {one["ph"] for one in told} == {"M", "X", "s", "f", "i"}


def check(text: str) -> list[dict[str, Any]]:
    """The rules of the Trace Event Format that a viewer relies on; the events, if they are kept."""
    told = json.loads(text)
    assert told.keys() == {"traceEvents", "displayTimeUnit", "otherData"}
    assert told["displayTimeUnit"] in ("ms", "ns")
    events: list[dict[str, Any]] = told["traceEvents"]
    for one in events:
        _well_formed(one)
    _named(events)
    _in_order(events)
    slices = [one for one in events if one["ph"] == "X"]
    _overlap_never(slices)
    _bind(events, slices)
    return events


#: Of each phase, the fields beside those that all have, and what each must be.
PHASES: dict[str, dict[str, Callable[[Any], bool]]] = {
    "M": {"args": lambda found: isinstance(found, dict) and len(found) == 1},
    "X": {"dur": lambda found: isinstance(found, int | float) and found > 0},
    "i": {"s": lambda found: found in ("g", "p", "t")},
    "s": {"id": lambda found: isinstance(found, int), "cat": bool},
    "f": {"id": lambda found: isinstance(found, int), "cat": bool, "bp": lambda found: found == "e"},
}


def _well_formed(one: dict[str, Any]) -> None:
    assert one["ph"] in PHASES
    assert isinstance(one["name"], str)
    assert type(one["pid"]) is type(one["tid"]) is int
    assert isinstance(one["ts"], int | float)
    assert one["ts"] >= 0
    assert isinstance(one.get("args", {}), dict)
    for name, is_right in PHASES[one["ph"]].items():
        assert is_right(one[name]), one


def _named(events: list[dict[str, Any]]) -> None:
    """Every process and thread has one name, told before anything that happens there."""
    processes: set[int] = set()
    threads: set[tuple[int, int]] = set()
    for one in events:
        track = one["pid"], one["tid"]
        if one["name"] == "process_name":
            assert one["pid"] not in processes
            processes.add(one["pid"])
        elif one["name"] == "thread_name":
            assert track not in threads
            threads.add(track)
        elif one["ph"] != "M":
            assert one["pid"] in processes
            assert track in threads


def _in_order(events: list[dict[str, Any]]) -> None:
    """What lies on one track is told in order of time."""
    last: dict[tuple[int, int], float] = {}
    for one in events:
        track = one["pid"], one["tid"]
        assert one["ts"] >= last.get(track, 0.0)
        last[track] = one["ts"]


def _spoilt(text: str, how: Callable[[list[dict[str, Any]]], object]) -> str:
    told = json.loads(text)
    how(told["traceEvents"])
    return json.dumps(told)


@pytest.mark.parametrize(
    "how",
    [
        lambda events: events.remove(next(one for one in events if one["ph"] == "f")),
        lambda events: events.remove(next(one for one in events if one["ph"] == "s")),
        lambda events: events.remove(next(one for one in events if one["name"] == "thread_name")),
        lambda events: events.append(next(one for one in events if one["ph"] == "X")),
        lambda events: events.append({**events[-1], "pid": 9}),
        lambda events: next(one for one in events if one["ph"] == "X").update(dur=0),
    ],
    ids=["no-end", "no-start", "no-name", "not-in-order", "no-process", "no-length"],
)
def test_the_check_of_a_trace_can_fail(
    how: Callable[[list[dict[str, Any]]], object], sample: Callable[[str], Run]
) -> None:
    with pytest.raises((AssertionError, KeyError)):
        check(_spoilt(trace.document([sample("consumed")]), how))


def _overlap_never(slices: list[dict[str, Any]]) -> None:
    tracks: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for one in slices:
        tracks.setdefault((one["pid"], one["tid"]), []).append(one)
    for track in tracks.values():
        track.sort(key=lambda one: float(one["ts"]))
        for before, after in itertools.pairwise(track):
            assert before["ts"] + before["dur"] <= after["ts"] + 1e-3


def _bind(events: list[dict[str, Any]], slices: list[dict[str, Any]]) -> None:
    """Each arrow has one beginning and one end, in this order, each within a slice of its track."""
    begun = {one["id"]: one for one in events if one["ph"] == "s"}
    ended = {one["id"]: one for one in events if one["ph"] == "f"}
    assert begun.keys() == ended.keys()
    assert len(ended) == sum(one["ph"] == "f" for one in events)
    assert len(begun) == sum(one["ph"] == "s" for one in events)
    for number, start in begun.items():
        end = ended[number]
        assert start["ts"] <= end["ts"]
        assert end["bp"] == "e"
        assert (start["cat"], start["name"]) == (end["cat"], end["name"])
        for point in (start, end):
            assert any(
                (one["pid"], one["tid"]) == (point["pid"], point["tid"])
                and one["ts"] <= point["ts"] <= one["ts"] + one["dur"]
                for one in slices
            )


def test_an_effect_seen_before_its_cause_gets_no_arrow(changed: Callable[..., Path]) -> None:
    """Clocks of two levels differ a little; an arrow that goes back in time is bound by no reader."""

    def hurry(told: dict[str, Any]) -> None:
        expected = next(one for one in told["expectations"] if one["name"] == "abort-taken")
        told["events"][expected["event"]]["t"] = 0.08

    def arrows(text: str) -> int:
        events = json.loads(text)["traceEvents"]
        _bind(events, [one for one in events if one["ph"] == "X"])
        return sum(one["ph"] == "s" for one in events)

    before, after = (
        arrows(trace.document(load([changed("consumed", how, name)]).runs))
        for name, how in (("before", lambda told: told), ("after", hurry))
    )
    assert after < before


def test_a_process_for_each_level_and_a_track_for_each_vcpu(sample: Callable[[str], Run]) -> None:
    events = json.loads(trace.document([sample("consumed")]))["traceEvents"]
    processes = {one["pid"]: one["args"]["name"] for one in events if one["name"] == "process_name"}
    assert processes == {1: "L0 machine", 2: "L1 host", 3: "L2 guest"}
    threads = {(one["pid"], one["args"]["name"]) for one in events if one["name"] == "thread_name"}
    assert threads >= {(2, "vCPU 0"), (2, "kernel: kernel-log"), (3, "vCPU 0"), (3, "victim: victim")}
    assert not [name for pid, name in threads if pid == 3 and name.endswith((": trace", ": kprobe"))]
    tids = {one["tid"] for one in events if one["name"] == "thread_name"}
    assert not tids & set(processes)  # it would be taken for the process's first thread


def test_what_the_guests_cpus_saw_is_on_their_tracks(changed: Callable[..., Path]) -> None:
    """A signal is sent on one vCPU, and the abort was taken on another."""

    def move(told: dict[str, Any]) -> None:
        for event in told["events"]:
            if (event["level"], event["kind"]) == ("L2", "sea"):
                event["cpu"] = 1

    events = check(trace.document(load([changed("consumed", move)]).runs))
    names = {(one["pid"], one["tid"]): one["args"]["name"] for one in events if one["name"] == "thread_name"}
    tracks = {
        one["name"].partition(":")[0]: names[one["pid"], one["tid"]]
        for one in events
        if one["ph"] == "X" and one["pid"] == 3
    }
    assert tracks["SEA taken"] == "vCPU 1"
    assert tracks["memory_failure()"] == "vCPU 0"
    assert tracks["handler"] == "victim: victim"


# KTAP


class Ktap:
    """A reader of KTAP 1 that knows nothing of the writer (Linux Documentation/dev-tools/ktap.rst)."""

    RESULT = re.compile(r"(ok|not ok) (\d+)(?: ([^#]*?))?(?: # ?(.*))?")
    DIRECTIVES = ("SKIP", "TODO", "XFAIL", "TIMEOUT", "ERROR")

    def __init__(self, text: str) -> None:
        assert text.endswith("\n")
        self.lines = text.splitlines()
        self.at = 0

    def read(self, depth: int = 0) -> list[dict[str, Any]]:
        """A version line, a plan, and as many results as it announces."""
        assert self._take(depth) == "KTAP version 1"
        plan = re.fullmatch(r"1\.\.(\d+)", self._take(depth))
        assert plan
        tests: list[dict[str, Any]] = []
        within: list[dict[str, Any]] = []
        said: list[str] = []
        while len(tests) < int(plan[1]):
            if self.lines[self.at].startswith("  " * (depth + 1) + "KTAP"):
                assert not within
                within = self.read(depth + 1)
                continue
            line = self._take(depth)
            if line.startswith("#"):
                assert line.startswith("# ")
                said.append(line[2:])
                continue
            found = self.RESULT.fullmatch(line)
            assert found, line
            assert int(found[2]) == len(tests) + 1
            more = found[4] or ""
            directive = more.split(" ")[0] if more.split(" ")[0] in self.DIRECTIVES else ""
            ok = found[1] == "ok"
            if any(not one["ok"] and one["directive"] != "SKIP" for one in within):
                assert not ok, f"{found[3]} passed, and a test within it failed"
            tests.append(
                {"ok": ok, "name": found[3], "directive": directive, "more": more, "said": said, "in": within}
            )
            within, said = [], []
        return tests

    def _take(self, depth: int) -> str:
        line = self.lines[self.at]
        self.at += 1
        assert line.startswith("  " * depth)
        assert not line[2 * depth :].startswith(" ")
        return line[2 * depth :]


def test_ktap_as_it_was(samples: Runs, golden: Golden) -> None:
    golden("samples.ktap", ktap.document(samples.runs))


def test_ktap_by_its_grammar(samples: Runs) -> None:
    reader = Ktap(ktap.document(samples.runs))
    chapters = reader.read()
    assert reader.at == len(reader.lines)
    runs = {run["name"]: run for chapter in chapters for run in chapter["in"]}
    assert len([run for chapter in chapters for run in chapter["in"]]) == len(samples.runs)
    assert runs["test_snapshot"]["ok"]
    assert runs["test_snapshot"]["directive"] == "XFAIL"
    assert runs["test_no_error_at_all[empty]"]["directive"] == "ERROR"
    assert not runs["test_no_error_at_all[empty]"]["ok"]
    assert next(one["name"] for one in runs["test_vhe_host[read]"]["in"]) == "host-record"


@pytest.mark.parametrize(
    "evil",
    ["SKIP", "x # SKIP", "WARNING: x # SKIP later", "\nok 1 fine", "\x1b[2K\rok 1 fine", "a\u2028b\x85c"],
)
def test_words_of_a_guest_are_no_ktap(evil: str, changed: Callable[..., Path]) -> None:
    def speak(told: dict[str, Any]) -> None:
        told.update(reason=evil, test=f"testcases/test_{evil}.py::test_{evil}")
        told["findings"] = [
            {"kind": "missing", "subject": "host-record", "text": evil},
            {"kind": "extra", "subject": evil, "text": evil},
        ]

    text = ktap.document(load([changed("negative", speak)]).runs)
    reader = Ktap(text)
    (chapter,) = reader.read()
    assert reader.at == len(reader.lines)
    (run,) = chapter["in"]
    assert not run["ok"]
    assert run["directive"] == ""
    # The kernel's own reader takes the word from anywhere (Linux tools/testing/kunit/kunit_parser.py).
    assert not re.search(r"ok \d+ .*# SKIP", text)
    assert not any(one["directive"] for one in run["in"])


def unjudged(verdict: str, reason: str, **more: object) -> Callable[[dict[str, Any]], None]:
    """The run came to no verdict: the last half of what was expected was never seen."""

    def change(told: dict[str, Any]) -> None:
        told.update(verdict=verdict, reason=reason, findings=[], **more)
        for number, expected in enumerate(told["expectations"]):
            if number >= 5:
                expected["event"] = None
        told["expectations"][-1]["optional"] = True

    return change


@pytest.mark.parametrize(
    "how",
    [
        unjudged("unknown", "a witness lost events", outcome="failed"),
        unjudged("error", "injection lost: it was accepted, but its target never reported it"),
    ],
    ids=["unknown", "injection-lost"],
)
def test_what_was_not_judged_is_not_ok(
    how: Callable[[dict[str, Any]], None], changed: Callable[..., Path]
) -> None:
    """A witness that lost events, or an injection that did, says nothing of any expectation."""
    ((run,),) = (one["in"] for one in Ktap(ktap.document(load([changed("consumed", how)]).runs)).read())
    assert (run["ok"], run["directive"]) == (False, "ERROR")
    *expected, optional = run["in"]
    assert len(expected) == 9
    assert not any(one["ok"] for one in expected)
    said = ["ERROR not judged: it was seen"] * 5 + ["ERROR not judged: it was not seen"] * 4
    assert [one["more"] for one in expected] == said
    assert (optional["ok"], optional["directive"]) == (True, "SKIP")


def test_of_a_test_that_asked_for_no_verdict_nothing_is_judged(changed: Callable[..., Path]) -> None:
    how = unjudged("unknown", "nothing was judged", outcome="passed")
    ((run,),) = (one["in"] for one in Ktap(ktap.document(load([changed("consumed", how)]).runs)).read())
    assert run["ok"]
    assert {one["directive"] for one in run["in"]} == {"SKIP"}


# JSON lines


def test_lines_as_they_were(samples: Runs, golden: Golden) -> None:
    golden("samples.jsonl", masked(lines.document(samples)))


def test_lines_refer_to_each_other(samples: Runs) -> None:
    told = [json.loads(line) for line in lines.document(samples).splitlines()]
    head, *rest = told
    assert (head["type"], head["schema"], head["runs"]) == ("report", 1, len(samples.runs))
    runs = [line for line in rest if line["type"] == "run"]
    assert [run["run"] for run in runs] == list(range(head["runs"]))
    assert sum(head["kinds"].values()) == head["runs"]
    for run in runs:
        rows = [line for line in rest if line["type"] == "event" and line["run"] == run["run"]]
        assert [row["row"] for row in rows] == list(range(len(rows)))
        assert all(0 <= cause < len(rows) for row in rows for cause in row["causes"])


#: What the words for values in the reference mean.
IS: dict[str, Callable[[Any], bool]] = {
    "string": lambda found: isinstance(found, str),
    "whole number": lambda found: type(found) is int,
    "number": lambda found: type(found) in (int, float),
    "object": lambda found: isinstance(found, dict),
    "array": lambda found: isinstance(found, list),
    "null": lambda found: found is None,
}


def told_of_lines() -> tuple[int, dict[str, dict[str, str]]]:
    """The schema's number, and of each type of line its fields with their values, by the reference."""
    text = (Path(__file__).parents[3] / "docs/reference/report.md").read_text()
    found = re.search(r"^## JSON lines, schema (\d+)\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert found
    _, *parts = re.split(r'^`"type": "(\w+)"`$', found[2], flags=re.MULTILINE)
    rows = re.compile(r"^\| `(\w+)` \| ([^|]*) \|", re.MULTILINE)
    return int(found[1]), {
        kind: dict(rows.findall(table)) for kind, table in zip(parts[::2], parts[1::2], strict=True)
    }


def test_lines_are_as_the_reference_tells(samples: Runs) -> None:
    number, tables = told_of_lines()
    assert number == lines.SCHEMA
    assert tables.keys() == {"report", "run", "event"}
    seen: dict[str, set[str]] = {}
    for line in map(json.loads, lines.document(samples).splitlines()):
        table = tables[line.pop("type")]
        assert line.keys() == table.keys()
        for name, value in line.items():
            words = table[name].split(" or ")
            assert any(IS[word](value) for word in words), f"{name} is {value!r}, and not {table[name]}"
            seen.setdefault(f"{name}: {table[name]}", set()).update(word for word in words if IS[word](value))
    for told, found in seen.items():
        if told not in ("worker: string or null", "started: string or null"):  # samples have them all or not
            assert found >= set(told.partition(": ")[2].split(" or ")), f"never otherwise: {told}"


# Markdown


def test_markdown_as_it_was(samples: Runs, golden: Golden) -> None:
    golden("samples.md", markdown.document(samples))


def test_words_of_a_guest_are_no_markup(changed: Callable[..., Path]) -> None:
    evil = "<script>alert(1)</script> | `x` [a](http://b) \n# head ![i](j)"
    text = markdown.document(load([changed("negative", lambda told: told.update(reason=evil))]))
    row = next(line for line in text.splitlines() if "script" in line)
    assert "<script" not in row.replace("\\<", "")
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert not re.search(r"(?<!\\)\[|(?<!\\)!\[", row.partition("`")[0] + row.rpartition("`")[2])
