# SPDX-License-Identifier: Apache-2.0
"""``--seabus-lab FILE``: the same tests on hosts of a lab, one host a worker."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from seabus.errors import HostError, MachineError

if TYPE_CHECKING:
    from seabus.lab.bench import Bench

_BENCH: Final = pytest.StashKey["Bench"]()
#: The property that names the host a test ran on.
HOST: Final = "seabus_host"


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
        type=float,
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


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A test whose host fails before anything was broken on it runs again, once, on another host."""
    if item.config.option.seabus_lab is None:
        return None
    from _pytest.runner import runtestprotocol

    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    if _failed_for_nothing(item, reports):
        if hasattr(item, "_initrequest"):
            item._initrequest()
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _failed_for_nothing(item: pytest.Item, reports: list[pytest.TestReport]) -> bool:
    from seabus.plugin.evidence import SESSION
    from seabus.plugin.outcomes import ERROR

    session, error = item.stash.get(SESSION, None), item.stash.get(ERROR, None)
    failed = any(report.failed and report.when == "call" for report in reports)
    item.stash[ERROR] = None
    return (
        failed
        and session is not None
        and not session.stage.broke
        and isinstance(error, MachineError | HostError)
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The host is given back when the worker has no more tests."""
    if _BENCH in session.config.stash:
        session.config.stash[_BENCH].close()
        del session.config.stash[_BENCH]
