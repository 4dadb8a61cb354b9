# SPDX-License-Identifier: Apache-2.0
"""Runs as a Markdown summary, for the page of a CI job or a comment: what to look at first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from seabus.machine.console import printable
from seabus.report.columns import USUAL, Columns
from seabus.report.loaded import Kind, Run, Runs
from seabus.report.scene import BAD, scene_of

_SIGNS: Final = {
    Kind.FAIL: "❌",
    Kind.ERROR: "⚠️",
    Kind.UNKNOWN: "❔",
    Kind.KNOWN: "🟣",
    Kind.UNJUDGED: "⚪",
    Kind.SKIP: "⏭️",
    Kind.PASS: "✅",
}
#: Rows, at most, of a table: GitHub shows 1 MiB of a summary, and nobody reads more.
_MOST: Final = 100
_SLOWEST: Final = 5
_REASON_FITS: Final = 200
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>|#~$@&])")


def document(loaded: Runs, *, title: str = "Seabus report") -> str:
    """The whole summary."""
    return "\n".join(_parts(loaded, title)) + "\n"


def _parts(loaded: Runs, title: str) -> Iterator[str]:
    runs = sorted(loaded.runs, key=lambda run: (list(Kind).index(run.kind), run.test))
    counts = Counter(run.kind for run in runs)
    yield f"## {_text(title)}\n"
    yield " · ".join(f"{_SIGNS[kind]} **{counts[kind]}** {kind}" for kind in Kind if counts[kind]) + "\n"
    columns = Columns(runs)
    if columns.common:
        yield ", ".join(f"{name} {value}" for name, value in map(_pair, columns.common.items())) + "\n"
    open_ones = [(number, run) for number, run in enumerate(runs) if not run.is_well]
    if open_ones:
        yield "### To look at\n"
        yield from _table(open_ones, columns)
    known = [run for run in runs if run.kind is Kind.KNOWN]
    if known:
        yield from _folded(f"{len(known)} fail as they are known to", [_known(run) for run in known])
    skipped = [run for run in runs if run.kind is Kind.SKIP]
    if skipped:
        lines = [f"- {_code(run.test)}: {_text(run.reason)}" for run in skipped]
        yield from _folded(f"{len(skipped)} skipped", lines)
    yield from _folded("Slowest from fault to verdict", _slowest(runs))
    if loaded.without:
        lines = [f"- {_code(test)}" for test in loaded.without]
        yield from _folded(f"{len(loaded.without)} folders hold no result", lines)


def _table(numbered: Sequence[tuple[int, Run]], columns: Columns) -> Iterator[str]:
    yield "| | test | reached | reason |\n|---|---|---|---|"
    for number, run in numbered[:_MOST]:
        label = columns.label(number)
        where = f" ({_text(label)})" if label != USUAL else ""
        title = f"{_text(run.title)}<br>" if run.title != run.test else ""
        yield (
            f"| {_SIGNS[run.kind]} {run.kind} | {title}{_code(run.test or run.name)}{where}"
            f" | {_reached(run)} | {_text(run.reason[:_REASON_FITS])} |"
        )
    if len(numbered) > _MOST:
        yield f"\nand {len(numbered) - _MOST} more."
    yield ""


def _reached(run: Run) -> str:
    """The levels that it came to, and what was wrong there."""
    reach = [(level, status) for level, status in scene_of(run).reach().items() if status is not None]
    return " → ".join(f"**{level} {status}**" if status in BAD else level for level, status in reach)


def _known(run: Run) -> str:
    return f"- {_code(run.test)}: {_text(run.known)}"


def _slowest(runs: Sequence[Run]) -> list[str]:
    timed = [(run.seconds["fault_to_verdict"], run) for run in runs if "fault_to_verdict" in run.seconds]
    timed.sort(key=lambda one: one[0], reverse=True)
    return [f"- {seconds:.1f} s {_code(run.test or run.name)}" for seconds, run in timed[:_SLOWEST]]


def _folded(summary: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"<details><summary>{summary}</summary>\n"
        yield from lines[:_MOST]
        if len(lines) > _MOST:
            yield f"- and {len(lines) - _MOST} more"
        yield "\n</details>\n"


def _pair(pair: tuple[str, str]) -> tuple[str, str]:
    return _text(pair[0]), _text(pair[1])


def _text(text: str) -> str:
    """Words that stay words, whatever is in them."""
    return _SPECIAL.sub(r"\\\1", " ".join(printable(text).split()))


def _code(text: str) -> str:
    """A name in a table's cell: no backquote or bar can end it."""
    return f"`{' '.join(printable(text).split()).replace('`', chr(0x2019)).replace('|', '¦')}`"
