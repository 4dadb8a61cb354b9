# SPDX-License-Identifier: Apache-2.0
"""What becomes of a fetch that fails; mmdebstrap is a stand-in here, the image builds use the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from seabus.errors import ImageError
from seabus.images import packages
from seabus.images.recipe import Source

SOURCE = Source(suite="trixie", mirror="")


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "mmdebstrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def fetch(folder: Path) -> list[str]:
    said: list[str] = []
    packages.fetch(["dash"], architecture="arm64", source=SOURCE, tar=folder / "tar", say=said.append)
    return said


def test_progress_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "echo 'I: downloading packages with apt...' >&2; printf archive")
    assert fetch(tmp_path) == ["arm64 packages: downloading packages with apt"]
    assert (tmp_path / "tar").read_bytes() == b"archive"


def test_a_failure_quotes_the_last_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "echo 'E: Failed to fetch something' >&2; exit 25")
    with pytest.raises(ImageError, match=r"could not fetch the arm64 packages \(exit status 25\)") as caught:
        fetch(tmp_path)
    assert "SEABUS_MIRROR" in caught.value.hint
    assert "Failed to fetch something" in caught.value.details["mmdebstrap"]


def test_a_fetch_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "echo 'I: waiting...' >&2; exec sleep 60")
    monkeypatch.setattr(packages, "_FETCH_SECONDS", 0.3)
    with pytest.raises(ImageError, match="did not fetch the arm64 packages within"):
        fetch(tmp_path)


def test_a_disk_that_is_full_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mmdebstrap then sends its process group a SIGHUP (`kill HUP => -getpgrp()`): not to us."""
    stand_in(tmp_path, monkeypatch, "echo 'W: tar: No space left on device' >&2; kill -HUP 0; exit 1")
    with pytest.raises(ImageError, match="could not fetch the arm64 packages") as caught:
        fetch(tmp_path)
    assert "free some room" in caught.value.hint
