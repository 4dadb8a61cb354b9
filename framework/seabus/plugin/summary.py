# SPDX-License-Identifier: Apache-2.0
"""What is said at the end of a run, beside the outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seabus.judge.verdict import Verdict
from seabus.plugin import keep, lab

if TYPE_CHECKING:
    import pytest
    from _pytest.terminal import TerminalReporter


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Tests without a verdict, worlds that are kept, and tests that were moved to another lab host."""
    _tell_unknown(terminalreporter)
    keep.tell_kept(terminalreporter, config)
    lab.tell_moves(terminalreporter)


def _tell_unknown(terminal: TerminalReporter) -> None:
    """Pytest shows what its own outcomes came from, and no others."""
    reports = terminal.getreports(str(Verdict.UNKNOWN))
    if not reports:
        return
    terminal.section("no verdict")
    for report in reports:
        terminal.write_sep("_", report.head_line or report.nodeid, bold=True, yellow=True)
        terminal.write_line(report.longreprtext)
        for name, content in report.sections:
            terminal.write_sep("-", name)
            terminal.write_line(content)
    for report in reports:
        crash = getattr(report.longrepr, "reprcrash", None)
        words = str(crash.message if crash else report.longreprtext).strip().splitlines()
        terminal.write_line(f"UNKNOWN {report.nodeid} - {words[0] if words else ''}")
