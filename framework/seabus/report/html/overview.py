# SPDX-License-Identifier: Apache-2.0
"""All runs at a glance: how many came to which verdict, and the heat map of tests × configurations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from seabus.report.recorded import ORDER, Recorded

#: In monochrome, and for who cannot tell the colours apart.
MARKS: Final = {"pass": "✓", "skip": "–", "unknown": "?", "error": "!", "fail": "✗"}


def overview(runs: Sequence[Recorded]) -> Iterator[str]:
    """The HTML above the accounts."""
    counts = Counter(run.verdict for run in runs)
    yield '<p class="counts">'
    for verdict in reversed(ORDER):
        if counts[verdict]:
            yield (
                f'<button type="button" class="chip {verdict}" data-verdict="{verdict}">'
                f"{MARKS[verdict]} {counts[verdict]} {verdict}</button> "
            )
    yield f"<span>{len(runs)} runs</span></p>"
    yield from _heat_map(runs)


def _heat_map(runs: Sequence[Recorded]) -> Iterator[str]:
    columns = sorted({run.configuration for run in runs}, key=lambda one: (one != "default", one))
    squares: dict[tuple[str, str], list[int]] = {}
    for number, run in enumerate(runs):
        squares.setdefault((run.test, run.configuration), []).append(number)
    yield '<div class="overview"><table class="heat"><thead><tr><th scope="col">test</th>'
    yield "".join(f'<th scope="col"><span>{escape(column)}</span></th>' for column in columns)
    yield "</tr></thead><tbody>"
    for test in sorted({run.test for run in runs}):
        cells = "".join(_square(runs, squares.get((test, column), [])) for column in columns)
        yield f'<tr><th scope="row">{escape(test)}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def _square(runs: Sequence[Recorded], numbers: Sequence[int]) -> str:
    if not numbers:
        return "<td></td>"
    worst = max(numbers, key=lambda number: ORDER.index(runs[number].verdict))
    verdict = runs[worst].verdict
    title = escape(f"{len(numbers)} runs; the worst: {runs[worst].reason}", quote=True)
    count = f" {len(numbers)}" if len(numbers) > 1 else ""
    return f'<td class="{verdict}"><a href="#run-{worst}" title="{title}">{MARKS[verdict]}{count}</a></td>'
