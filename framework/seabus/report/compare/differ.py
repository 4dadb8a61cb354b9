# SPDX-License-Identifier: Apache-2.0
"""What differs between two runs, and between two sets of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seabus.judge.verdict import Verdict
from seabus.report.columns import facts
from seabus.report.compare.align import Pair, align
from seabus.report.compare.roles import Roles
from seabus.report.loaded import Run
from seabus.report.scene import Row, scene_of
from seabus.report.wording import value

DifferenceKind = Literal["verdict", "reason", "only in A", "only in B", "field", "status", "order"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is not the same.

    :param subject: which event, in words; "" for the run as a whole.
    :param what: the field, if one differs.
    """

    kind: DifferenceKind
    subject: str = ""
    what: str = ""
    a: str = ""
    b: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs of one test, or one that has no counterpart.

    :param made_of: what both were made of, where that differs: name to A's and B's. It is no difference.
    """

    a: Run | None
    b: Run | None
    differences: Sequence[Difference]
    made_of: Mapping[str, tuple[str, str]]

    @property
    def test(self) -> str:
        """What it is the comparison of."""
        run = self.a or self.b
        assert run is not None
        return run.test or run.title


def compare(a: Sequence[Run], b: Sequence[Run]) -> list[Comparison]:
    """All runs of both by their tests; two that are alone are compared whatever they are."""
    if len(a) == len(b) == 1:
        return [_both(a[0], b[0])]
    left, right = _by_test(a), _by_test(b)
    return [
        comparison
        for test in dict.fromkeys((*left, *right))
        for comparison in _of_test(left.get(test, []), right.get(test, []))
    ]


def _by_test(runs: Sequence[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.test, []).append(run)
    return found


def _of_test(a: Sequence[Run], b: Sequence[Run]) -> Iterator[Comparison]:
    """In order: a test may have been run more than once."""
    for one, other in zip(a, b, strict=False):
        yield _both(one, other)
    for run in a[len(b) :]:
        missing = Difference(kind="only in A", a=str(run.verdict))
        yield Comparison(a=run, b=None, differences=[missing], made_of={})
    for run in b[len(a) :]:
        missing = Difference(kind="only in B", b=str(run.verdict))
        yield Comparison(a=None, b=run, differences=[missing], made_of={})


def _both(a: Run, b: Run) -> Comparison:
    of_a, of_b = facts(a), facts(b)
    made_of = {
        name: (of_a.get(name, "-"), of_b.get(name, "-"))
        for name in dict.fromkeys((*of_a, *of_b))
        if of_a.get(name) != of_b.get(name)
    }
    return Comparison(a=a, b=b, differences=list(_differences(a, b)), made_of=made_of)


def _differences(a: Run, b: Run) -> Iterator[Difference]:
    roles = Roles(a), Roles(b)
    if a.verdict is not b.verdict:
        yield Difference(kind="verdict", a=str(a.verdict), b=str(b.verdict))
    elif not _story_tells_why(a, b) and roles[0].words(a.reason) != roles[1].words(b.reason):
        yield Difference(kind="reason", a=a.reason, b=b.reason)
    pairs = align(scene_of(a), scene_of(b))
    for pair in sorted(pairs, key=lambda pair: pair.a is None or pair.b is None):
        yield from _of_pair(pair, roles)
    yield from _order(a, b)


def _story_tells_why(a: Run, b: Run) -> bool:
    """Of a pass, and of a fail that was judged: a test's own assertion leaves no finding."""
    return a.verdict is Verdict.PASS or (a.verdict is Verdict.FAIL and bool(a.findings and b.findings))


def _of_pair(pair: Pair, roles: tuple[Roles, Roles]) -> Iterator[Difference]:
    subject = _subject(pair.row)
    if pair.a is None or pair.b is None:
        kind: DifferenceKind = "only in B" if pair.a is None else "only in A"
        yield Difference(kind=kind, subject=subject, a=_label(pair.a), b=_label(pair.b))
        return
    if pair.a.status is not pair.b.status:
        yield Difference(kind="status", subject=subject, a=str(pair.a.status), b=str(pair.b.status))
    assert pair.a.event is not None
    assert pair.b.event is not None
    fields = roles[0].fields(pair.a.event), roles[1].fields(pair.b.event)
    for name in dict.fromkeys((*fields[0], *fields[1])):
        found = fields[0].get(name), fields[1].get(name)
        if found[0] != found[1] and not _either_will_do(pair, name):
            told = (value(name, one) for one in found)
            yield Difference(kind="field", subject=subject, what=name, a=next(told), b=next(told))


def _either_will_do(pair: Pair, name: str) -> bool:
    """Whether both were expected to have any one of the same values, as the vCPU that stops first."""
    return all(
        row is not None
        and row.expected is not None
        and row.event is not None
        and isinstance(allowed := row.expected.fields.get(name), tuple)
        and row.event.fields.get(name) in allowed
        for row in (pair.a, pair.b)
    )


def _order(a: Run, b: Run) -> Iterator[Difference]:
    """Of what the chain orders: certainly one way in A, and certainly the other way in B."""
    for expected in b.expectations:
        for name in expected.after:
            ways = _way(a, name, expected.name), _way(b, name, expected.name)
            if ways[0] * ways[1] < 0:
                told = [f"{'after' if way > 0 else 'before'} {name}" for way in ways]
                yield Difference(kind="order", subject=expected.name, a=told[0], b=told[1])


def _way(run: Run, first: str, second: str) -> int:
    """1: the second came after the first, -1: before it, 0: that cannot be told."""
    one, other = run.matched.get(first), run.matched.get(second)
    if one is None or other is None:
        return 0
    apart = run.story.time_s(other) - run.story.time_s(one)
    return 0 if abs(apart) <= run.story.error_s(one, other) else 1 if apart > 0 else -1


def _subject(row: Row) -> str:
    event: Any = row.event
    name = f" [{row.expected.name}]" if row.expected else ""
    return f"{event.level} {event.witness} {event.kind}{name}"


def _label(row: Row | None) -> str:
    return row.label if row else ""
