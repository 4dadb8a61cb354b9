# SPDX-License-Identifier: Apache-2.0
"""Verdicts become outcomes: fail, error, skip and unknown are told apart wherever a result is shown."""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any, Final

import pytest

from seabus.errors import CapabilityError, SeabusError
from seabus.judge.verdict import Judgement, NotAsExpectedError, Verdict
from seabus.machine.run_folder import ways_in
from seabus.plugin import circumstances, evidence
from seabus.plugin.evidence import SESSION, VERDICT

#: Where a test's error is found again once it has ended.
ERROR: Final = pytest.StashKey[BaseException | None]()
#: What the test's own function came to.
_OF_CALL: Final = pytest.StashKey[Verdict]()
#: What pytest-timeout says when it ends a test by a signal.
_TIMED_OUT: Final = "from pytest-timeout"
_SHOWN: Final = {
    Verdict.ERROR: ("error", "E", "ERROR"),
    Verdict.UNKNOWN: ("unknown", "U", ("UNKNOWN", {"yellow": True})),
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    __tracebackhide__ = True
    if shared := evidence.session_of(item):
        shared.outcome = None  # that of the test before
    return (yield from _skipping(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    __tracebackhide__ = True
    return (yield from _skipping(item))


def _skipping(item: pytest.Item) -> Generator[None, object, object]:
    """A missing capability is a skip that names its probe, unless it is required."""
    __tracebackhide__ = True
    try:
        return (yield)
    except CapabilityError as error:
        required = item.config.option.seabus_require
        if "all" in required or error.capability in required:
            raise
        pytest.skip(f"{error.message} ({error.hint})" if error.hint else error.message)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the verdict, and say where the evidence of a test that did not pass lies."""
    report = yield
    session = evidence.session_of(item)
    error = call.excinfo.value if call.excinfo else None
    if error is not None:
        item.stash[ERROR] = error
    if _is_told(item, report, error):
        verdict = _verdict(report, error, session.outcome.judgement if session and session.outcome else None)
        if report.when == "call":
            item.stash[_OF_CALL] = verdict
        _note(item, report, verdict)
        try:
            evidence.write_result(item, verdict, error, report)
        except (
            OSError
        ) as refused:  # the disk is full, perhaps: that the test failed is to be told all the same
            report.sections.append(("seabus: the result could not be written", str(refused)))
    if report.failed:
        item.stash[evidence.FAILED] = True
        if isinstance(error, SeabusError):
            report.sections.extend(_evidence(error))
        if folder := evidence.folder_of(item):
            report.sections.append(("seabus artefacts", str(folder)))
            report.sections.append(("seabus seed", f"--seabus-seed={circumstances.seed_of(item)}"))
    return report


def _is_told(item: pytest.Item, report: pytest.TestReport, error: BaseException | None) -> bool:
    """Whether a phase decides what a test with a folder, or its module's session, comes to.

    What goes wrong as a test ends is told, but not instead of what it found wrong with the system.
    """
    has_folder = evidence.FOLDER in item.stash
    if report.when == "call":
        return has_folder or evidence.session_of(item) is not None
    if report.when == "teardown" and item.stash.get(_OF_CALL, None) is Verdict.FAIL:
        return False
    return _ours(error) or (has_folder and error is not None)


def _ours(error: BaseException | None) -> bool:
    """Whether a set-up or an end went wrong in Seabus, or for want of something."""
    return isinstance(error, SeabusError) or isinstance(getattr(error, "__context__", None), CapabilityError)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, Any] | None:
    """A failed test whose verdict is `error` or `unknown` is called so, and counted so."""
    if report.when in ("setup", "teardown") or not report.failed:
        return None
    verdict = dict(getattr(report, "user_properties", ())).get(VERDICT)  # a collector has none
    return next((shown for kind, shown in _SHOWN.items() if verdict == str(kind)), None)


@pytest.hookimpl(tryfirst=True)  # before the debugger opens
def pytest_exception_interact(node: pytest.Item | pytest.Collector, report: pytest.TestReport) -> None:
    """Under --pdb the world stays up: say how to look into it."""
    del report
    if not isinstance(node, pytest.Item) or not node.config.option.usepdb:
        return
    from seabus.world.world import EmulatedWorld

    session = node.stash.get(SESSION, None)
    if session is not None and isinstance(session.world, EmulatedWorld):
        with node.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            pid = session.world.process.pid
            sys.stderr.write(
                f"\nseabus: the world is up until you leave the debugger (emulator {pid})\n"
                + "".join(f"  {way}\n" for way in ways_in(session.world.run_folder))
            )


def _note(item: pytest.Item, report: pytest.TestReport, verdict: Verdict) -> None:
    """On this report for the terminal, and on the item for JUnit, which reads the last report's."""
    told: list[tuple[str, object]] = [(VERDICT, str(verdict))]
    if folder := evidence.folder_of(item):
        told.append((evidence.ARTEFACTS, str(folder)))
    if scenario := evidence.scenario_of(item):
        told.append((evidence.TITLE, scenario["title"]))
    names = [name for name, _ in told]
    for properties in (report.user_properties, item.user_properties):  # of an earlier phase there may be some
        properties[:] = [*(one for one in properties if one[0] not in names), *told]


def _verdict(report: pytest.TestReport, error: BaseException | None, judgement: Judgement | None) -> Verdict:
    if error is None and report.failed:
        return Verdict.FAIL  # a known defect was not met: pytest's strict xfail
    if error is None:
        return judgement.verdict if judgement else Verdict.UNKNOWN
    if isinstance(error, NotAsExpectedError):
        return error.judgement.verdict
    if isinstance(error, pytest.skip.Exception):
        return Verdict.SKIP
    if isinstance(error, SeabusError):
        return Verdict.UNKNOWN if error.exit_code == 4 else Verdict.ERROR
    if _TIMED_OUT in str(error):
        return Verdict.ERROR  # a deadline of the user's: it says nothing of the system under test
    failed = report.when == "call" and isinstance(error, AssertionError | pytest.fail.Exception)
    return Verdict.FAIL if failed else Verdict.ERROR


def _evidence(error: SeabusError) -> list[tuple[str, str]]:
    from seabus.machine.console import printable

    hint = [("seabus: try", printable(error.hint))] if error.hint else []
    return hint + [(f"seabus: {title}", printable(text)) for title, text in error.details.items() if text]
