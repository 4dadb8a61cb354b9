# SPDX-License-Identifier: Apache-2.0
"""Runs as what the template shows, and the template filled."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from typing import Any, Final

import jinja2
from markupsafe import Markup

import seabus
from seabus.judge.verdict import Finding
from seabus.machine.console import printable
from seabus.report.columns import Columns
from seabus.report.html.consoles import consoles
from seabus.report.html.packed import packed
from seabus.report.loaded import Kind, Run, Runs
from seabus.report.picture import picture
from seabus.report.scene import BAD, Status, scene_of
from seabus.report.styles import sheet
from seabus.report.wording import describe, value

#: As many runs, at most, have their pictures in the page as they are; those of more are packed.
_PLAIN: Final = 12
#: The signs by which they are told without colour, and what they mean.
SIGNS: Final = {
    Kind.FAIL: "✕",
    Kind.ERROR: "!",
    Kind.UNKNOWN: "?",
    Kind.KNOWN: "≈",
    Kind.UNJUDGED: "○",
    Kind.SKIP: "–",
    Kind.PASS: "✓",
}
_MEANINGS: Final = {
    Kind.FAIL: "the system under test is wrong",
    Kind.ERROR: "Seabus, the machine or the lab: nothing was learnt",
    Kind.UNKNOWN: "no verdict could be reached",
    Kind.KNOWN: "fails as it is known to",
    Kind.UNJUDGED: "passed, and asked for no verdict",
    Kind.SKIP: "a capability is missing",
    Kind.PASS: "all that was expected, and nothing else",
}
_MOST_FINDINGS: Final = 60
#: Lines of all stories together, for which a page has room; and what each run may have in any case.
_MOST_EVENTS: Final = 20_000
_FEWEST_EVENTS: Final = 200


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A run as the template shows it.

    :param reach: for each level the status of what happened there.
    :param more_events: how many there is no room for; ``more_findings`` likewise.
    :param drawn: its picture, if it is not packed.
    """

    number: int
    run: Run
    kind: Kind
    configuration: str
    column: int
    reach: Sequence[tuple[str, str, str]]
    story: Sequence[str]
    more_events: int
    findings: Sequence[tuple[str, str, str, str, str]]
    more_findings: int
    consoles: Sequence[tuple[str, int]]
    drawn: Markup | None


def page(loaded: Runs, *, title: str = "Seabus report", kib: int = 16, all_consoles: bool = False) -> str:
    """The whole page.

    :param kib: how much, at most, is kept of the end of each console.
    :param all_consoles: those of runs that went well, too.
    """
    runs = sorted(loaded.runs, key=_urgency)
    columns = Columns(runs)
    texts = consoles(runs, kib=kib, all_of_them=all_consoles)
    plain = len(runs) <= _PLAIN
    room = max(_FEWEST_EVENTS, _MOST_EVENTS // max(1, len(runs)))
    shown = [
        _show(run, number, columns, texts.of.get(number, ()), plain=plain, room=room)
        for number, run in enumerate(runs)
    ]
    pictures = [] if plain else [picture(run) for run in runs]
    css = sheet("ground") + sheet("picture") + _file("page.css")
    script = _file("page.js")
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            version=seabus.__version__,
            css=Markup(css),
            script=Markup(script),
            csp=_policy(css, script),
            counts=_counts(shown),
            meanings=_MEANINGS,
            signs=SIGNS,
            when=_when(runs),
            common=columns.common,
            columns=columns.labels,
            chapters=list(_chapters(shown, len(columns.labels))),
            runs=shown,
            without=loaded.without,
            texts=texts.texts if plain else [],
            packed=Markup("" if plain else packed({"pictures": pictures, "consoles": texts.texts})),
        )
    )


def _urgency(run: Run) -> tuple[int, str, str]:
    return list(Kind).index(run.kind), run.test, run.started


def _show(
    run: Run, number: int, columns: Columns, texts: Sequence[tuple[str, int]], *, plain: bool, room: int
) -> _Shown:
    return _Shown(
        number=number,
        run=run,
        kind=run.kind,
        configuration=columns.label(number),
        column=columns.of(number),
        reach=[
            (level, str(status or "nothing"), _said_of(level, status))
            for level, status in scene_of(run).reach().items()
        ],
        story=list(islice(_story(run), room)),
        more_events=max(0, len(run.story.events) - room),
        findings=[_finding(one) for one in run.findings[:_MOST_FINDINGS]],
        more_findings=max(0, len(run.findings) - _MOST_FINDINGS),
        consoles=texts,
        drawn=Markup(picture(run)) if plain else None,
    )


def _said_of(level: str, status: Status | None) -> str:
    if status is None:
        return f"{level}: nothing"
    return f"{level}: {'not as expected, ' if status in BAD else ''}{status}"


def _story(run: Run) -> Iterator[str]:
    """All events, one a line; what is judged by nobody is indented."""
    expected_of = {id(event): name for name, event in run.matched.items()}
    for event in run.story.events:
        name = expected_of.get(id(event), "")
        told = describe(event) if event.kind != "note" else f"  {event.text}"
        tail = f"  [{name}]" if name else ""
        yield f"{run.story.time_s(event) * 1e3:9.1f}  {event.level}  {event.witness:<11} {told}{tail}"


def _finding(found: Finding) -> tuple[str, str, str, str, str]:
    """Kind, subject, field, expected, observed; of what has no field, the whole in words."""
    if found.field is None:
        return found.kind, found.text.removeprefix(f"{found.kind}: "), "", "", ""
    name = found.field
    return found.kind, found.subject, name, value(name, found.expected), value(name, found.observed)


def _counts(shown: Sequence[_Shown]) -> list[tuple[Kind, int]]:
    found = Counter(one.kind for one in shown)
    return [(kind, found[kind]) for kind in Kind if found[kind]]


def _when(runs: Sequence[Run]) -> str:
    told = sorted(run.started for run in runs if run.started)
    if not told:
        return ""
    first, last = (one.replace("T", " ").removesuffix("Z") for one in (told[0], told[-1]))
    return f"{first} UTC" if first == last else f"{first} to {last} UTC"


def _chapters(shown: Sequence[_Shown], width: int) -> Iterator[tuple[str, list[list[_Shown]]]]:
    """Each chapter of the catalogue with its runs by column, in order of test."""
    found: dict[str, list[list[_Shown]]] = {}
    for one in sorted(shown, key=lambda one: (one.run.chapter, one.run.name)):
        row = found.setdefault(one.run.chapter, [[] for _ in range(width)])
        row[one.column].append(one)
    for chapter, row in found.items():
        yield chapter.removeprefix("test_").removesuffix(".py").replace("_", " "), row


def _policy(css: str, script: str) -> str:
    """Nothing but this style and this script is obeyed, whatever else finds its way into the page."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (css, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}';"
        " base-uri 'none'; form-action 'none'"
    )


def _file(name: str) -> str:
    return resources.files("seabus.report.html").joinpath(name).read_text()


def _environment() -> jinja2.Environment:
    """Everything is escaped, and no control character gets through."""
    return jinja2.Environment(
        autoescape=True,
        loader=jinja2.FunctionLoader(_file),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )


def _harmless(found: Any) -> Any:  # noqa: ANN401 - whatever a template names
    return found if isinstance(found, Markup) or not isinstance(found, str) else printable(found)
