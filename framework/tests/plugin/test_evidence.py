# SPDX-License-Identifier: Apache-2.0
"""Every failure carries what it takes to understand it, and to run it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seabus.report.loaded import load_file
from seabus.report.result import SCHEMA

pytestmark = pytest.mark.emulated

FAILURES = """
    import os, signal
    import pytest
    from suite import *
    from seabus.errors import CloneError
    from seabus.guest import vmm
    from seabus.world import restore, template

    @announced(HOST[:2])
    def test_fails(world):
        world.expect(inject(world)[1][:2])

    @announced()
    def test_errs(world):
        inject(world)
        world.host.write(vmm.LOG, b"what a VMM complains of", append=True)
        raise MachineError("the machine fell over", hint="pick it up")

    @pytest.fixture
    def no_clone_lives(monkeypatch):
        async def refuse(_):
            raise CloneError("planted: the clone is not alive")
        monkeypatch.setattr(restore, "_prove_alive", refuse)

    def test_is_refused(no_clone_lives, world):
        pass

    @pytest.fixture
    def no_descriptors(monkeypatch):
        def refuse(*_, **__):
            raise OSError(24, "Too many open files", "/somewhere")
        monkeypatch.setattr(template, "ensure", refuse)

    def test_lacks_descriptors(no_descriptors, world):
        pass

    def test_fails_in_another_world(seabus_worlds):
        async def play(world):
            raise MachineError("planted")
        seabus_worlds.run(play)

    @announced()
    def test_is_killed(world):
        inject(world)
        os.kill(os.getpid(), signal.SIGKILL)
"""

#: Of every emulator that was started.
STARTED = {"argv.sh", "emulator.log", "console-l1.log", "console-l2.log", "qmp-l0.jsonl", "qmp-l2.jsonl"}
OF_ALL = {"test.txt", "result.json"}
OF_A_SESSION = OF_ALL | STARTED | {"trace-l1.txt", "trace-l2.txt"}
FILES = {
    "test_fails": OF_A_SESSION | {"record.cper", "vmm.log"},
    "test_errs": OF_A_SESSION | {"record.cper", "vmm.log"},
    "test_is_refused": OF_ALL | STARTED,
    "test_lacks_descriptors": OF_ALL,
    "test_fails_in_another_world": OF_ALL | STARTED | {"vmm.log"},
    "test_is_killed": OF_A_SESSION | {"record.cper"},
}
VERDICTS = dict.fromkeys(FILES, "error") | {"test_fails": "fail"}
CLASSES = {
    "test_fails": None,
    "test_errs": "MachineError",
    "test_is_refused": "CloneError",
    "test_lacks_descriptors": "HostError",
    "test_fails_in_another_world": "MachineError",
    "test_is_killed": "HostError",
}
FIELDS = {
    *("schema", "verdict", "reason", "findings", "fault", "receipt", "faults", "receipts", "addresses"),
    *("events", "clocks", "expectations", "seconds", "scenario", "configuration", "started", "command"),
    *("seed", "rootdir", "mode", "script", "versions", "artefacts", "error"),
    *("test", "outcome", "known", "worker"),
}
PARTS = {
    *("seabus", "l0_qemu", "l0_machine", "l1_kernel", "l1_kvm", "l1_qemu", "l2_kernel", "firmware"),
    "template",
}


@pytest.fixture
def kept(suite: pytest.Pytester) -> dict[str, Path]:
    """The folders that failures of each sort leave, by the names of their tests."""
    suite.makepyfile(FAILURES)
    run = suite.runpytest_subprocess("-n", "2", "--seabus-artefacts=kept", "--seabus-seed=77")
    assert run.parseoutcomes() == {"failed": 1, "errors": 5}
    run.stdout.fnmatch_lines(["*seabus seed*", "--seabus-seed=77"])
    return {folder.name: folder for folder in (suite.path / "kept").iterdir()}


def test_every_failure_carries_it_all(kept: dict[str, Path], suite: pytest.Pytester) -> None:
    assert kept.keys() == FILES.keys()
    template = set()
    for name, folder in kept.items():
        files = {path.name for path in folder.iterdir()}
        assert files - FILES[name] == set(), name
        assert FILES[name] - files == set(), name
        told: dict[str, Any] = json.loads((folder / "result.json").read_text())
        assert told.keys() == FIELDS, name
        assert (told["schema"], told["verdict"], told["outcome"]) == (SCHEMA, VERDICTS[name], "failed")
        assert (told["error"] and told["error"]["class"]) == CLASSES[name], name
        assert (told["seed"], told["rootdir"]) == (77, str(suite.path))
        assert told["mode"] == {"negative_control": False, "mutate": False, "lab": None}
        assert told["configuration"]["l1_mode"] == "nvhe"
        assert told["worker"].startswith("gw")
        assert told["test"] == f"test_every_failure_carries_it_all.py::{name}"
        if name != "test_lacks_descriptors":  # it never got as far as a template
            assert told["versions"].keys() == PARTS, name
            template.add(told["versions"]["template"])
        assert load_file(folder / "result.json").seed == 77
    assert len(template) == 1
    assert len(template.pop()) == 20
    killed = json.loads((kept["test_is_killed"] / "result.json").read_text())
    assert killed["reason"] == f"worker {killed['worker']} was killed while it ran the test"
    assert killed["scenario"]["title"] == "a page the guest never touches"
    refused = json.loads((kept["test_lacks_descriptors"] / "result.json").read_text())
    assert refused["reason"] == "Too many open files: /somewhere"
    assert (kept["test_errs"] / "vmm.log").read_bytes() == b"what a VMM complains of"


def test_a_seed_is_chosen_and_told(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        def test_one(world): assert False
        def test_two(world): assert False
        """
    )
    run = suite.runpytest_subprocess("--seabus-artefacts=kept")
    seeds = set()
    for result in (suite.path / "kept").glob("*/result.json"):
        seed = json.loads(result.read_text())["seed"]
        run.stdout.fnmatch_lines([f"--seabus-seed={seed}"])
        seeds.add(seed)
    assert len(seeds) == 2
