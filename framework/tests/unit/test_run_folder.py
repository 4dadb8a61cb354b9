# SPDX-License-Identifier: Apache-2.0
"""What a killed owner leaves is found by its lock and removed; what lives is left alone."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from seabus import folders
from seabus.errors import HostError
from seabus.machine import run_folder
from seabus.undertaker import Undertaker

OWNER = """
import subprocess, sys
from seabus.machine.run_folder import RunFolder
folder = RunFolder("test")
child = subprocess.Popen(["sleep", "300"])
folder.note_emulator(child.pid)
print(folder.path, child.pid, folder.undertaker.pid, flush=True)
sys.stdin.read()
"""


pytestmark = pytest.mark.usefixtures("runtime")


def start_owner() -> tuple[subprocess.Popen[str], Path, int, int]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    path, child, undertaker = owner.stdout.readline().split()
    return owner, Path(path), int(child), int(undertaker)


def emulator_of(folder: Path) -> subprocess.Popen[bytes]:
    """A program that can be given any argument, as an emulator is given its sockets."""
    sleeping = "import time; time.sleep(300)"
    return subprocess.Popen([sys.executable, "-c", sleeping, f"path={folder}/qmp.sock"])


def soon(true: Callable[[], bool]) -> bool:
    late = time.monotonic() + 5
    while not true() and time.monotonic() < late:
        time.sleep(0.02)
    return true()


def test_a_living_run_is_shown_and_not_reaped() -> None:
    with run_folder.RunFolder("test") as folder:
        assert run_folder.reap() == []
        (found,) = run_folder.running()
        assert (found.folder, found.owner_pid, found.purpose) == (folder.path, os.getpid(), "test")
    assert run_folder.running() == []
    assert not folder.path.exists()


def test_what_a_killed_owner_leaves_goes_by_itself() -> None:
    owner, path, child, _ = start_owner()
    assert [run.folder for run in run_folder.running()] == [path]
    with owner, emulator_of(path) as emulator:
        os.kill(owner.pid, signal.SIGKILL)
        assert emulator.wait(5) == -signal.SIGKILL
        assert soon(lambda: not list(path.parent.iterdir()))
    # The child does not name the folder in its arguments: it could be anybody's, and is left alone.
    assert psutil.pid_exists(child)
    psutil.Process(child).kill()


def test_nobody_is_left_of_an_owner_who_ended_well() -> None:
    with run_folder.RunFolder("test") as folder:
        assert psutil.pid_exists(folder.undertaker.pid)
    assert not psutil.pid_exists(folder.undertaker.pid)


def test_what_its_owner_cannot_remove_goes_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has no descriptor left cannot empty a folder."""
    folder = run_folder.RunFolder("test")
    (folder.path / "socket").touch()
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", lambda *_, **__: None)
        folder.close()
    assert soon(lambda: not list(folder.path.parent.iterdir()))
    os.waitpid(folder.undertaker.pid, 0)


def test_the_next_start_reaps_where_the_undertaker_was_killed_too() -> None:
    owner, path, child, undertaker = start_owner()
    with owner:
        os.killpg(undertaker, signal.SIGKILL)
        assert soon(lambda: psutil.Process(undertaker).status() == psutil.STATUS_ZOMBIE)
        os.kill(owner.pid, signal.SIGKILL)
    assert run_folder.running() == []
    assert run_folder.reap() == [path.name]
    assert not path.exists()
    assert psutil.pid_exists(child)
    psutil.Process(child).kill()


def test_an_emulator_that_outlived_both_is_ended() -> None:
    folder = run_folder.RunFolder("test")
    with emulator_of(folder.path) as child:
        folder.note_emulator(child.pid)
        os.killpg(folder.undertaker.pid, signal.SIGKILL)
        os.waitpid(folder.undertaker.pid, 0)
        os.close(folder.lock)  # what the kernel does when an owner dies
        assert run_folder.reap() == [folder.name]  # which waits for its end, too
        assert not psutil.pid_exists(child.pid)


def test_where_no_descriptor_is_left_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(24, "Too many open files")

    folders.running()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        with pytest.raises(OSError, match="open files"):
            run_folder.RunFolder("test")
    assert not list(folders.running().iterdir())


def test_a_runtime_folder_of_somebody_else_is_refused(runtime: Path) -> None:
    shared = runtime / f"seabus-{os.getuid()}"
    shared.mkdir(mode=0o755)
    shared.chmod(0o755)
    with pytest.raises(HostError, match="not a private folder"):
        run_folder.RunFolder("test")


def test_a_runtime_folder_with_a_long_name_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket below it could not be bound."""
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with run_folder.RunFolder("test") as folder:
        assert not folder.path.is_relative_to(long)
        assert len(str(folder.path / "console.sock")) < 108
    assert not list(long.iterdir())


def test_a_path_that_is_too_long_for_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 60)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    monkeypatch.setenv("TMPDIR", str(deep))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert not folders.running().is_relative_to(deep)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(HostError, match="no folder for sockets") as caught:
        folders.running()
    assert "XDG_RUNTIME_DIR" in caught.value.hint


def test_whoever_was_dismissed_never_gets_the_lock(tmp_path: Path) -> None:
    """Not even for a moment: somebody else would take the lock for held."""
    for _ in range(20):
        lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(lock, fcntl.LOCK_EX)
        undertaker = Undertaker(tmp_path / "lock", tmp_path / "folder")
        time.sleep(0.03)  # it waits by now
        undertaker.dismiss()
        os.close(lock)
        lock = os.open(tmp_path / "lock", os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(lock)


def test_where_no_room_is_left_nobody_waits(monkeypatch: pytest.MonkeyPatch, runtime: Path) -> None:
    def full(_: run_folder.RunFolder) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = psutil.Process().num_fds()
    monkeypatch.setattr(run_folder.RunFolder, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        run_folder.RunFolder("test")
    assert psutil.Process().num_fds() == before
    assert not [child for child in psutil.Process().children() if "flock" in " ".join(child.cmdline())]
    assert not list(runtime.rglob("owner.lock"))
