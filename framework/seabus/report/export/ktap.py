# SPDX-License-Identifier: Apache-2.0
"""Runs as KTAP, version 1, for the tools of the kernel's tests (Linux Documentation/dev-tools/ktap.rst).

A chapter of the catalogue is a test, its runs are subtests, and what each expected are theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from seabus.judge.verdict import Verdict
from seabus.machine.console import printable
from seabus.report.loaded import Kind, Run

_STEP = "  "
#: Verdicts that say something of each expectation.
_JUDGED = (Verdict.PASS, Verdict.FAIL)


def document(runs: Sequence[Run]) -> str:
    """All of it."""
    chapters = [(name, list(found)) for name, found in groupby(runs, key=lambda run: run.chapter)]
    return "\n".join(_nested("", [_chapter(*chapter) for chapter in chapters])) + "\n"


class _Test:
    """One result line, and what comes before it."""

    def __init__(
        self,
        name: str,
        *,
        ok: bool,
        more: str = "",
        said: Sequence[str] = (),
        within: Sequence[_Test] = (),
    ) -> None:
        self.name = name
        self.ok = ok
        self.more = more
        self.said = said
        self.within = within


def _nested(indent: str, tests: Sequence[_Test]) -> Iterator[str]:
    yield f"{indent}KTAP version 1"
    yield f"{indent}1..{len(tests)}"
    for number, test in enumerate(tests, 1):
        if test.within:
            yield from _nested(indent + _STEP, test.within)
        yield from (f"{indent}# {_line(line)}" for line in test.said)
        result = "ok" if test.ok else "not ok"
        # What follows a `#` is a directive: there is one, and it is ours.
        name, more = (_line(text).replace("#", "_") for text in (test.name, test.more))
        yield f"{indent}{result} {number} {name}{f' # {more}' if more else ''}".rstrip()


def _line(text: str) -> str:
    return " ".join(printable(text).split())


def _chapter(name: str, runs: Sequence[Run]) -> _Test:
    within = [_run(run) for run in runs]
    skipped = all(run.kind is Kind.SKIP for run in runs)
    return _Test(name, ok=all(one.ok for one in within), more="SKIP" if skipped else "", within=within)


def _run(run: Run) -> _Test:
    """What is skipped, or fails as it is known to, is no failure."""
    expected = {one.name for one in run.expectations}
    said = [run.title]
    said += [finding.text for finding in run.findings if finding.subject not in expected]
    said.append(f"evidence: {run.evidence}")
    more = {
        Kind.SKIP: f"SKIP {run.reason}",
        Kind.KNOWN: f"XFAIL {run.known}",
        Kind.ERROR: f"ERROR {run.reason}",
        Kind.UNKNOWN: f"ERROR no verdict: {run.reason}",
        Kind.FAIL: _why(run.reason),
    }.get(run.kind, "")
    # A parent whose subtests fail has failed: what fails as it is known to is told without them.
    within = () if run.kind is Kind.KNOWN else tuple(_expectations(run))
    return _Test(run.name, ok=run.is_well, more=more, said=said, within=within)


def _expectations(run: Run) -> Iterator[_Test]:
    """Of a run without a verdict none was judged, whatever was seen: none of them is `ok`."""
    wrong = {finding.subject: finding.text for finding in run.findings}
    for expected in run.expectations:
        event = run.matched.get(expected.name)
        if event is None and expected.optional:
            yield _Test(expected.name, ok=True, more="SKIP it may be missing")
        elif run.verdict not in _JUDGED:
            seen = "it was seen" if event is not None else "it was not seen"
            word = "SKIP" if run.is_well else "ERROR"
            yield _Test(expected.name, ok=run.is_well, more=f"{word} not judged: {seen}")
        else:
            said = wrong.get(expected.name)
            yield _Test(expected.name, ok=said is None, more=_why(said) if said else "")


def _why(text: str) -> str:
    """Why something failed: a word in front, lest words of a guest be taken for a directive."""
    return f"fail: {text}"
