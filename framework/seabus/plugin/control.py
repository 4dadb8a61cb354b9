# SPDX-License-Identifier: Apache-2.0
"""Checks of the checks: scenarios without their injection, or with wrong expectations, must fail."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, cast

import pytest

from seabus.catalogue.scenario import MARKER, Scenario
from seabus.errors import NoVerdictError
from seabus.judge.verdict import NotAsExpectedError, Verdict
from seabus.plugin.evidence import SESSION

if TYPE_CHECKING:
    from seabus.faults.fault import Fault
    from seabus.judge.expectation import Link


def scenario_of(item: pytest.Item) -> Scenario | None:
    """The test's account of itself, if it is a scenario."""
    marker = item.get_closest_marker(MARKER)
    return cast(Scenario, marker.args[0]) if marker else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The negative control and the dry run are about scenarios alone."""
    if not (config.option.seabus_negative_control or config.option.seabus_dry_run):
        return
    others = [item for item in items if scenario_of(item) is None]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if scenario_of(item) is not None]
    for item in items:
        # A known defect is expected to fail as well: that is not the failure looked for here.
        for node in item.listchain():
            node.own_markers = [marker for marker in node.own_markers if marker.name != "xfail"]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A scenario must reach a verdict by what it announces; in a control, the right one is `fail`."""
    __tracebackhide__ = True
    scenario = scenario_of(pyfuncitem)
    if scenario is None:
        return (yield)
    if pyfuncitem.config.option.seabus_negative_control:
        try:
            yield
        except NotAsExpectedError as error:
            if error.judgement.verdict is not Verdict.FAIL:
                raise
            return True
        pytest.fail("passed without its injection: this scenario cannot fail", pytrace=False)
    result = yield
    session = pyfuncitem.stash.get(SESSION, None)
    if session is None or session.outcome is None:
        raise NoVerdictError("the scenario ended without a verdict", hint="end it with world.expect(…)")
    scenario.check(session.outcome.expectations, without=_uncaused(session.outcome.faults))
    if pyfuncitem.config.option.seabus_mutate:
        _mutate(pyfuncitem)
    return result


def _uncaused(faults: Sequence[Fault]) -> Sequence[Link]:
    """A lab host is not told by a record of firmware that a page is bad."""
    from seabus.chains import host
    from seabus.faults.record import MemoryRecord, SectionRecord

    return [] if any(isinstance(one, MemoryRecord | SectionRecord) for one in faults) else [host.RECORD]


def _mutate(item: pytest.Function) -> None:
    from seabus.judge.judge import judge
    from seabus.judge.mutation import mutants

    outcome = item.stash[SESSION].outcome
    assert outcome is not None
    survivors, count = [], 0
    for mutant in mutants(outcome.expectations, outcome.judgement.seen):
        count += 1
        if judge(outcome.story, mutant.expectations).verdict is Verdict.PASS:
            survivors.append(mutant.what)
    item.user_properties.append(("seabus_mutants", f"{count - len(survivors)}/{count}"))
    if survivors:
        listed = "\n".join(f"  - {what}" for what in survivors)
        pytest.fail(f"{len(survivors)} of {count} wrong expectations pass:\n{listed}", pytrace=False)
