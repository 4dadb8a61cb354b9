# SPDX-License-Identifier: Apache-2.0
"""A result is written whatever a run ends with, and of a run that could not tell any."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from seabus import cli
from seabus.images.store import Store
from seabus.plugin import circumstances
from seabus.report.loaded import load_file
from seabus.world import template


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEABUS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, "DiskError"), (errno.EMFILE, "HostError"), (errno.EACCES, "HostError")],
)
def test_what_this_computer_refuses_is_a_result(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    kind: str,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "it was refused", "/somewhere")

    monkeypatch.setattr(template, "ensure", refuse)
    folder = tmp_path / "run"
    assert cli.main(["run", "--quiet", "--artefacts", str(folder), "--seed", "77", "--no-inject"]) == 3
    told = json.loads((folder / "result.json").read_text())
    assert (told["verdict"], told["reason"]) == ("error", "it was refused: /somewhere")
    assert told["error"]["class"] == kind
    assert (told["seed"], told["mode"]["negative_control"]) == (77, True)
    said = capsys.readouterr().err
    assert f"artefacts: {folder}" in said
    assert "it was refused: /somewhere\n  try: " in said


def test_a_scenario_is_kept_as_it_was_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "it was refused")

    monkeypatch.setattr(template, "ensure", refuse)
    scenario = Path(__file__).parents[3] / "docs" / "examples" / "consumed.toml"
    cli.main(["run", str(scenario), "--quiet", "--artefacts", str(tmp_path / "run")])
    run = load_file(tmp_path / "run" / "result.json")
    assert run.script == scenario.read_text()
    assert run.seed is not None


@pytest.mark.parametrize("noted", ['{"seed": 77, "verdict": "error", "worker": "gw1"}', '{"seed": 7', None])
def test_a_killed_test_has_a_result_even_if_it_noted_nothing(tmp_path: Path, noted: str | None) -> None:
    if noted is not None:
        (tmp_path / circumstances.UNFINISHED).write_text(noted)
    seed = circumstances.crashed(tmp_path, "test_it.py::test_it", "gw1")
    run = load_file(tmp_path / "result.json")
    assert (str(run.verdict), run.test, run.worker) == ("error", "test_it.py::test_it", "gw1")
    assert run.reason == "worker gw1 was killed while it ran the test"
    assert run.seed == seed == (77 if noted and noted.endswith("}") else None)
    assert not (tmp_path / circumstances.UNFINISHED).exists()


def test_a_damaged_entry_is_listed_as_such(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache.mkdir()
    for number in (1, 2):
        store = Store(cache)
        entry = store.get("thing", {"a": number}, lambda _: {}, say=lambda _: None)
    entry.file("manifest.json").write_text("{}")
    assert cli.main(["image", "list"]) == 0
    told = capsys.readouterr().out
    assert f"{entry.path.name:<32} damaged" in told
    assert told.count("thing-") == 2
