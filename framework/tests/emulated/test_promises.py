# SPDX-License-Identifier: Apache-2.0
"""A few trials of each row of docs/SPEC.md; ``ci/soak`` runs hundreds."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "ci"))

from soaks import noise, suites, worlds
from soaks.__main__ import ROWS
from soaks.row import play

#: Trials of each; those of rows that are not emulated cost next to nothing.
TRIALS: Final = {
    "faults": 2,
    "controls": 1,
    "clones": 4,
    "rewinds": 1,
    "growth": 1,
    "suite": 1,
    "kills": 4,
    "interruptions": 6,
    "starvation": 6,
    "clock": 2,
    "workers": 1,
    "wedges": 6,
    "ssh": 1,
    "noise": 2,
    "mismatches": 10,
    "damage": 10,
    "leases": 2,
    "agent": 1,
}
_SEED: Final = 6


def test_every_row_is_tried() -> None:
    assert set(TRIALS) == set(ROWS)


@pytest.mark.emulated
@pytest.mark.parametrize("name", TRIALS)
def test_promise(name: str, monkeypatch: pytest.MonkeyPatch, runtime: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(worlds, "CLONES", 12)
    monkeypatch.setattr(worlds, "REWINDS", 11)
    monkeypatch.setattr(suites, "SUITE", "testcases/test_severities.py::test_logged_only")
    monkeypatch.setattr(noise, "LINES", 1600)
    result = asyncio.run(play(ROWS[name], numbers=list(range(TRIALS[name])), seed=_SEED))
    assert result.trials == TRIALS[name]
    assert not result.broken, f"ci/soak --seed {_SEED} --replay {name}:{result.broken[0]['number']}"
