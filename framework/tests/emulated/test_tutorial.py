# SPDX-License-Identifier: Apache-2.0
"""Every command of docs/tutorial.md and of the how-tos does what the page says, in its order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulated.played import play

pytestmark = [pytest.mark.emulated, pytest.mark.usefixtures("runtime")]

DOCS = Path(__file__).parents[3] / "docs"


def test_the_tutorial(tmp_path: Path) -> None:
    assert play(DOCS / "tutorial.md", tmp_path) == {"file": 2, "command": 21, "typed": 5}
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_how_to_write_a_scenario(tmp_path: Path) -> None:
    assert play(DOCS / "how-to/write-a-scenario.md", tmp_path) == {"file": 2, "command": 7}
