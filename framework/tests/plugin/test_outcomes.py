# SPDX-License-Identifier: Apache-2.0
"""Verdicts as outcomes, in the terminal, in JUnit and in the result file - with real worlds."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

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

    def test_is_no_scenario(host, guest, victim, story):
        assert host.run("uname", "-m").text.strip() == guest.run("uname", "-m").text.strip() == "aarch64"
        assert victim().touch("read").intact
        assert [event.kind for event in story().events] == ["touch"]
"""


def test_each_verdict_is_told_apart(suite: pytest.Pytester) -> None:
    suite.makepyfile(VERDICTS)
    run = suite.runpytest("--junitxml=junit.xml", "--seabus-artefacts=kept", "-v")
    assert run.parseoutcomes() == {"passed": 2, "failed": 1, "errors": 2, "unknown": 1, "skipped": 1}
    run.stdout.fnmatch_lines(
        [
            "*test_passes PASSED*",
            "*test_fails FAILED*",
            "*test_errs ERROR*",
            "*test_never_judges UNKNOWN*",
            "*test_lacks_something SKIPPED*",
            "*test_announces_too_little ERROR*",
        ]
    )
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
    }
    kept = suite.path / "kept"
    assert json.loads((kept / "test_passes" / "result.json").read_text())["verdict"] == "pass"
    failed = json.loads((kept / "test_fails" / "result.json").read_text())
    assert (failed["verdict"], failed["findings"][0]["kind"]) == ("fail", "extra")
    assert json.loads((kept / "test_errs" / "result.json").read_text())["error"]["class"] == "MachineError"
    run.stdout.fnmatch_lines(["*seabus artefacts*", str(kept / "test_fails")])


def properties(junit: Path) -> dict[str, str]:
    """Each test's verdict, as JUnit keeps it."""
    found = {}
    for case in ElementTree.parse(junit).iter("testcase"):
        for item in case.iter("property"):
            if item.attrib["name"] == "seabus_verdict":
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
    child.expect("Pdb", timeout=30)
    child.sendline("p world.guest.run('echo', 'still', 'here').text")
    child.expect("still here", timeout=30)
    child.sendline("q")
    child.wait()
