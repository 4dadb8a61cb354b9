# SPDX-License-Identifier: Apache-2.0
"""``--seabus-lab`` on hosts that are none: a test that is moved runs once more, and says so."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from xml.etree import ElementTree

import pytest

from seabus.errors import SeabusError
from seabus.lab.bench import Move
from seabus.plugin import lab

WHY = "it does not answer: waited 15 s for L1's agent"


class FakeBench:
    """Host a, and after that b: whatever fails on a is a's fault, unless ``innocent``."""

    def __init__(self) -> None:
        self.host = "a"
        self.moved: Move | None = None
        #: It is left as soon as a world is set up on it.
        self.fails_early = False
        self.innocent = False
        self.open = 0
        self.did: list[str] = []

    @contextlib.contextmanager
    def session(
        self, config: object, needs: Sequence[str], *, artefacts: Path, injecting: bool, movable: bool
    ) -> Iterator[SimpleNamespace]:
        del config, needs, artefacts, injecting
        self.moved = None
        if self.fails_early and self.host == "a":
            assert movable
            self.moved, self.host = Move("a", WHY), "b"
        self.did.append(f"world on {self.host}")
        self.open += 1
        try:
            yield SimpleNamespace(
                world=SimpleNamespace(notes={"versions": {"lab_host": self.host}}),
                stage=SimpleNamespace(broke=False, is_dead=lambda _: True),
                seed=7,
                outcome=None,
                looking_only=False,
                run=lambda coroutine: coroutine.close(),
            )
        finally:
            self.open -= 1

    def move_from(self, name: str, error: SeabusError) -> Move | None:
        assert not self.open, "a host is left while a world stands on it"
        self.did.append(f"{type(error).__name__} on {name}")
        if self.innocent:
            return None
        self.host = "b"
        return Move(name, WHY)

    def close(self) -> None:
        assert not self.open, "a host is given back while a world stands on it"
        self.did.append("close")


