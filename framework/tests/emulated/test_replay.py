# SPDX-License-Identifier: Apache-2.0
"""What a folder of evidence is of can be run again, and held against it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.emulated

ROOT = Path(__file__).parents[3]
TEST = "testcases/test_consumed_page.py::test_anonymous_page"


def play(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", *words]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("words", [[], ["--no-inject"], ["docs/examples/beside.toml"]], ids=" ".join)
def test_a_command_again(tmp_path: Path, words: list[str]) -> None:
    play("seabus", "run", *words, "--artefacts", str(tmp_path / "first"), "--quiet")
    again = play("seabus", "replay", str(tmp_path / "first"), "--artefacts", str(tmp_path / "second"))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "now:" in again.stdout
    then, now = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("first", "second"))
    assert then["seed"] == now["seed"]
    drawn = [[fault.get("nonce") for fault in told["faults"]] for told in (then, now)]
    assert drawn[0] == drawn[1], "what is left to chance follows from the seed"


def test_a_test_again_and_another_story(tmp_path: Path) -> None:
    first = tmp_path / "first"
    play("pytest", "-q", "-p", "no:cacheprovider", f"{TEST}[read]", f"--seabus-artefacts={first}")
    (run,) = first.glob("*/result.json")
    again = play("seabus", "replay", str(run.parent), "--json", "--artefacts", str(tmp_path / "second"))
    assert again.returncode == 0, again.stdout + again.stderr
    told = json.loads(run.read_text())
    assert told["test"] == f"{TEST}[read]"
    informed = next(event for event in told["events"] if event["kind"] == "siginfo")
    informed["fields"]["lsb"] = 21
    run.write_text(json.dumps(told))
    other = play("seabus", "replay", str(run.parent), "--artefacts", str(tmp_path / "third"))
    assert other.returncode == 1, other.stdout + other.stderr
    assert "lsb" in other.stdout


def test_a_negative_control_again_from_another_folder(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    words = ("-q", "-p", "no:cacheprovider", "--seabus-negative-control", f"--seabus-artefacts={first}")
    play("pytest", *words, f"{TEST}[read]")
    (run,) = first.glob("*/result.json")
    again = play("seabus", "replay", str(run.parent), "--json", "--artefacts", str(second), cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    told = json.loads(again.stdout)
    assert told["template"]["same"]
    (now,) = (json.loads(path.read_text()) for path in second.glob("*/result.json"))
    assert (now["verdict"], now["mode"]["negative_control"], now["faults"]) == ("fail", True, [])
    assert now["seed"] == json.loads(run.read_text())["seed"]


def test_nothing_to_replay(tmp_path: Path) -> None:
    none = play("seabus", "replay", str(tmp_path))
    assert none.returncode == 2
    assert "Traceback" not in none.stderr
