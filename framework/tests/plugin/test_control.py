# SPDX-License-Identifier: Apache-2.0
"""The checks of the checks find what they are for."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.emulated


def test_the_negative_control_finds_a_scenario_that_cannot_fail(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from suite import *

        @announced()
        def test_sound(world):
            world.expect(inject(world)[1])

        @announced(())
        def test_vacuous(world):
            inject(world)

        @announced()
        def test_broken(world):
            inject(world)
            raise MachineError("something else went wrong")

        def test_no_scenario(world):
            raise AssertionError

        @pytest.mark.xfail(strict=True)
        class TestKnown:
            @pytest.mark.xfail(strict=True)
            @announced(())
            def test_vacuous(self, world):
                inject(world)

            @announced()
            def test_sound(self, world):
                world.expect(inject(world)[1])
        """
    )
    run = suite.runpytest("--seabus-negative-control")
    assert run.parseoutcomes() == {"passed": 2, "failed": 2, "errors": 1, "deselected": 1}
    run.stdout.fnmatch_lines(["*passed without its injection: this scenario cannot fail*"])


def test_mutation_finds_a_field_that_is_not_checked(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from suite import *
        from seabus.judge.expectation import Expectation

        class Blind(Expectation):
            def differences(self, event):
                return {name: both for name, both in super().differences(event).items() if name != "pfn"}

        @announced()
        def test_sound(world):
            world.expect(inject(world)[1])

        @announced()
        def test_blind(world):
            chain = inject(world)[1]
            world.expect(chain[:2], Blind(**vars(chain[2])))
        """
    )
    run = suite.runpytest("--seabus-mutate")
    assert run.parseoutcomes() == {"passed": 1, "failed": 1}
    run.stdout.fnmatch_lines(["*wrong expectations pass:*", "*host-unmapped: pfn*"])


def test_the_dry_run_starts_nothing(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEABUS_CACHE", str(suite.path / "empty"))
    suite.makepyfile(
        """
        from suite import *

        @announced()
        def test_listed(world): pass

        def test_not_listed(world): pass
        """
    )
    run = suite.runpytest("--seabus-dry-run", "-n", "2")
    run.stdout.fnmatch_lines(
        ["*::test_listed", "*fault: memory record; judged at L1", "*L1 trace: vmm-told -*"]
    )
    run.stdout.no_fnmatch_line("*test_not_listed*")
    assert not list((suite.path / "empty").glob("*-*"))
