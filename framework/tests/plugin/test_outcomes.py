# SPDX-License-Identifier: Apache-2.0
"""Verdicts as outcomes, in the terminal, in JUnit and in the result file - with real worlds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from seabus.report.loaded import Kind, load

pytestmark = pytest.mark.emulated

VERDICTS = """
    from suite import *

    @announced()
    def test_passes(world):
        world.expect(inject(world)[1])

    @announced(HOST[:2])
    def test_fails(world):
        world.expect(inject(world)[1][:2])

    @announced()
    def test_errs(world):
        raise MachineError("the machine fell over", hint="pick it up")

    @announced()
    def test_never_judges(world):
        inject(world)

    @announced()
    def test_lacks_something(world):
        raise CapabilityError("L1: no such thing", hint="probe: it", capability="thing")

    @announced(HOST[:2])
    def test_announces_too_little(world):
        world.expect(inject(world)[1])

    def test_judges_and_then_fails(world):
        assert not world.expect(inject(world)[1]).receipts

    def test_is_no_scenario(host, guest, victim, story):
        assert host.run("uname", "-m").text.strip() == guest.run("uname", "-m").text.strip() == "aarch64"
        assert victim().touch("read").intact
        assert [event.kind for event in story().events] == ["touch"]
"""

SHOWN = {
    "test_passes": "PASSED",
    "test_fails": "FAILED",
    "test_errs": "ERROR",
    "test_never_judges": "UNKNOWN",
    "test_lacks_something": "SKIPPED",
    "test_announces_too_little": "ERROR",
}


@pytest.mark.parametrize("how", ["in-process", "in a process", "by two workers"])
def test_each_verdict_is_told_apart(suite: pytest.Pytester, how: str) -> None:
    suite.makepyfile(VERDICTS)
    start = suite.runpytest_inprocess if how == "in-process" else suite.runpytest_subprocess
    share = ["-n", "2"] if how == "by two workers" else []
    run = start("--junitxml=junit.xml", "--seabus-artefacts=kept", "-v", *share)
    assert run.parseoutcomes() == {"passed": 2, "failed": 2, "errors": 2, "unknown": 1, "skipped": 1}
    shown = run.stdout.str()
    for name, word in SHOWN.items():
        assert re.search(rf"::{name} {word}|{word} .*::{name}", shown)
    run.stdout.fnmatch_lines(["*fail: extra at L1: *recovery action*"])
    run.stdout.fnmatch_lines(["*seabus: try*", "pick it up"])
    run.stdout.fnmatch_lines(["*never announced*host-unmapped*"])
    run.stdout.fnmatch_lines(["*SKIPPED*L1: no such thing (probe: it)*"])
    assert properties(suite.path / "junit.xml") == {
        "test_passes": "pass",
        "test_fails": "fail",
        "test_errs": "error",
        "test_never_judges": "unknown",
        "test_lacks_something": "skip",
        "test_announces_too_little": "error",
        "test_is_no_scenario": "unknown",
        "test_judges_and_then_fails": "fail",
    }
    kept = suite.path / "kept"
    assert json.loads((kept / "test_passes" / "result.json").read_text())["verdict"] == "pass"
    failed = json.loads((kept / "test_fails" / "result.json").read_text())
    assert (failed["verdict"], failed["findings"][0]["kind"]) == ("fail", "extra")
    assert json.loads((kept / "test_errs" / "result.json").read_text())["error"]["class"] == "MachineError"
    said = {path.parent.name: json.loads(path.read_text()) for path in kept.glob("*/result.json")}
    assert {name: told["verdict"] for name, told in said.items()} == properties(suite.path / "junit.xml")
    assert said["test_lacks_something"]["reason"] == "L1: no such thing (probe: it)"
    assert said["test_judges_and_then_fails"]["reason"].startswith("assert not ")
    run.stdout.fnmatch_lines(["*seabus artefacts*", str(kept / "test_fails")])
    run.stdout.fnmatch_lines(["*no verdict*", "*seabus artefacts*", str(kept / "test_never_judges")])
    run.stdout.fnmatch_lines(["UNKNOWN *::test_never_judges - *the scenario ended without a verdict*"])
    recorded = properties(suite.path / "junit.xml", "seabus_artefacts")
    assert recorded == {name: str(kept / name) for name in said}
    titles = properties(suite.path / "junit.xml", "seabus_title")
    assert titles == {name: told["scenario"]["title"] for name, told in said.items() if told["scenario"]}
    assert titles.keys() == said.keys() - {"test_is_no_scenario", "test_judges_and_then_fails"}
    kinds = {run.name: str(run.kind) for run in load([kept]).runs}
    assert kinds == properties(suite.path / "junit.xml") | {"test_is_no_scenario": "unjudged"}


def test_what_comes_after_a_verdict_does_not_hide_it(suite: pytest.Pytester) -> None:
    """A failure is not turned into an error, nor does a pass stay where pytest says otherwise."""
    suite.makepyfile(
        """
        from suite import *

        @pytest.fixture
        def breaks(world):
            yield
            raise MachineError("the emulator would not end")

        @pytest.fixture
        def asserts(world):
            yield
            assert not "tidy"

        @announced(HOST[:2])
        def test_fails_and_breaks(world, breaks):
            world.expect(inject(world)[1][:2])

        @announced()
        def test_passes_and_breaks(world, breaks):
            world.expect(inject(world)[1])

        @announced()
        def test_passes_and_asserts(world, asserts):
            world.expect(inject(world)[1])

        @pytest.mark.xfail(strict=True, reason="docs/findings/9999")
        @announced()
        def test_is_well(world):
            world.expect(inject(world)[1])
        """
    )
    suite.runpytest("--junitxml=junit.xml", "--seabus-artefacts=kept")
    said = {
        path.parent.name: json.loads(path.read_text()) for path in (suite.path / "kept").glob("*/result.json")
    }
    assert {name: (told["verdict"], told["reason"]) for name, told in said.items()} == {
        "test_fails_and_breaks": ("fail", said["test_fails_and_breaks"]["findings"][0]["text"]),
        "test_passes_and_breaks": ("error", "the emulator would not end"),
        "test_passes_and_asserts": ("error", "assert not 'tidy'"),
        "test_is_well": ("fail", "[XPASS(strict)] docs/findings/9999"),
    }
    assert properties(suite.path / "junit.xml") == {name: told["verdict"] for name, told in said.items()}


def properties(junit: Path, wanted: str = "seabus_verdict") -> dict[str, str]:
    """One property of each test, as JUnit keeps it."""
    found = {}
    for case in ElementTree.parse(junit).iter("testcase"):
        for item in case.iter("property"):
            if item.attrib["name"] == wanted:
                found[case.attrib["name"]] = item.attrib["value"]
    return found


@pytest.mark.parametrize("required", ["thing", "all"])
def test_a_required_capability_is_an_error(suite: pytest.Pytester, required: str) -> None:
    suite.makepyfile(VERDICTS)
    run = suite.runpytest("-k", "lacks", f"--seabus-require={required}")
    assert run.parseoutcomes()["errors"] == 1


def test_a_need_is_probed(suite: pytest.Pytester) -> None:
    """An emulated L1 has no EINJ table, and says so; it can hard-offline a page."""
    suite.makepyfile(
        """
        import pytest
        @pytest.mark.seabus_needs("hard-offline")
        def test_there(world): pass
        @pytest.mark.seabus_needs("einj")
        def test_missing(world): pass
        @pytest.mark.seabus_needs("luck")
        def test_unheard_of(world): pass
        """
    )
    run = suite.runpytest()
    assert run.parseoutcomes() == {"passed": 1, "skipped": 1, "errors": 1}
    run.stdout.fnmatch_lines(["*SKIPPED*no apei/einj in debugfs*"])
    run.stdout.fnmatch_lines(["*there is no capability 'luck'*"])


def test_the_debugger_finds_the_world_up(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        def test_it(world):
            assert world.guest.run("false").exit == 0
        """
    )
    child = suite.spawn_pytest("--pdb test_the_debugger_finds_the_world_up.py")
    child.expect("the world is up until you leave the debugger", timeout=90)
    child.expect(r"seabus console --world (\S+) l0", timeout=30)
    assert isinstance(child.match, re.Match)
    words = [sys.executable, "-m", "seabus", "qmp", "--world", child.match[1].decode(), "l0", "query-status"]
    assert '"running"' in subprocess.run(words, capture_output=True, text=True, check=True).stdout
    child.expect("Pdb", timeout=30)
    child.sendline("p world.guest.run('echo', 'still', 'here').text")
    child.expect("still here", timeout=30)
    child.sendline("q")
    child.wait()


