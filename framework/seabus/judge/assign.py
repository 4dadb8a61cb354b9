# SPDX-License-Identifier: Apache-2.0
"""Which event is taken for which expectation: each for one at most.

Several may be right for one: the same link of two chains, one value of several, an event that may be missing.
If there is any reading of a story in which all is as expected, it is found, whatever order expectations are
named in; only then is it told what is wrong with the closest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from seabus.judge.expectation import Expectation
from seabus.observe.events import Event
from seabus.observe.story import Story

#: Choices that are looked at before an order is taken for wrong; a story of two chains needs a few dozen.
_CHOICES: Final = 5_000
#: Expectation to event, by their numbers.
_Reading = dict[int, int]


def assign(story: Story, expectations: Sequence[Expectation]) -> dict[str, Event]:
    """Expectation name to the event that fulfils it best."""
    events = story.events
    spoken_of = _spoken_of(events, expectations)
    right = [
        [number for number in found if not one.differences(events[number])]
        for one, found in zip(expectations, spoken_of, strict=True)
    ]
    order = _Order(story, expectations)
    reading = _fulfil(expectations, right)
    if any(order.is_broken_by(number, reading) for number in reading):
        reading = _Ordered(order, right, reading).found or reading
    reading |= _closest(events, expectations, spoken_of, reading)
    return {expectations[number].name: events[event] for number, event in sorted(reading.items())}


def _spoken_of(events: Sequence[Event], expectations: Sequence[Expectation]) -> list[list[int]]:
    """For each expectation the events that are of its sort, by their numbers."""
    of_sort: dict[tuple[str, str, str], list[int]] = {}
    for number, event in enumerate(events):
        of_sort.setdefault((event.level, event.witness, event.kind), []).append(number)
    return [of_sort.get((one.level, one.witness, one.kind), []) for one in expectations]


def comes_before(story: Story, one: Event, other: Event) -> bool:
    """Whether it does for certain: by more than the clocks may be wrong."""
    return story.time_s(one) + story.error_s(other, one) < story.time_s(other)


class _Order:
    """What must not come before what."""

    def __init__(self, story: Story, expectations: Sequence[Expectation]) -> None:
        self._story = story
        numbers = {one.name: number for number, one in enumerate(expectations)}
        self._after = [[numbers[name] for name in one.after if name in numbers] for one in expectations]

    def is_broken_by(self, number: int, reading: _Reading) -> bool:
        """Whether an expectation's event comes before one that it must not come before."""
        events = self._story.events
        return any(
            earlier in reading
            and comes_before(self._story, events[reading[number]], events[reading[earlier]])
            for earlier in self._after[number]
        )

    def earlier_first(self, numbers: Sequence[int]) -> list[int]:
        """In their order, but each after those it must not come before."""
        ordered: dict[int, None] = {}

        def add(number: int, above: frozenset[int]) -> None:
            if number in ordered or number in above:
                return
            for earlier in self._after[number]:
                if earlier in wanted:
                    add(earlier, above | {number})
            ordered[number] = None

        wanted = set(numbers)
        for number in numbers:
            add(number, frozenset())
        return list(ordered)


def _fulfil(expectations: Sequence[Expectation], right: Sequence[Sequence[int]]) -> _Reading:
    """As many expectations as can be, with an event each that is just right.

    Those that must be seen come first, and keep an event when the others look for theirs (Kuhn's augmenting
    paths); events are taken as they came.
    """
    reading: _Reading = {}
    taken: dict[int, int] = {}

    def find(number: int, tried: set[int]) -> bool:
        for event in right[number]:
            if event not in taken:
                taken[event], reading[number] = number, event
                return True
        for event in right[number]:
            if event not in tried:
                tried.add(event)
                if find(taken[event], tried):
                    taken[event], reading[number] = number, event
                    return True
        return False

    for number in sorted(range(len(expectations)), key=lambda one: expectations[one].optional):
        find(number, set())
    return reading


class _Ordered:
    """A reading of the same expectations in which nothing comes too early, if there is one.

    Looked for by trying: what must come after something is chosen after it.
    """

    def __init__(self, order: _Order, right: Sequence[Sequence[int]], reading: _Reading) -> None:
        self._order = order
        self._right = right
        self._left = _CHOICES
        self._reading: _Reading = {}
        self._used: set[int] = set()
        self._numbers = order.earlier_first(list(reading))
        self.found = self._reading if self._choose(0) else None

    def _choose(self, at: int) -> bool:
        if at == len(self._numbers):
            return True
        number = self._numbers[at]
        for event in self._right[number]:
            if event in self._used:
                continue
            self._left -= 1
            if self._left < 0:
                return False
            self._reading[number] = event
            self._used.add(event)
            if not self._order.is_broken_by(number, self._reading) and self._choose(at + 1):
                return True
            del self._reading[number]
            self._used.discard(event)
        return False


def _closest(
    events: Sequence[Event],
    expectations: Sequence[Expectation],
    spoken_of: Sequence[Sequence[int]],
    reading: _Reading,
) -> _Reading:
    """For the others what is left, in order of increasing difference.

    So one wrong value is reported as wrong, and not as one event missing and another too many.
    """
    pairs = [
        (len(one.differences(events[number])), position, number)
        for position, one in enumerate(expectations)
        if position not in reading
        for number in spoken_of[position]
    ]
    found: _Reading = {}
    used = set(reading.values())
    for _, position, number in sorted(pairs):
        if position not in found and number not in used:
            found[position] = number
            used.add(number)
    return found
