# SPDX-License-Identifier: Apache-2.0
"""A scenario's account of itself, carried by a pytest marker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import pytest

from seabus.errors import UsageError
from seabus.judge.expectation import Expectation, Link

#: The marker's name; its one argument is the :class:`Scenario`.
MARKER: Final = "seabus_scenario"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What a scenario does, and what every level owes in return.

    :param title: one line.
    :param fault: what goes wrong, in words.
    :param expects: the links of the chain; each must be expected when the verdict is reached, and no other.
    :param sources: where the promises are written, beyond what the links say.
    """

    title: str
    fault: str
    expects: tuple[Link, ...]
    sources: tuple[str, ...] = ()

    @property
    def levels(self) -> list[str]:
        """The levels that are judged."""
        return sorted({link.level for link in self.expects})

    @property
    def witnesses(self) -> list[str]:
        """Who is asked, as "level witness"."""
        return sorted({f"{link.level} {link.witness}" for link in self.expects})

    def check(self, expectations: Iterable[Expectation], *, without: Iterable[Link] = ()) -> None:
        """Hold what was expected in a run against what is announced here.

        :param without: links that the run's way to break a page does not cause.
        :raises UsageError: they differ, so one of them is wrong.
        """
        __tracebackhide__ = True
        announced = {link.name for link in self.expects}
        expected = {expectation.link for expectation in expectations}
        announced -= {link.name for link in without} - expected
        if announced != expected:
            missing, extra = sorted(announced - expected), sorted(expected - announced)
            raise UsageError(
                f"the scenario announces other links than it expects: never expected {missing or 'none'},"
                f" never announced {extra or 'none'}",
                hint="correct `expects` of its @scenario",
            )


def scenario(
    *, title: str, fault: str, expects: Iterable[Link], sources: Iterable[str] = ()
) -> pytest.MarkDecorator:
    """Mark a test, or one set of its parameters, as a scenario of the catalogue."""
    found = Scenario(title=title, fault=fault, expects=tuple(expects), sources=tuple(sources))
    mark: Any = getattr(pytest.mark, MARKER)
    decorated: pytest.MarkDecorator = mark(found)
    return decorated
