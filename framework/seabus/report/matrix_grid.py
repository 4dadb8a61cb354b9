# SPDX-License-Identifier: Apache-2.0
"""The matrix as grids: which coordinates are rows and columns, and what a square of them says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from seabus.matrix.judge import Answer, Status

#: From the best to the worst: a square shows the worst of its cells.
ORDER: Final = (Status.AGREED, Status.UNREACHABLE, Status.DEVIATES, Status.UNEXPLAINED)
MARKS: Final = {
    Status.AGREED: "=",
    Status.UNREACHABLE: "·",
    Status.DEVIATES: "~",
    Status.UNEXPLAINED: "!",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """Coordinates that make the rows and the columns of a group's grid.

    :param having: coordinates that a cell must have to be in it.
    """

    title: str
    group: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    having: tuple[str, ...] = ()


SHAPES: Final = (
    Shape("External abort on the access", "access", ("granule", "page", "path"), ("origin", "access")),
    Shape(
        "External abort on a table walk", "walk", ("granule", "page", "path"), ("origin", "place", "access")
    ),
    Shape("PSTATE before the abort", "pstate", ("origin", "path"), ("sctlr", "pstate")),
    Shape(
        "ESR_EL1 by fault status", "syndrome", ("origin", "kind", "path", "FnV", "IL"), ("status",), ("kind",)
    ),
    Shape("ESR_EL1 by exception class", "syndrome", ("origin", "path"), ("class",), ("class",)),
    Shape("ESR_EL1 of External aborts, one bit more", "syndrome", ("origin", "status"), ("bit",), ("bit",)),
    Shape("SError", "serror", ("path", "situation"), ("origin", "type")),
    Shape("What KVM does of its own", "reaction", ("what", "page", "path"), ("origin",)),
    Shape("SCTLR2_EL1", "ease", ("what", "path"), ("origin",)),
    Shape("Poison, and the signals of it", "poison", ("backing",), ("by", "kill")),
    Shape("Linux as the receiver", "linux", ("kind", "FnV"), ("status",)),
    Shape("Firmware first, at EL3", "firmware", ("step",), ()),
    Shape("A guest hypervisor at virtual EL2", "nested", ("page", "path"), ("origin", "HCR_EL2", "access")),
)


@dataclass(frozen=True, slots=True)
class Grid:
    """A group laid out.

    :param squares: row and column to the answers there.
    """

    shape: Shape
    rows: Sequence[tuple[str, ...]]
    columns: Sequence[tuple[str, ...]]
    squares: Mapping[tuple[tuple[str, ...], tuple[str, ...]], Sequence[Answer]]

    def worst(self, row: tuple[str, ...], column: tuple[str, ...]) -> Status | None:
        """What a square shows; ``None``: no cell is there."""
        answers = self.squares.get((row, column), ())
        return max((answer.status for answer in answers), key=ORDER.index, default=None)


def grids(answers: Iterable[Answer]) -> list[Grid]:
    """All grids that have a cell, in order."""
    told = list(answers)
    return [grid for shape in SHAPES if (grid := _grid(shape, told)).squares]


def _grid(shape: Shape, answers: Sequence[Answer]) -> Grid:
    squares: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Answer]] = {}
    for answer in answers:
        at = answer.question.at
        if answer.question.group == shape.group and all(name in at for name in shape.having):
            row = tuple(at.get(name, "") for name in shape.rows)
            column = tuple(at.get(name, "") for name in shape.columns)
            squares.setdefault((row, column), []).append(answer)
    rows = list(dict.fromkeys(row for row, _ in squares))
    columns = list(dict.fromkeys(column for _, column in squares))
    return Grid(shape, rows, columns, squares)
