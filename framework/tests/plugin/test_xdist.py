# SPDX-License-Identifier: Apache-2.0
"""Several workers, killed ones, and interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seabus import folders
from seabus.images.store import Store
from tests.plugin.left import assert_nothing_left

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


@pytest.mark.parametrize("words", ["-n 0", "-n 4", "-n 2 --dist worksteal", "-n 2 --dist loadgroup"])
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
    run = suite.runpytest_subprocess("-n", "2", "--junitxml=junit.xml", "--seabus-artefacts=kept")
    run.assert_outcomes(passed=2, errors=1)
    kept = suite.path / "kept/test_killed"
    run.stdout.fnmatch_lines(["*crashed while running*test_killed*", "*seabus artefacts*", str(kept)])
    assert (kept / "console-l1.log").exists()
    told = (suite.path / "junit.xml").read_text()
    assert told.count('name="seabus_verdict" value="error"') == 1
    assert_nothing_left()


def test_a_killed_worker_without_a_world_is_not_ours(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import os, signal
        def test_killed():
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    suite.runpytest_subprocess("-n", "1").assert_outcomes(failed=1)


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


@pytest.mark.soak
def test_one_worker_boots_for_all(
    suite: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers want a world that nobody has booted yet."""
    monkeypatch.setenv("SEEN", str(tmp_path))
    suite.makepyfile(FOUR)
    before = set(folders.cache().glob("template-*/"))
    words = f"--seabus-l2-append=seabus={time.time_ns()}"  # the guest's kernel ignores it
    run = suite.runpytest_subprocess("-n", "2", "--seabus-artefacts=kept", words)
    run.assert_outcomes(passed=4)
    new = set(folders.cache().glob("template-*/")) - before
    assert len(new) == 1
    assert len(list((suite.path / "kept").glob("*/boot"))) == 1
    Store().remove(new.pop())
