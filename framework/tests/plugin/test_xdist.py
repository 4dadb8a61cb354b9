# SPDX-License-Identifier: Apache-2.0
"""Several workers, killed ones, and interruptions."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from seabus import folders
from seabus.machine import run_folder

pytestmark = pytest.mark.emulated


FOUR = """
    import os, pathlib, pytest
    from suite import *

    @announced()
    @pytest.mark.parametrize("number", range(4))
    def test_it(world, number):
        world.expect(inject(world)[1])
        pathlib.Path(os.environ["SEEN"], f"{number}").write_text(str(world.world.artefacts))
"""


@pytest.mark.parametrize("words", ["-n 0", "-n 2", "-n 2 --dist worksteal", "-n 2 --dist loadgroup"])
def test_every_way_to_share_the_work(
    suite: pytest.Pytester, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEN", str(tmp_path))
    suite.makepyfile(FOUR)
    suite.runpytest_subprocess(*words.split(), "--seabus-artefacts=kept").assert_outcomes(passed=4)
    folders = {path.read_text() for path in tmp_path.iterdir()}
    assert len(folders) == 4
    assert all(Path(folder, "result.json").exists() for folder in folders)


@pytest.mark.usefixtures("runtime")
def test_a_killed_worker_costs_one_test(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import os, signal
        from suite import *

        @announced()
        def test_before(world):
            world.expect(inject(world)[1])

        @announced()
        def test_killed(world):
            os.kill(os.getpid(), signal.SIGKILL)

        @announced()
        def test_after(world):
            world.expect(inject(world)[1])
        """
    )
    run = suite.runpytest_subprocess("-n", "2")
    run.assert_outcomes(passed=2, failed=1)
    run.stdout.fnmatch_lines(["*crashed while running*test_killed*"])
    assert_nothing_left()


@pytest.mark.parametrize("words", [[], ["-n", "2"]])
@pytest.mark.usefixtures("runtime")
def test_ctrl_c(suite: pytest.Pytester, words: list[str]) -> None:
    suite.makepyfile(
        """
        import pathlib, time
        def test_it(world):
            pathlib.Path("begun").touch()
            while True:
                world.guest.run("sleep", "0.1")
        """
    )
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *words],
        cwd=suite.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    while not (suite.path / "begun").exists():
        assert run.poll() is None, run.communicate()[0].decode()
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)
    said = run.communicate(timeout=60)[0].decode()
    assert run.returncode == pytest.ExitCode.INTERRUPTED, said
    assert_nothing_left()


def assert_nothing_left() -> None:
    """No emulator lives and, once swept, no folder is left."""
    root = str(folders.running())
    deadline = time.monotonic() + 5
    while emulators(root) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not emulators(root)
    run_folder.reap()
    assert not list(folders.running().iterdir())


def emulators(root: str) -> list[psutil.Process]:
    """Processes whose command line names a run folder below ``root``."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and any(f"{root}/" in word for word in process.cmdline()):
                found.append(process)
    return found
