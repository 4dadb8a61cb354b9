# SPDX-License-Identifier: Apache-2.0
"""The catalogue as a table: scenarios are found by pytest, as it would run them, and none is run."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest

from seabus.catalogue.scenario import MARKER, Scenario
from seabus.errors import UsageError

# Seabus is imported already when the command line starts pytest, which would warn of that.
_QUIET: Final = ("-W", "ignore::pytest.PytestAssertRewriteWarning")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One scenario, and where it is.

    :param test: its pytest node id.
    :param reasons: what its test, or its module, says of it.
    """

    test: str
    scenario: Scenario
    needs: Sequence[str]
    world: dict[str, Any]
    reasons: str

    def as_json(self) -> dict[str, Any]:
        """One object for machines."""
        return {
            "test": self.test,
            "title": self.scenario.title,
            "fault": self.scenario.fault,
            "levels": self.scenario.levels,
            "witnesses": self.scenario.witnesses,
            "needs": list(self.needs),
            "world": {name: str(value) for name, value in self.world.items()},
            "expects": [
                {"name": link.name, "level": link.level, "witness": link.witness, "promise": link.promise}
                for link in self.scenario.expects
            ],
            "sources": list(self.scenario.sources),
            "reasons": self.reasons,
        }


class _Collector:
    """A plugin that keeps what was collected."""

    def __init__(self) -> None:
        self.found: list[Listed] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            marker = item.get_closest_marker(MARKER)
            if marker is None:
                continue
            world: dict[str, Any] = {}
            for chosen in reversed(list(item.iter_markers("seabus"))):
                world |= chosen.kwargs
            needs = [name for one in item.iter_markers("seabus_needs") for name in one.args]
            function = getattr(item, "function", None)
            module = getattr(item, "module", None)
            reasons = getattr(function, "__doc__", None) or getattr(module, "__doc__", None) or ""
            self.found.append(
                Listed(
                    test=item.nodeid,
                    scenario=marker.args[0],
                    needs=needs,
                    world=world,
                    reasons=" ".join(reasons.split()),
                )
            )


def collect(paths: Sequence[str]) -> list[Listed]:
    """The scenarios of test files or folders.

    :raises UsageError: pytest cannot collect them; its words are in the details.
    """
    collector = _Collector()
    said = io.StringIO()
    words = ["--collect-only", "-q", "-p", "no:cacheprovider", *_QUIET, *paths]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = pytest.main(words, plugins=[collector])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise UsageError(
            f"the scenarios of {' '.join(paths)} cannot be collected",
            hint="name a folder of test files, such as testcases",
            details={"pytest": said.getvalue()[-3000:]},
        )
    return collector.found


def as_markdown(found: Sequence[Listed]) -> str:
    """A table for documents."""
    lines = ["| scenario | fault | judged at | test |", "|---|---|---|---|"]
    for one in found:
        levels = ", ".join(one.scenario.levels)
        lines.append(f"| {one.scenario.title} | {one.scenario.fault} | {levels} | `{one.test}` |")
    return "\n".join(lines) + "\n"
