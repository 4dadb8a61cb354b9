# SPDX-License-Identifier: Apache-2.0
"""The dry run: what would be done, to what, and what is owed in return."""

from __future__ import annotations

import pytest

from seabus.plugin.control import scenario_of


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Print the scenarios instead of running them."""
    if not session.config.option.seabus_dry_run:
        return None
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    for item in session.items:
        scenario = scenario_of(item)
        if scenario is None or reporter is None:
            continue
        reporter.write_line(item.nodeid, bold=True)
        reporter.write_line(f"  {scenario.title}")
        reporter.write_line(f"  fault: {scenario.fault}; judged at {', '.join(scenario.levels)}")
        for link in scenario.expects:
            reporter.write_line(f"    {link.level} {link.witness}: {link.name} - {link.promise}")
    return True
