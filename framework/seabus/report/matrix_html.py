# SPDX-License-Identifier: Apache-2.0
"""The matrix as one HTML file: a heat map that needs nothing from anywhere, with the reasons as tooltips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from seabus.matrix.judge import Status
from seabus.matrix.run import MatrixRun
from seabus.report.matrix_grid import MARKS, Grid, grids
from seabus.report.styles import sheet

_STYLE: Final = """
table { border-collapse: collapse; margin: 0 0 2em; }
th { font-weight: normal; text-align: left; padding: 0 .6em 0 0; white-space: nowrap; }
thead th { writing-mode: vertical-rl; padding: .4em 0 0; font-size: 11px; vertical-align: bottom; }
td { width: 13px; height: 17px; text-align: center; border: 1px solid var(--paper); font: 11px monospace; }
.agreed { background: var(--good-wash); color: var(--good); }
.unreachable { background: var(--quiet-wash); color: var(--quiet); }
.deviates { background: var(--odd-wash); color: var(--odd); }
.unexplained { background: var(--bad); color: var(--paper); }
.overview { overflow-x: auto; }
"""


def page(runs: Sequence[MatrixRun]) -> str:
    """The whole page."""
    return "\n".join(_parts(runs)) + "\n"


def _parts(runs: Sequence[MatrixRun]) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Seabus: the ESR matrix</title>'
    yield f"<style>{sheet('ground')}{_STYLE}</style></head><body>"
    yield "<h1>The ESR matrix</h1><p>"
    for status in Status:
        yield f'<span class="{status}">&nbsp;{MARKS[status]} {status}&nbsp;</span> '
    yield "A square shows the worst of its cells; its tooltip says why.</p>"
    for run in runs:
        counts = ", ".join(f"{len(run.of(status))} {status}" for status in Status)
        yield f"<h2>KVM in mode {escape(run.mode)}</h2><p>{len(run.answers)} cells: {counts}.</p>"
        for grid in grids(run.answers):
            yield from _grid(grid)
    yield "</body></html>"


def _grid(grid: Grid) -> Iterator[str]:
    rows = " / ".join(grid.shape.rows)
    yield f'<h3>{escape(grid.shape.title)}</h3><div class="overview"><table><thead><tr><th>{rows}</th>'
    yield "".join(f"<th>{escape(' '.join(column))}</th>" for column in grid.columns)
    yield "</tr></thead><tbody>"
    for row in grid.rows:
        squares = "".join(_square(grid, row, column) for column in grid.columns)
        yield f"<tr><th>{escape(' '.join(row))}</th>{squares}</tr>"
    yield "</tbody></table></div>"


def _square(grid: Grid, row: tuple[str, ...], column: tuple[str, ...]) -> str:
    status = grid.worst(row, column)
    if status is None:
        return "<td></td>"
    answers = grid.squares[row, column]
    told = dict.fromkeys(f"{answer.status}: {answer.reason}".removesuffix(": ") for answer in answers)
    title = escape(f"{' '.join((*row, *column))}\n" + "\n".join(told), quote=True)
    return f'<td class="{status}" title="{title}">{MARKS[status]}</td>'
