# SPDX-License-Identifier: Apache-2.0
"""What is run again is what was run: where, in which mode, with which seed and which scenario."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from seabus import cli
from seabus.report import result

SCENARIO = 'title = "as it was then"\n'


@pytest.fixture
def ran(tmp_path: Path) -> Callable[..., Path]:
    """A folder with the result of a run that ended without a verdict."""

    def make(more: Mapping[str, Any] | None = None, **about: Any) -> Path:  # noqa: ANN401
        folder = tmp_path / "ran"
        folder.mkdir()
        circumstances = result.Circumstances(
            versions={"template": "1" * 20}, artefacts=folder, seed=77, **about
        )
        told = {**result.of_error(None, circumstances), **(more or {})}
        (folder / "result.json").write_text(json.dumps(told))
        return folder

    return make


@pytest.fixture
def again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was started, and where; it leaves the same story, from another template."""
    started: dict[str, Any] = {}

    def start(argv: list[str], *, cwd: str | None, **_: object) -> None:
        started.update(argv=argv, cwd=cwd)
        told = json.loads((tmp_path / "ran" / "result.json").read_text())
        told["versions"]["template"] = "2" * 20
        (tmp_path / "again" / "result.json").write_text(json.dumps(told))

    monkeypatch.setattr(subprocess, "run", start)
    return started


def replay(tmp_path: Path, *words: str) -> int:
    return cli.main(["replay", str(tmp_path / "ran"), "--artefacts", str(tmp_path / "again"), *words])


@pytest.mark.parametrize("mode", ["negative_control", "mutate", None])
def test_a_test_in_its_folder_and_mode(
    ran: Callable[..., Path], again: dict[str, Any], tmp_path: Path, mode: str | None
) -> None:
    chosen = {mode: True} if mode else {}
    ran({"test": "a/test_it.py::test_it[read]"}, rootdir=tmp_path, **chosen)
    assert replay(tmp_path) == 0
    assert again["cwd"] == str(tmp_path)
    assert "a/test_it.py::test_it[read]" in again["argv"]
    assert "--seabus-seed=77" in again["argv"]
    for name in ("negative_control", "mutate"):
        assert (f"--seabus-{name.replace('_', '-')}" in again["argv"]) == (name == mode)


def test_the_scenario_that_was_played_then(
    ran: Callable[..., Path], again: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "it.toml").write_text("another one by now")
    ran(command=["run", str(tmp_path / "it.toml"), "--access", "read"], script=SCENARIO)
    assert replay(tmp_path) == 0
    assert Path(again["argv"][4]).read_text() == SCENARIO
    assert "--seed=77" in again["argv"]


def test_another_template_is_said(
    ran: Callable[..., Path],
    again: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran(command=["run", "--access", "read"])
    assert replay(tmp_path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["template"] == {"then": "1" * 20, "now": "2" * 20, "same": False}
    for path in (tmp_path / "again").iterdir():
        path.unlink()
    assert replay(tmp_path) == 0
    assert f"not from the same template: {'1' * 20} then, {'2' * 20} now" in capsys.readouterr().out


def test_what_cannot_be_run_again_is_refused_in_a_sentence(
    ran: Callable[..., Path], again: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ran({"test": "test_it.py::test_it"}, lab=Path("/labs/ours.toml"), rootdir=tmp_path)
    for about, sentence in (
        ({"rootdir": str(tmp_path)}, "is of a host of a lab: replays run in emulators alone"),
        ({"mode": {}, "rootdir": str(tmp_path / "gone")}, "gone, which is not here"),
        ({"mode": {}, "test": None, "rootdir": None}, "does not say what command it is of"),
    ):
        told = json.loads((folder / "result.json").read_text()) | about
        (folder / "result.json").write_text(json.dumps(told))
        assert replay(tmp_path) == 2
        assert sentence in capsys.readouterr().err
        assert not again
        assert not (tmp_path / "again").exists()
