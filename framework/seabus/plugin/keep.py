# SPDX-License-Identifier: Apache-2.0
"""``--seabus-keep``: the world of a test that failed stays up after the run, for a person to look into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from seabus.plugin.evidence import FAILED

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from seabus.session.session import Session

#: The property that names a kept world.
_KEPT: Final = "seabus_kept"


def add_options(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--seabus-keep",
        action="store_true",
        help="leave the worlds of failed tests up after the run (see `seabus ps`, `seabus stop`)",
    )
    group.addoption(
        "--seabus-keep-for",
        type=float,
        default=3600.0,
        metavar="SECONDS",
        help="after which a kept world ends by itself [3600]",
    )


def if_failed(request: pytest.FixtureRequest, session: Session) -> None:
    """Keep a test's world if the test failed and the user wants that."""
    from seabus.attach import kept
    from seabus.world.world import EmulatedWorld

    world = session.world
    if not (request.config.option.seabus_keep and request.node.stash.get(FAILED, False)):
        return
    if isinstance(world, EmulatedWorld) and world.process.alive:
        session.run(world.keep(request.config.option.seabus_keep_for, beside=kept.beside(session)))
        request.node.user_properties.append((_KEPT, str(world.run_folder)))


def tell_kept(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """How to look into what was kept, whichever worker keeps it."""
    kept: dict[str, str] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if folder := dict(getattr(report, "user_properties", ())).get(_KEPT):
                kept[str(folder)] = report.nodeid
    if not kept:
        return
    from seabus.machine.run_folder import ways_in

    minutes = config.option.seabus_keep_for / 60
    terminalreporter.section("seabus: worlds that are kept")
    for folder, test in kept.items():
        terminalreporter.line(f"{test}: {Path(folder).name}, for {minutes:g} minutes")
        for way in ways_in(Path(folder), joinable=True):
            terminalreporter.line(f"  {way}")
        terminalreporter.line(f"  end it:       seabus stop {Path(folder).name}")
