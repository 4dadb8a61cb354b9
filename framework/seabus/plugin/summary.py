# SPDX-License-Identifier: Apache-2.0
"""What is said at the end of a run, beside the outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seabus.plugin import keep, lab

if TYPE_CHECKING:
    import pytest
    from _pytest.terminal import TerminalReporter


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Worlds that are kept, and tests that were moved to another lab host."""
    keep.tell_kept(terminalreporter, config)
    lab.tell_moves(terminalreporter)
