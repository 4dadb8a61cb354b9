# SPDX-License-Identifier: Apache-2.0
"""Settings shared by all tests of Seabus itself."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Tests are never timed: a loaded machine is slow, and that is no defect of what is tested.
settings.register_profile("seabus", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("seabus")


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of our own for what runs, so that others' runs are not mistaken for ours.

    Not below pytest's: the path of a socket in it must not be too long.
    """
    with tempfile.TemporaryDirectory(prefix="sb-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)
