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
_CHOICES: Final = 20_000
#: Expectation to event, by their numbers.
_Reading = dict[int, int]


def assign(story: Story, expectations: Sequence[Expectation]) -> dict[str, Event]:
    """Expectation name to the event that fulfils it best."""
    events = story.events
    right = [
        [n for n, event in enumerate(events) if one.speaks_of(event) and not one.differences(event)]
        for one in expectations
    ]
    reading = _fulfil(expectations, right)
    if any(late(story, expectations, reading, number) for number in reading):
        reading = _Ordered(story, expectations, right, reading).found or reading
    reading |= _closest(events, expectations, reading)
    return {expectations[number].name: events[event] for number, event in sorted(reading.items())}


def late(story: Story, expectations: Sequence[Expectation], reading: _Reading, number: int) -> list[str]:
    """Those it must come after, and comes before, by more than the clocks may be wrong."""
    numbers = {one.name: other for other, one in enumerate(expectations)}
    found = []
    for name in expectations[number].after:
        earlier = reading.get(numbers.get(name, -1))
        if earlier is not None and comes_before(story, story.events[reading[number]], story.events[earlier]):
            found.append(name)
    return found


def comes_before(story: Story, one: Event, other: Event) -> bool:
    """Whether it does for certain."""
    return story.time_s(one) + story.error_s(other, one) < story.time_s(other)


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

    def __init__(
        self,
        story: Story,
        expectations: Sequence[Expectation],
        right: Sequence[Sequence[int]],
        reading: _Reading,
    ) -> None:
        self._story = story
        self._expectations = expectations
        self._right = right
        self._left = _CHOICES
        self._reading: _Reading = {}
        self.found: _Reading | None = None
        if self._choose(_earlier_first(expectations, list(reading))):
            self.found = self._reading

    def _choose(self, numbers: list[int]) -> bool:
        if not numbers:
            return True
        number, rest = numbers[0], numbers[1:]
        for event in self._right[number]:
            if event in self._reading.values():
                continue
            self._left -= 1
            if self._left < 0:
                return False
            self._reading[number] = event
            if not late(self._story, self._expectations, self._reading, number) and self._choose(rest):
                return True
            del self._reading[number]
        return False


def _earlier_first(expectations: Sequence[Expectation], numbers: list[int]) -> list[int]:
    """In their order, but each after those it must come after."""
    by_name = {expectations[number].name: number for number in numbers}
    ordered: dict[int, None] = {}

    def add(number: int, above: frozenset[int]) -> None:
        if number in ordered or number in above:
            return
        for name in expectations[number].after:
            if name in by_name:
                add(by_name[name], above | {number})
        ordered[number] = None

    for number in numbers:
        add(number, frozenset())
    return list(ordered)


def _closest(events: Sequence[Event], expectations: Sequence[Expectation], reading: _Reading) -> _Reading:
    """For the others what is left, in order of increasing difference.

    So one wrong value is reported as wrong, and not as one event missing and another too many.
    """
    pairs = [
        (len(one.differences(event)), position, number)
        for position, one in enumerate(expectations)
        for number, event in enumerate(events)
        if position not in reading and one.speaks_of(event)
    ]
    found: _Reading = {}
    used = set(reading.values())
    for _, position, number in sorted(pairs):
        if position not in found and number not in used:
            found[position] = number
            used.add(number)
    return found
