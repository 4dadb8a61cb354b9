# SPDX-License-Identifier: Apache-2.0
"""Runs as their result files tell them (``docs/reference/result.md``): what every report is made from.

A result file may come from another computer, another Seabus, or half of a full disk: nothing in it is
believed before it was looked at, and what is wrong is told in one line that names the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_args

from seabus.errors import UsageError
from seabus.judge.assign import assign
from seabus.judge.expectation import Expectation
from seabus.judge.verdict import Finding, Verdict
from seabus.observe.clock import Alignment
from seabus.observe.events import Event, Level
from seabus.observe.story import Story
from seabus.report.result import SCHEMA

RESULT: Final = "result.json"
#: Of any number with a fraction, such as seconds.
_MOST: Final = 1e15
_OWNER: Final = "test.txt"
#: In a folder that several tests share: a folder for the result of each.
SHARING: Final = "tests"
_LEVELS: Final[tuple[Level, ...]] = get_args(Level)
_T = TypeVar("_T")


class Kind(StrEnum):
    """What runs come to, from the one to look at first: the verdicts, and two that verdicts do not tell."""

    FAIL = "fail"
    ERROR = "error"
    UNKNOWN = "unknown"
    KNOWN = "known"  # it fails as it is known to
    UNJUDGED = "unjudged"  # a test that asked for no verdict, and passed
    SKIP = "skip"
    PASS = "pass"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run, as its result file tells it.

    :param folder: where the file lies.
    :param test: its pytest node id; "" for ``seabus run``.
    :param matched: the name of an expectation to the event that was taken for it.
    :param command: the words of the command that it was, without where its evidence went.
    :param outcome: what pytest says of it; a test may pass that asked for no verdict.
    :param known: why it is expected to fail, if it is.
    :param seed: from which all follows that was left to chance, if it is known.
    :param rootdir: the folder that the test's name starts from.
    :param negative_control: nothing was injected; ``mutate``: its expectations were changed one by one.
    :param lab: the lab file, if its hosts were no emulated ones.
    :param script: the text of the scenario file that was played.
    """

    folder: Path
    test: str
    verdict: Verdict
    reason: str
    story: Story
    findings: Sequence[Finding] = ()
    expectations: Sequence[Expectation] = ()
    matched: Mapping[str, Event] = field(default_factory=dict)
    faults: Sequence[Mapping[str, Any]] = ()
    receipts: Sequence[Mapping[str, Any]] = ()
    addresses: Sequence[Mapping[str, Any]] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    scenario: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = ""
    known: str = ""
    worker: str = ""
    command: Sequence[str] = ()
    started: str = ""
    seed: int | None = None
    rootdir: str = ""
    negative_control: bool = False
    mutate: bool = False
    lab: str = ""
    script: str = ""

    @property
    def evidence(self) -> Path:
        """Where the consoles and traces of its world lie, which it may share with other tests."""
        shares = self.folder.parent.name == SHARING and not (self.folder / _OWNER).is_file()
        return self.folder.parent.parent if shares else self.folder

    @property
    def title(self) -> str:
        """What it is about, in a line."""
        return str(self.scenario.get("title") or self.test or "one fault")

    @property
    def name(self) -> str:
        """The test without its file, or the folder's name."""
        return self.test.partition("::")[2] or self.test or self.folder.name

    @property
    def chapter(self) -> str:
        """The test's file without its folders: a chapter of the catalogue."""
        return self.test.partition("::")[0].rpartition("/")[2] or "seabus run"

    @property
    def kind(self) -> Kind:
        """What it came to for a reader."""
        if self.known and self.verdict is not Verdict.PASS:
            return Kind.KNOWN
        if self.verdict is Verdict.UNKNOWN and self.outcome == "passed":
            return Kind.UNJUDGED
        return Kind(self.verdict)

    @property
    def is_well(self) -> bool:
        """Whether nobody needs to look at it."""
        return self.kind not in (Kind.FAIL, Kind.ERROR, Kind.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Runs:
    """All runs below some folders.

    :param without: tests whose folders hold no result: they use no session, or did not live to tell.
    """

    runs: Sequence[Run]
    without: Sequence[str] = ()


def load(paths: Sequence[Path]) -> Runs:
    """Every run in these folders and below them, in order of test.

    :raises UsageError: a path is none, there is no result, or one is damaged.
    """
    files: dict[Path, Path] = {}
    without: list[str] = []
    for path in paths:
        if not path.exists():
            raise UsageError(f"there is no {path}", hint="name a folder with result.json in it, or below it")
        for folder in _folders(path):
            result = folder if folder.is_file() else folder / RESULT
            if result.is_file():
                files.setdefault(result.resolve(), result)
            elif (folder / _OWNER).is_file():
                without.append((folder / _OWNER).read_text(errors="replace").strip()[:500])
    if not files:
        raise UsageError(
            f"there is no {RESULT} in {' or '.join(map(str, paths))}, nor below",
            hint="a folder of `seabus run`, or of `pytest --seabus-artefacts DIR`",
        )
    runs = [load_file(path) for path in files.values()]
    runs.sort(key=lambda run: (run.test, run.started, str(run.folder)))
    return Runs(runs=runs, without=sorted(set(without)))


def _folders(root: Path) -> Iterator[Path]:
    """A file as it is; of a folder all below, but what is only linked: pytest links to the newest of each."""
    if root.is_file():
        yield root
        return
    for place, names, _ in os.walk(root):
        names.sort()
        yield Path(place)


def load_file(path: Path) -> Run:
    """The run of one result file.

    :raises UsageError: it cannot be read, or is no result file.
    """
    try:
        document = json.loads(path.read_bytes(), parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError, OSError) as error:
        said = f"at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise UsageError(f"{path} is no result file: {said[:200]}", hint=_HINT) from error
    try:
        return _run(document, path.parent)
    except _DamagedError as error:
        raise UsageError(f"{path} is no result file: {error}", hint=_HINT) from None


_HINT: Final = "it was cut off, or is of something else: run the test again, or move the folder away"


class _DamagedError(Exception):
    """What is wrong with a document, and where."""


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    """JSON allows 1e999; no clock shows it, and nobody reads it back."""
    if abs(number := float(text)) > _MOST:
        raise ValueError(f"{text[:40]} is more than anything is measured in")
    return number


def _get(found: object, name: str, kind: type[_T], otherwise: _T | None = None) -> _T:
    """A field of this type; ``otherwise`` where it is missing or null, if that is given."""
    if not isinstance(found, dict):
        raise _DamagedError(f"an object with {name!r} was wanted, not {str(found)[:40]!r}")
    value = found.get(name)
    if value is None and otherwise is not None:
        return otherwise
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > _MOST:
            raise _DamagedError(f"{name!r} is more than anything is measured in")
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _DamagedError(f"{name!r} is {'missing' if value is None else f'{str(value)[:40]!r}'}")
    return value


def _each(found: object, name: str, read: Callable[[Any], _T]) -> list[_T]:
    """A list's elements; the place of one that is damaged is told."""
    elements = []
    for number, one in enumerate(_get(found, name, list)):
        try:
            elements.append(read(one))
        except _DamagedError as error:
            raise _DamagedError(f"{name}[{number}]: {error}") from None
    return elements


def _run(document: Any, folder: Path) -> Run:  # noqa: ANN401 - anything that JSON can say
    schema = _get(document, "schema", int)
    if schema != SCHEMA:
        raise _DamagedError(f"its schema is {schema}, and this Seabus reads {SCHEMA}")
    verdict = _get(document, "verdict", str)
    if verdict not in list(Verdict):
        raise _DamagedError(f"'verdict' is {verdict[:40]!r}")
    events = _each(document, "events", _event)
    mode = _get(document, "mode", dict, {})
    expectations = _each(document, "expectations", _expectation)
    clocks = {
        level: Alignment(offset_ns=0, error_ns=round(_get(clock, "error_s", float) * 1e9))
        for level, clock in _get(document, "clocks", dict).items()
    }
    unaligned = Alignment(offset_ns=0, error_ns=0)
    story = Story(events, {level: clocks.get(level, unaligned) for level in _LEVELS}, 0)
    return Run(
        folder=folder,
        test=_get(document, "test", str, ""),
        verdict=Verdict(verdict),
        reason=_get(document, "reason", str),
        story=story,
        findings=_each(document, "findings", _finding),
        expectations=expectations,
        matched=_matched(document, story, events, expectations),
        faults=_all_or_one(document, "faults", "fault"),
        receipts=_all_or_one(document, "receipts", "receipt"),
        addresses=_each(document, "addresses", _object),
        seconds={name: _get({name: s}, name, float) for name, s in _get(document, "seconds", dict).items()},
        versions={name: str(one) for name, one in _get(document, "versions", dict).items()},
        configuration=_get(document, "configuration", dict, {}),
        scenario=_scenario(_get(document, "scenario", dict, {})),
        error=_get(document, "error", dict, {}),
        outcome=_get(document, "outcome", str, ""),
        known=_get(document, "known", str, ""),
        worker=_get(document, "worker", str, ""),
        started=_get(document, "started", str, ""),
        command=_each(document, "command", str) if document.get("command") else (),
        seed=None if document.get("seed") is None else _get(document, "seed", int),
        rootdir=_get(document, "rootdir", str, ""),
        negative_control=_get(mode, "negative_control", bool, False),
        mutate=_get(mode, "mutate", bool, False),
        lab=_get(mode, "lab", str, ""),
        script=_get(document, "script", str, ""),
    )


def _scenario(found: dict[str, Any]) -> Mapping[str, Any]:
    """What it said of itself; it may be of a later Seabus, and say more."""
    return {**found, "sources": [str(one) for one in _get(found, "sources", list, [])]} if found else {}


def _all_or_one(document: dict[str, Any], several: str, one: str) -> list[Mapping[str, Any]]:
    """An older Seabus told one alone."""
    if several in document:
        return _each(document, several, _object)
    return [_object(document[one])] if document.get(one) else []


def _object(found: object) -> Mapping[str, Any]:
    return _get({"it": found}, "it", dict)


def _event(found: object) -> Event:
    level, seconds = _get(found, "level", str), _get(found, "t", float)
    if level not in _LEVELS:
        raise _DamagedError(f"'level' is {level[:40]!r}")
    return Event(
        level=level,
        witness=_get(found, "witness", str),
        kind=cast(Any, _get(found, "kind", str)),  # of a later Seabus, it may be any
        clock_ns=round(seconds * 1e9),
        fields=_get(found, "fields", dict),
        text=_get(found, "text", str, ""),
        cpu=cast(dict[str, Any], found).get("cpu"),
    )


def _expectation(found: object) -> Expectation:
    level = _get(found, "level", str)
    if level not in _LEVELS:
        raise _DamagedError(f"'level' is {level[:40]!r}")
    fields = _get(found, "fields", dict)
    return Expectation(
        name=_get(found, "name", str),
        level=level,
        witness=_get(found, "witness", str),
        kind=cast(Any, _get(found, "kind", str)),
        fields={name: tuple(one) if isinstance(one, list) else one for name, one in fields.items()},
        after=tuple(map(str, _get(found, "after", list))),
        promise=_get(found, "promise", str, ""),
        link=_get(found, "link", str, ""),
        optional=_get(found, "optional", bool, False),
    )


def _finding(found: object) -> Finding:
    told = cast(dict[str, Any], found)
    return Finding(
        kind=cast(Any, _get(found, "kind", str)),
        subject=_get(found, "subject", str),
        text=_get(found, "text", str),
        field=_get(found, "field", str, "") or None,
        expected=told.get("expected"),
        observed=told.get("observed"),
    )


def _matched(
    document: dict[str, Any], story: Story, events: Sequence[Event], expectations: Sequence[Expectation]
) -> Mapping[str, Event]:
    """As the file says; one of a Seabus that did not say is held together anew, by the judge's own rule."""
    told = document["expectations"]
    if any("event" not in one for one in told):
        return assign(story, expectations)
    matched = {}
    for expected, one in zip(expectations, told, strict=True):
        number = one["event"]
        if number is None:
            continue
        if not isinstance(number, int) or not 0 <= number < len(events):
            raise _DamagedError(f"{expected.name!r} was event {str(number)[:40]}, and there is none")
        matched[expected.name] = events[number]
    return matched
