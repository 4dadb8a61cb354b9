# SPDX-License-Identifier: Apache-2.0
"""What becomes of a fetch that fails; mmdebstrap is a stand-in here, the image builds use the real one."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from pathlib import Path

import psutil
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


STUBBORN = """
trap '' PIPE
trap 'echo "I: main() received signal TERM: waiting for setup..." >&2' TERM
sh -c 'echo $$ >"$0"; echo "I: downloading..." >&2; exec sleep 60' "$PIDS" &
wait; wait
echo "I: removing the root directory..." >&2
touch "$PIDS.cleaned"
"""


def stubborn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As mmdebstrap is: told to end, it waits for what it started, and then cleans up."""
    monkeypatch.setenv("PIDS", str(folder / "pid"))
    stand_in(folder, monkeypatch, STUBBORN)
    return folder / "pid"


def is_gone(pid: Path) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(int(pid.read_text())).status() == psutil.STATUS_ZOMBIE  # to be reaped
    return True


def test_what_a_fetch_that_never_ends_has_started_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = stubborn(tmp_path, monkeypatch)
    monkeypatch.setattr(packages, "_FETCH_SECONDS", 0.5)
    with pytest.raises(ImageError, match="did not fetch the arm64 packages within"):
        fetch(tmp_path)
    assert is_gone(pid)
    assert (tmp_path / "pid.cleaned").exists()


def test_an_interruption_ends_what_a_fetch_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = stubborn(tmp_path, monkeypatch)

    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packages.fetch(["dash"], architecture="arm64", source=SOURCE, tar=tmp_path / "tar", say=interrupted)
    assert is_gone(pid)
    assert (tmp_path / "pid.cleaned").exists()


def test_what_ends_by_nothing_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIDS", str(tmp_path / "pid"))
    stand_in(tmp_path, monkeypatch, "trap '' TERM; echo $$ >$PIDS; while :; do sleep 1; done")
    monkeypatch.setattr(packages, "_FETCH_SECONDS", 0.5)
    monkeypatch.setattr(packages, "_CLEAN_UP_SECONDS", 1)
    with pytest.raises(ImageError, match="did not fetch the arm64 packages within"):
        fetch(tmp_path)
    assert is_gone(tmp_path / "pid")


def test_a_killed_builder_leaves_no_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = stubborn(tmp_path, monkeypatch)
    builder = multiprocessing.get_context("fork").Process(target=fetch, args=(tmp_path,))
    builder.start()
    late = time.monotonic() + 20
    while not (pid.exists() and pid.read_text()) and time.monotonic() < late:
        time.sleep(0.02)
    builder.kill()
    builder.join()
    while not (is_gone(pid) and (tmp_path / "pid.cleaned").exists()) and time.monotonic() < late:
        time.sleep(0.02)
    assert is_gone(pid)
    assert (tmp_path / "pid.cleaned").exists()


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("W: /etc/subuid is empty\nE: failed to parse /etc/subuid and /etc/subgid", "--add-subuids"),
        ("E: newuidmap failed", "apt-get install uidmap"),
        ("E: Failed to fetch http://x", "SEABUS_MIRROR"),
        ("tar: No space left on device", "free some room"),
    ],
)
def test_the_advice_is_for_what_was_said(said: str, advice: str) -> None:
    assert advice in packages._advice(said)
