# SPDX-License-Identifier: Apache-2.0
"""Which event of one run is which of another: by what was expected, else by who saw what of whom."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from seabus.report.scene import Row, Scene, Status, is_begun_touch


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A row of each run, or of one of them."""

    a: Row | None
    b: Row | None

    @property
    def row(self) -> Row:
        """The one that there is, A's first."""
        found = self.a or self.b
        assert found is not None
        return found


def align(a: Scene, b: Scene) -> list[Pair]:
    """All rows of both, in A's order; what only B has comes last."""
    left, right = _compared(a), _compared(b)
    joined: dict[int, Row] = {}
    for key in (_by_expectation, _by_sort):
        _join(left, right, key, joined)
    taken = {id(row) for row in joined.values()}
    pairs = [Pair(a=row, b=joined.get(id(row))) for row in left]
    return pairs + [Pair(a=None, b=row) for row in right if id(row) not in taken]


def _compared(scene: Scene) -> list[Row]:
    """What happened; what never came is told by its not being there."""
    return [
        row
        for row in scene.rows
        if row.status is not Status.MISSING and not (row.event and is_begun_touch(row.event))
    ]


def _join(
    left: Iterable[Row],
    right: Sequence[Row],
    key: Callable[[Row], Hashable],
    joined: dict[int, Row],
) -> None:
    """Join what has the same key, in order, of what is not joined yet."""
    taken = {id(row) for row in joined.values()}
    waiting: dict[Hashable, list[Row]] = {}
    for row in right:
        if id(row) not in taken and (found := key(row)) is not None:
            waiting.setdefault(found, []).append(row)
    for row in left:
        found = key(row)
        if id(row) not in joined and found is not None and waiting.get(found):
            joined[id(row)] = waiting[found].pop(0)


def _by_expectation(row: Row) -> Hashable:
    return row.expected.name if row.expected else None


def _by_sort(row: Row) -> Hashable:
    event = row.event
    assert event is not None
    return event.level, event.witness, event.kind, row.lane.who, event.fields.get("op")
