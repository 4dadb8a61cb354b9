# SPDX-License-Identifier: Apache-2.0
"""What people do with pytest every day: stop early, run what failed again, set deadlines, shuffle."""

from __future__ import annotations

import pytest

from tests.plugin.left import assert_nothing_left

pytestmark = pytest.mark.emulated

MIXED = """
    from suite import *

    @announced()
    def test_first(world):
        world.expect(inject(world)[1])

    @announced(HOST[:2])
    def test_second(world):
        world.expect(inject(world)[1][:2])

    @announced()
    def test_third(world):
        world.expect(inject(world)[1])
"""
HANGS = """
    from suite import *

    def test_hangs(world):
        world.guest.run("sleep", "60")

    @announced()
    def test_after(world):
        world.expect(inject(world)[1])
"""


@pytest.mark.usefixtures("runtime")
def test_stop_at_the_first_then_the_last_failed(suite: pytest.Pytester) -> None:
    suite.makepyfile(MIXED)
    assert suite.runpytest("-x").parseoutcomes() == {"passed": 1, "failed": 1}
    assert_nothing_left()
    assert suite.runpytest("--lf").parseoutcomes() == {"failed": 1}
    assert_nothing_left()


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("share", ["0", "1"], ids=["alone", "worker"])
def test_a_timeout_by_signal_is_an_error(suite: pytest.Pytester, share: str) -> None:
    """It says nothing of the system under test; the next test has a world of its own."""
    suite.makepyfile(HANGS)
    run = suite.runpytest_subprocess("--timeout=10", "--timeout-method=signal", "-n", share)
    assert run.parseoutcomes() == {"passed": 1, "errors": 1}
    run.stdout.fnmatch_lines(["*Timeout (>10.0s) from pytest-timeout*"])
    assert_nothing_left()


@pytest.mark.usefixtures("runtime")
def test_a_timeout_by_thread_ends_the_worker_alone(suite: pytest.Pytester) -> None:
    suite.makepyfile(HANGS)
    run = suite.runpytest_subprocess("--timeout=10", "--timeout-method=thread", "-n", "1")
    assert run.parseoutcomes() == {"passed": 1, "errors": 1}
    assert_nothing_left()


@pytest.mark.usefixtures("runtime")
def test_a_timeout_by_thread_leaves_nothing(suite: pytest.Pytester) -> None:
    """Without workers it ends the run itself, by os._exit()."""
    suite.makepyfile(HANGS)
    assert suite.runpytest_subprocess("--timeout=10", "--timeout-method=thread").ret == 1
    assert_nothing_left()


def test_any_order(suite: pytest.Pytester) -> None:
    suite.makepyfile(MIXED)
    run = suite.runpytest_subprocess("-n", "2", "--dist=worksteal", "--random-order", "--random-order-seed=7")
    assert run.parseoutcomes() == {"passed": 2, "failed": 1}
