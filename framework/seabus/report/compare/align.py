# SPDX-License-Identifier: Apache-2.0
"""Which event of one run is which of another: by what was expected, else by who saw what of whom, and why.

Two events that nobody expected are the same if they are of one sort and the same made them happen: one more
of a sort in one run shifts no others. Only where the cause of one is not known does their order decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
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
    left, right = _Side(a), _Side(b)
    joined = _Joined()
    joined.join(left, right, _by_expectation)
    known = -1
    while len(joined.rows) > known:  # what is joined now may be what made others happen
        known = len(joined.rows)
        for number, (one, other) in enumerate(joined.rows):
            left.name(one, number)
            right.name(other, number)
        joined.join(left, right, _by_cause)
    joined.join(left, right, _by_sort, unless_causes_differ=True)
    of_a = {id(one): other for one, other in joined.rows}
    taken = {id(other) for _, other in joined.rows}
    pairs = [Pair(a=row, b=of_a.get(id(row))) for row in left.compared]
    return pairs + [Pair(a=None, b=row) for row in right.compared if id(row) not in taken]


class _Side:
    """One run: its rows, and for each of them what its causes are called in both runs.

    :ivar compared: what happened; what never came is told by its not being there.
    """

    def __init__(self, scene: Scene) -> None:
        self._rows = scene.rows
        self.compared = [row for row in scene.rows if row.status is not Status.MISSING and not _begins(row)]
        self._named: dict[int, Hashable] = {}
        touches: Counter[Hashable] = Counter()
        for row in scene.rows:
            if row.expected is not None:
                self._named[id(row)] = "expected", row.expected.name
            elif _begins(row) or (row.event and row.event.kind in ("inject", "touch")):
                sort = _begins(row), *_sort(row)  # what the test did: the same in both runs, in its order
                touches[sort] += 1
                self._named[id(row)] = "done", sort, touches[sort]

    def name(self, row: Row, number: int) -> None:
        """What is joined is called by its number among the pairs, unless it has a name of its own."""
        self._named.setdefault(id(row), ("pair", number))

    def causes(self, row: Row) -> Hashable | None:
        """What made a row happen, as both runs call it; None if that is not known."""
        found = [self._named.get(id(self._rows[cause])) for cause in row.causes]
        return None if not found or None in found else frozenset(found)


_Key = Callable[[_Side, Row], Hashable | None]


class _Joined:
    """Rows that are the same in both runs."""

    def __init__(self) -> None:
        self.rows: list[tuple[Row, Row]] = []

    def join(self, a: _Side, b: _Side, key: _Key, *, unless_causes_differ: bool = False) -> None:
        """Join what has the same key, in order, of what is not joined yet."""
        done = {id(row) for pair in self.rows for row in pair}
        waiting: dict[Hashable, list[Row]] = {}
        for row in b.compared:
            if id(row) not in done and (found := key(b, row)) is not None:
                waiting.setdefault(found, []).append(row)
        for row in a.compared:
            found = key(a, row)
            if id(row) in done or found is None:
                continue
            for number, other in enumerate(waiting.get(found, ())):
                if not (unless_causes_differ and _differ(a.causes(row), b.causes(other))):
                    self.rows.append((row, waiting[found].pop(number)))
                    break


def _differ(one: Hashable | None, other: Hashable | None) -> bool:
    """Whether causes are known on both sides, and not the same."""
    return None not in (one, other) and one != other


def _begins(row: Row) -> bool:
    return row.event is not None and is_begun_touch(row.event)


def _by_expectation(_: _Side, row: Row) -> Hashable | None:
    return row.expected.name if row.expected else None


def _by_cause(side: _Side, row: Row) -> Hashable | None:
    """Sort and causes, of what nobody expected and whose causes are known."""
    causes = side.causes(row)
    return None if causes is None or row.expected else (_sort(row), causes)


def _by_sort(_: _Side, row: Row) -> Hashable | None:
    return _sort(row)


def _sort(row: Row) -> tuple[Hashable, ...]:
    event = row.event
    assert event is not None
    return event.level, event.witness, event.kind, row.lane.who, str(event.fields.get("op"))
