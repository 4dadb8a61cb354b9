# SPDX-License-Identifier: Apache-2.0
"""A record of a channel that cannot be kept is this computer's fault, told once, at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from seabus.errors import DiskError
from seabus.machine.transcript import Transcript


def test_all_is_kept(tmp_path: Path) -> None:
    for data in (b"one\n", b"two\n"):
        with Transcript(tmp_path / "log") as kept:
            kept.write(data)
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_a_full_disk_is_told_at_the_end() -> None:
    kept = Transcript(Path("/dev/full"))
    kept.write(b"lost")
    kept.write(b"lost as well")
    with pytest.raises(DiskError, match="full could not be kept: No space left"):
        kept.close()
    kept.close()


def test_a_flood_is_cut(tmp_path: Path) -> None:
    with Transcript(tmp_path / "log", most=10) as kept:
        for _ in range(5):
            kept.write(b"12345678")
    assert (tmp_path / "log").stat().st_size == 16


def test_writing_after_the_end_is_harmless(tmp_path: Path) -> None:
    kept = Transcript(tmp_path / "log")
    kept.close()
    kept.write(b"late")
    assert (tmp_path / "log").read_bytes() == b""
