# SPDX-License-Identifier: Apache-2.0
"""The matrix on a terminal: a mark for each square, then each reason once, with how often it was given."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from seabus.machine.console import printable
from seabus.matrix.judge import Answer, Status
from seabus.matrix.pairs import pairs
from seabus.matrix.run import MatrixRun
from seabus.matrix.witnesses import Testimony
from seabus.report.matrix_grid import MARKS, Grid, grids

_STYLES: Final = {
    Status.AGREED: "green",
    Status.UNREACHABLE: "dim",
    Status.DEVIATES: "yellow",
    Status.UNEXPLAINED: "bold red",
}
_SHOWN: Final = 40
_NUMBER: Final = re.compile(r"(?<=bit )\d+|(?<=value )0x[0-9a-f]+|(?<=EC )0x[0-9a-f]+(?= is)")


def show(run: MatrixRun, testimony: Testimony | None, *, console: Console) -> None:
    """Print the grids, the reasons, the comparison of both ways, and the witnesses."""
    console.print(Text(f"KVM in mode {run.mode}", style="bold"))
    for grid in grids(run.answers):
        _show_grid(grid, console)
    _show_reasons(run.answers, console)
    _show_pairs(run.answers, console)
    if testimony:
        _show_testimony(testimony, console)
    counts = ", ".join(f"{len(run.of(status))} {status}" for status in Status)
    rate = run.asked / run.seconds if run.seconds else 0
    console.print(
        Text(f"{len(run.answers)} cells: {counts}; {run.asked} asked in {run.seconds:.1f} s, {rate:.0f}/s"),
        soft_wrap=True,
    )
    console.print()


def _show_grid(grid: Grid, console: Console) -> None:
    columns = " x ".join(grid.shape.columns)
    title = f"{grid.shape.title} (rows: {' / '.join(grid.shape.rows)}; columns: {columns})"
    console.print(Text(title, style="bold"), soft_wrap=True)
    width = max(len(" ".join(row)) for row in grid.rows)
    for row in grid.rows:
        line = Text(f"  {' '.join(row):{width}}  ")
        for before, column in zip((None, *grid.columns), grid.columns, strict=False):
            if before is not None and len(column) > 1 and before[0] != column[0]:
                line.append(" ")
            status = grid.worst(row, column)
            line.append(MARKS[status] if status else " ", style=_STYLES[status] if status else "")
        console.print(line, soft_wrap=True)
    console.print(Text(f"  {'':{width}}  {_heading(grid)}", style="dim"), soft_wrap=True)
    console.print()


def _heading(grid: Grid) -> str:
    """The first coordinate of the columns, and how far they go."""
    if not grid.shape.columns:
        return ""
    names = list(dict.fromkeys(column[0] for column in grid.columns))
    if len(grid.columns[0]) == 1:
        return f"{names[0]} … {names[-1]}" if len(names) > 1 else names[0]
    rest = list(dict.fromkeys(" ".join(column[1:]) for column in grid.columns))
    told = ", ".join(rest) if len(rest) <= 24 else f"{rest[0]} … {rest[-1]}"
    return f"{' | '.join(names)}: {told}"


def _show_reasons(answers: Sequence[Answer], console: Console) -> None:
    for status in (Status.UNEXPLAINED, Status.DEVIATES, Status.UNREACHABLE):
        told = Counter(_alike(answer.reason) for answer in answers if answer.status is status)
        if not told:
            continue
        console.print(Text(f"{status}, and why", style=_STYLES[status]))
        for reason, times in told.most_common(_SHOWN):
            console.print(Text(f"  {times:5} x {printable(reason)}"), soft_wrap=True)
        if len(told) > _SHOWN:
            console.print(Text(f"        and {len(told) - _SHOWN} more reasons: see --json"))
        for answer in (answer for answer in answers if answer.status is status is Status.UNEXPLAINED):
            console.print(Text(f"    {answer.question}: {printable(answer.reason)}"), soft_wrap=True)
        console.print()


def _alike(reason: str) -> str:
    """Reasons that differ in a number only count as one."""
    return _NUMBER.sub("N", reason)


def _show_pairs(answers: Sequence[Answer], console: Console) -> None:
    found = list(pairs(answers))
    if not found:
        return
    console.print(Text("the same abort by KVM_SET_VCPU_EVENTS and by KVM_SET_ONE_REG", style="bold"))
    told = Counter(" ".join(pair.differ) or "nothing" for pair in found)
    for registers, times in told.most_common():
        example = next(pair for pair in found if (" ".join(pair.differ) or "nothing") == registers)
        values = "; ".join(f"{name} {one:#x} and {other:#x}" for name, (one, other) in example.differ.items())
        line = f"  {times:5} x {registers} differs" + (f", such as {values}" if values else "")
        console.print(Text(line), soft_wrap=True)
    console.print()


def _show_testimony(testimony: Testimony, console: Console) -> None:
    agree = "all three agree" if not testimony.complaints else f"{len(testimony.complaints)} contradictions"
    line = (
        f"three witnesses (payload, KVM's trace, the emulator's log) of {testimony.cells} core cells: {agree}"
    )
    console.print(Text(line, style="green" if not testimony.complaints else "bold red"), soft_wrap=True)
    for question, words in testimony.complaints[:_SHOWN]:
        console.print(Text(f"  {question}: {printable(words)}"), soft_wrap=True)
