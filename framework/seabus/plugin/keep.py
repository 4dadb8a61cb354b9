# SPDX-License-Identifier: Apache-2.0
"""``--seabus-keep``: the world of a test that failed stays up after the run, for a person to look into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from seabus import durations
from seabus.plugin.evidence import FAILED

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from seabus.session.session import Session

#: The properties that name a kept world, and the tests that failed in it.
_KEPT: Final = "seabus_kept"
_FAILED: Final = "seabus_kept_of"


def add_options(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--seabus-keep",
        action="store_true",
        help="leave the worlds of failed tests up after the run (see `seabus ps`, `seabus stop`)",
    )
    group.addoption(
        "--seabus-keep-for",
        type=durations.seconds,
        default=3600.0,
        metavar="SECONDS",
        help="after which a kept world ends by itself [3600]",
    )


def if_failed(request: pytest.FixtureRequest, session: Session) -> None:
    """Keep a world if its test, or one of those that share it, failed and the user wants that."""
    from seabus.attach import kept
    from seabus.world.world import EmulatedWorld

    world = session.world
    # A module's world ends with its module's last test, which need not be one that has it.
    items = [item for item in request.session.items if request.node in item.listchain()]
    sharing = [item for item in items if request.fixturename in getattr(item, "fixturenames", ())]
    failed = [item.nodeid for item in sharing if item.stash.get(FAILED, False)]
    if not (request.config.option.seabus_keep and failed):
        return
    if isinstance(world, EmulatedWorld) and world.process.alive:
        session.run(world.keep(request.config.option.seabus_keep_for, beside=kept.beside(session)))
        for item in items:
            item.user_properties += [(_KEPT, str(world.run_folder)), (_FAILED, ", ".join(failed))]


def tell_kept(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """How to look into what was kept, whichever worker keeps it."""
    kept: dict[str, str] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            told = dict(getattr(report, "user_properties", ()))
            if _KEPT in told:
                kept[str(told[_KEPT])] = str(told[_FAILED])
    if not kept:
        return
    from seabus.machine.run_folder import ways_in

    minutes = config.option.seabus_keep_for / 60
    terminalreporter.section("seabus: worlds that are kept")
    for folder, tests in kept.items():
        terminalreporter.line(f"{tests}: {Path(folder).name}, for {minutes:g} minutes")
        for way in ways_in(Path(folder), joinable=True):
            terminalreporter.line(f"  {way}")
        terminalreporter.line(f"  end it:       seabus stop {Path(folder).name}")