def test_a_shared_world_is_for_looking(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from suite import *

        boots = []

        @pytest.mark.parametrize("number", range(2))
        def test_looks(warm_world, number):
            boots.append(warm_world.world.process.pid)
            assert len(set(boots)) == 1

        def test_judges(warm_world):
            from seabus.judge.expectation import Expectation

            warm_world.expect(Expectation(name="x", level="L1", witness="trace", kind="sigbus"))

        def test_judges_nothing(warm_world):
            pass

        def test_injects(warm_world):
            inject(warm_world)

        def test_fails(warm_world):
            assert warm_world.host.run("false").exit == 0
        """
    )
    run = suite.runpytest("--junitxml=junit.xml", "--seabus-artefacts=kept", "--seabus-seed=7")
    assert run.parseoutcomes() == {"passed": 3, "errors": 1, "failed": 2}
    found = load([suite.path / "kept"])
    assert not found.without
    assert {one.name: one.kind for one in found.runs} == {
        "test_looks[0]": Kind.UNJUDGED,
        "test_looks[1]": Kind.UNJUDGED,
        "test_judges": Kind.FAIL,
        "test_judges_nothing": Kind.UNJUDGED,
        "test_injects": Kind.ERROR,
        "test_fails": Kind.FAIL,
    }
    assert {one.seed for one in found.runs} == {7}
    assert len({one.versions["template"] for one in found.runs}) == 1
    (shared,) = {one.evidence for one in found.runs}
    assert (shared / "console-l1.log").is_file()
    run.stdout.fnmatch_lines(["*UsageError: this world is shared, and for looking only"])
    assert len(set(properties(suite.path / "junit.xml", "seabus_artefacts").values())) == 1
    assert properties(suite.path / "junit.xml")["test_injects"] == "error"