class Suite:
    """Tests that run on the fake hosts, and what is told of them."""

    def __init__(self, pytester: pytest.Pytester, bench: FakeBench) -> None:
        self._pytester = pytester
        self.bench = bench
        self.said = ""

    def run(self, text: str, *words: str) -> dict[str, int]:
        self._pytester.makeini("[pytest]\naddopts = -ra -p no:labgrid\n")
        self._pytester.makepyfile(f"from seabus.errors import *\n{text}")
        run = self._pytester.runpytest(
            "--seabus-lab=lab.toml", "--junitxml=junit.xml", "--seabus-artefacts=kept", *words
        )
        self.said = run.stdout.str()
        return run.parseoutcomes()

    def properties(self, test: str) -> dict[str, str]:
        """Of a test in JUnit; each is there once."""
        case = ElementTree.parse(self._pytester.path / "junit.xml").find(f".//testcase[@name='{test}']")
        assert case is not None
        found = [(one.attrib["name"], one.attrib["value"]) for one in case.iter("property")]
        assert max(Counter(name for name, _ in found).values()) == 1, found
        return dict(found)

    def result(self, folder: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(
            (self._pytester.path / "kept" / folder / "result.json").read_text()
        )
        return found


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    bench = FakeBench()
    monkeypatch.setattr(lab, "bench", lambda _: bench)
    return Suite(pytester, bench)


LATE = """
def test_it(world, request):
    request.node.user_properties.append(("of_the_user", "1"))
    if world.world.notes["versions"]["lab_host"] == "a":
        raise DeadlineError("late")
"""


def test_a_test_is_moved_and_says_so(suite: Suite) -> None:
    assert suite.run(LATE) == {"passed": 1}
    assert suite.bench.did == ["world on a", "DeadlineError on a", "world on b"]
    told = suite.properties("test_it")
    assert (told["of_the_user"], told["seabus_host"]) == ("1", "b")
    assert told["seabus_moved_from"] == "a"
    assert told["seabus_moved_because"] == WHY
    assert told["seabus_artefacts"].endswith("/test_it-1")
    assert f"test_it: passed after a move from a to b ({WHY})" in suite.said
    assert suite.result("test_it-1")["moved"] == {"from": "a", "why": WHY}
    assert suite.result("test_it")["verdict"] == "error"  # what was seen on the host that was left


def test_once_only(suite: Suite) -> None:
    outcomes = suite.run("def test_it(world):\n    raise DeadlineError('late')\n")
    assert outcomes == {"errors": 1}
    assert suite.bench.did == ["world on a", "DeadlineError on a", "world on b"]
    assert suite.properties("test_it")["seabus_moved_from"] == "a"
    assert f"test_it: error after a move from a to b ({WHY})" in suite.said


def test_not_after_a_move_at_its_set_up(suite: Suite) -> None:
    suite.bench.fails_early = True
    assert suite.run("def test_it(world):\n    raise DeadlineError('late')\n") == {"errors": 1}
    assert suite.bench.did == ["world on b"]
    assert suite.properties("test_it")["seabus_moved_from"] == "a"


def test_moved_at_its_set_up(suite: Suite) -> None:
    suite.bench.fails_early = True
    assert suite.run("def test_it(world):\n    pass\n") == {"passed": 1}
    assert suite.properties("test_it")["seabus_moved_from"] == "a"
    assert "test_it: passed after a move from a to b" in suite.said


def test_not_after_a_fault(suite: Suite) -> None:
    text = "def test_it(world):\n    world.stage.broke = True\n    raise DeadlineError('late')\n"
    assert suite.run(text) == {"errors": 1}
    assert suite.bench.did == ["world on a"]
    assert "seabus_moved_from" not in suite.properties("test_it")
    assert "move" not in suite.said


def test_a_lost_lease_is_told_even_after_a_fault(suite: Suite) -> None:
    """The test is not moved, but the next one must not meet the host."""
    text = "def test_it(world):\n    world.stage.broke = True\n    raise LeaseLostError('over')\n"
    assert suite.run(text) == {"errors": 1}
    assert suite.bench.did == ["world on a", "LeaseLostError on a"]
    assert "seabus_moved_from" not in suite.properties("test_it")


def test_not_where_the_host_is_not_to_blame(suite: Suite) -> None:
    suite.bench.innocent = True
    assert suite.run("def test_it(world):\n    raise BootError('no init')\n") == {"errors": 1}
    assert suite.bench.did == ["world on a", "BootError on a"]
    assert suite.properties("test_it")["seabus_host"] == "a"


@pytest.mark.parametrize("error", ["AssertionError", "UsageError('x')", "CapabilityError('x')"])
def test_not_where_the_test_is_to_blame(suite: Suite, error: str) -> None:
    suite.run(f"def test_it(world):\n    raise {error}\n")
    assert suite.bench.did == ["world on a"]


WARM = """
def test_first(warm_world):
    assert warm_world.looking_only
    if warm_world.world.notes["versions"]["lab_host"] == "a":
        raise DeadlineError("late")

def test_second(warm_world):
    pass
"""


def test_a_world_of_a_module(suite: Suite) -> None:
    """It is moved as a whole: its tests go on in the new one, and only one of them was moved."""
    assert suite.run(WARM) == {"passed": 2}
    assert suite.bench.did == ["world on a", "DeadlineError on a", "world on b"]
    assert [suite.properties(test)["seabus_host"] for test in ("test_first", "test_second")] == ["b", "b"]
    assert suite.properties("test_first")["seabus_moved_from"] == "a"
    assert "seabus_moved_from" not in suite.properties("test_second")


def test_a_world_of_a_module_that_was_moved_at_its_set_up(suite: Suite) -> None:
    suite.bench.fails_early = True
    assert suite.run(WARM) == {"passed": 2}
    assert suite.bench.did == ["world on b"]
    for test in ("test_first", "test_second"):
        assert suite.properties(test)["seabus_moved_from"] == "a"


def test_fixtures_of_the_user(suite: Suite) -> None:
    """Those of a module are made anew; that one of them fails on the way is told."""
    text = """
import pytest
@pytest.fixture(scope="module")
def mine():
    made.append(1)
    yield len(made)
    if len(made) == 1:
        raise ValueError("mine")
made = []
def test_it(mine, world):
    if mine == 1:
        raise DeadlineError("late")
def test_after(mine):
    assert mine == 2
"""
    assert suite.run(text) == {"passed": 2, "errors": 1}
    assert "ValueError: mine" in suite.said


def test_the_host_is_given_back_after_what_fixtures_do(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption leaves them to the end of pytest's session."""

    def given_back(config: pytest.Config) -> FakeBench:
        config.stash[cast(pytest.StashKey[FakeBench], lab._BENCH)] = suite.bench
        return suite.bench

    monkeypatch.setattr(lab, "bench", given_back)
    suite.run("import pytest\ndef test_it(world): pytest.exit('enough')")
    assert suite.bench.did == ["world on a", "close"]
