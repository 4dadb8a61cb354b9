# SPDX-License-Identifier: Apache-2.0
"""Under pytest-xdist: how many workers there are, and what a test comes to whose worker was killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import pytest

from seabus.plugin import circumstances, evidence

#: Memory a worker with one clone needs, and what is left to everybody else, in MiB.
_WORKER_MIB: Final = 500
_SPARE_MIB: Final = 2048
#: The phase of the report that xdist makes of a crash.
_CRASHED: Final = "???"
_CGROUP: Final = Path("/sys/fs/cgroup")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """``-n auto``: as many workers as there are cores, and memory for their clones."""
    del config
    import psutil

    free = psutil.virtual_memory().available >> 20
    return workers(free_mib=min(free, _left_mib(free)), cores=min(len(os.sched_getaffinity(0)), _quota()))


def workers(*, free_mib: int, cores: int) -> int:
    """At least one, whatever there is."""
    return max(1, min(cores, (free_mib - _SPARE_MIB) // _WORKER_MIB))


def _left_mib(otherwise: int) -> int:
    """What a container may still use (Linux Documentation/admin-guide/cgroup-v2.rst)."""
    try:
        most, used = ((_CGROUP / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        return (int(most) - int(used)) >> 20
    except (OSError, ValueError):  # none, or "max"
        return otherwise


def _quota() -> int:
    """Cores' worth of time that a container may use."""
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return os.cpu_count() or 1


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched: Any) -> None:  # noqa: ANN401
    """The test of a killed worker is an error, if a world was made for it; its evidence is still there."""
    config: pytest.Config = sched.config
    if folder := evidence.unfinished(config, crashitem):
        report.user_properties += [(evidence.ARTEFACTS, str(folder)), (evidence.VERDICT, "error")]
        report.sections.append(("seabus artefacts", str(folder)))
        seed = circumstances.crashed(folder, crashitem, report.node.gateway.id)
        if seed is not None:
            report.sections.append(("seabus seed", f"--seabus-seed={seed}"))


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """JUnit writes a test's properties when it hears of its end, which a killed worker cannot tell."""
    phase: str | None = report.when
    if phase != _CRASHED or evidence.VERDICT not in dict(report.user_properties):
        return
    node = report.node
    end = pytest.TestReport(
        report.nodeid, report.location, {}, "passed", None, "teardown", user_properties=report.user_properties
    )
    end.node = node  # type: ignore[attr-defined]
    node.config.hook.pytest_runtest_logreport(report=end)
