# SPDX-License-Identifier: Apache-2.0
"""The story of one fault: its events from all levels on one clock, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seabus.observe.clock import Alignment
from seabus.observe.events import Event, Level


class Story:
    """Events in order of time.

    :param zero_ns: the moment that counts as 0 s, on this computer's clock.
    """

    def __init__(self, events: Iterable[Event], clocks: Mapping[Level, Alignment], zero_ns: int) -> None:
        self.clocks = clocks
        self.zero_ns = zero_ns
        self.events = sorted(events, key=self.time_s)

    def time_s(self, event: Event) -> float:
        """Seconds since zero."""
        there = event.clock_ns + self.clocks[event.level].offset_ns
        return (there - self.zero_ns) / 1e9

    def error_s(self, one: Event, other: Event) -> float:
        """By how much the distance of two events may be wrong: nothing within one level."""
        if one.level == other.level:
            return 0.0
        return (self.clocks[one.level].error_ns + self.clocks[other.level].error_ns) / 1e9
