# SPDX-License-Identifier: Apache-2.0
"""``--seabus-lab FILE``: the same tests on hosts of a lab, one host a worker."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from _pytest.runner import runtestprotocol

from seabus import durations
from seabus.errors import HostError, LeaseLostError, MachineError, SeabusError
from seabus.plugin import evidence, outcomes

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from seabus.lab.bench import Bench, Move
    from seabus.session.session import Session

_BENCH: Final = pytest.StashKey["Bench"]()
_PLACE: Final = pytest.StashKey[str]()
#: The property that names the host a test ran on.
HOST: Final = "seabus_host"
#: Properties of a test that began on another host, which was left before anything was broken there.
MOVED_FROM: Final = "seabus_moved_from"
MOVED_WHY: Final = "seabus_moved_because"


def add_options(group: pytest.OptionGroup) -> None:
    """Those that are about a lab."""
    group.addoption(
        "--seabus-lab",
        type=Path,
        metavar="FILE",
        help="run on the hosts of this lab file, which are poisoned, instead of emulated ones",
    )
    group.addoption(
        "--seabus-lab-wait",
        type=durations.seconds,
        default=3600.0,
        metavar="SECONDS",
        help="how long a worker waits for a host that others hold [3600]",
    )


def bench(config: pytest.Config) -> Bench:
    """This worker's place in the lab; made when the first test asks for it."""
    if _BENCH not in config.stash:
        from seabus.images import guests
        from seabus.images.store import Store
        from seabus.lab import inventory
        from seabus.lab.bench import Bench as LabBench

        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        say = _teller(worker)
        config.stash[_BENCH] = LabBench(
            inventory.load(config.option.seabus_lab),
            guests.get(Store(), say=say),
            number=int(worker) if worker.isdigit() else 0,
            patience=config.option.seabus_lab_wait,
            say=say,
        )
    return config.stash[_BENCH]


def _teller(worker: str) -> Callable[[str], None]:
    """Progress goes past pytest's capture: waiting for a host may take long."""
    started = time.monotonic()
    stream = os.fdopen(os.dup(sys.__stderr__.fileno()), "w", buffering=1) if sys.__stderr__ else None

    def say(text: str) -> None:
        if stream:
            stream.write(f"[{time.monotonic() - started:6.1f} s] gw{worker}: {text}\n")

    return say


def stand_on(node: pytest.Item | pytest.Collector, session: Session, moved: Move | None) -> None:
    """Note which host a test's session is on, or that of its module, and what it was moved from."""
    node.stash[_PLACE] = str(session.world.notes["versions"]["lab_host"])
    if moved is not None:
        node.stash[evidence.MOVED] = (moved.host, moved.why)
    elif not isinstance(node, pytest.Item) and evidence.MOVED in node.stash:
        del node.stash[evidence.MOVED]  # that was a world before this one


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A test whose host fails before anything was broken on it runs again, once, on another host."""
    if item.config.option.seabus_lab is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    told = list(item.user_properties)
    item.stash[outcomes.ERROR] = None
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    may_move = _may_move(item, reports)
    if may_move or isinstance(item.stash[outcomes.ERROR], LeaseLostError):
        moved, ends = _leave(item)
        if may_move and moved is not None:
            _as_if_new(item, told)
            item.stash[evidence.MOVED] = (moved.host, moved.why)
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
        reports += ends
    for report in reports:
        report.user_properties += _whereabouts(item)
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _may_move(item: pytest.Item, reports: list[pytest.TestReport]) -> bool:
    """Whether a test failed before anything was broken, perhaps by its host's fault, the first time."""
    session, error = evidence.session_of(item), item.stash.get(outcomes.ERROR, None)
    return (
        any(report.failed and report.when in ("setup", "call") for report in reports)
        and session is not None
        and not session.stage.broke
        and isinstance(error, MachineError | HostError)
        and evidence.moved(item) is None
    )


def _leave(item: pytest.Item) -> tuple[Move | None, list[pytest.TestReport]]:
    """Leave a test's host, if it is to blame; and what went wrong with the user's fixtures on the way."""
    session, error = evidence.session_of(item), item.stash[outcomes.ERROR]
    if session is None or not isinstance(error, SeabusError):
        return None, []
    place = session.world.notes["versions"]["lab_host"]
    # A world that the tests of a module share stands on the same host.
    end = pytest.CallInfo.from_call(
        lambda: item.session._setupstate.teardown_exact(item.session),  # type: ignore[arg-type]
        when="teardown",
    )
    ends = []
    if end.excinfo is not None and not isinstance(end.excinfo.value, SeabusError):
        ends.append(item.ihook.pytest_runtest_makereport(item=item, call=end))
    return bench(item.config).move_from(place, error), ends


def _as_if_new(item: pytest.Item, told: list[tuple[str, object]]) -> None:
    """Nothing of a test's first try is taken for the second's; its folder of artefacts stays."""
    item.user_properties[:] = told
    of_the_try: tuple[pytest.StashKey[Any], ...] = (
        evidence.SESSION,
        evidence.VERSIONS,
        evidence.CONFIGURATION,
        evidence.FOLDER,
        evidence.STARTED,
        evidence.FAILED,
        outcomes.ERROR,
    )
    for key in of_the_try:
        if key in item.stash:
            del item.stash[key]
    if hasattr(item, "_initrequest"):
        item._initrequest()


def _whereabouts(item: pytest.Item) -> list[tuple[str, object]]:
    """Properties of a test that say where it ran."""
    found: list[tuple[str, object]] = []
    if (place := evidence.found(item, _PLACE)) is not None:
        found.append((HOST, place))
    if (moved := evidence.moved(item)) is not None:
        found += [(MOVED_FROM, moved[0]), (MOVED_WHY, moved[1])]
    return found


def tell_moves(terminal: TerminalReporter) -> None:
    """A test that ran elsewhere than it began is no test like the others, whatever its outcome."""
    moves: dict[str, str] = {}
    for outcome, reports in terminal.stats.items():
        for report in reports:
            told = dict(getattr(report, "user_properties", ()))
            if outcome and MOVED_FROM in told:
                where = f"{told[MOVED_FROM]} to {told.get(HOST, 'none')}"
                moves[report.nodeid] = f"{outcome} after a move from {where} ({told[MOVED_WHY]})"
    if moves:
        terminal.section("seabus: tests that were moved to another lab host")
        for test, text in moves.items():
            terminal.line(f"{test}: {text}")


@pytest.hookimpl(trylast=True)  # after pytest has ended what fixtures an interruption left
def pytest_sessionfinish(session: pytest.Session) -> None:
    """The host is given back when the worker has no more tests."""
    if _BENCH in session.config.stash:
        session.config.stash[_BENCH].close()
        del session.config.stash[_BENCH]
