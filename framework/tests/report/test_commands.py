# SPDX-License-Identifier: Apache-2.0
"""``seabus report`` and ``seabus diff``: formats, exit codes, and one line for every mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seabus.cli import main
from tests.report.conftest import SAMPLES


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("a.html", "<!DOCTYPE html>"),
        ("a.json", '{"traceEvents":['),
        ("a.ktap", "KTAP version 1\n1..5\n"),
        ("a.jsonl", '{"type":"report","schema":1,'),
        ("a.md", "## Seabus report\n"),
    ],
)
def test_the_suffix_tells_the_format(name: str, begins: str, tmp_path: Path) -> None:
    assert main(["report", str(SAMPLES), "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_text().startswith(begins)


def test_standard_output_is_told_its_format(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["report", str(SAMPLES), "--format", "ktap"]) == 0
    assert capsysbinary.readouterr().out.startswith(b"KTAP version 1\n")


def test_a_title_is_its_users(tmp_path: Path) -> None:
    words = ["--title", "Night & <day>", "-o", str(tmp_path / "a.html")]
    assert main(["report", str(SAMPLES / "consumed"), *words]) == 0
    assert "<title>Night &amp; &lt;day&gt;</title>" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", str(SAMPLES)], "which format standard output shall have is not told"),
        (["report", str(SAMPLES), "-o", "a.exe"], "which format a.exe shall have is not told"),
        (["report", str(SAMPLES), "-o", "a.svg"], "a picture is of one run, and there are 8"),
        (["report", "nowhere", "-o", "a.html"], "there is no nowhere"),
        (["report", str(SAMPLES), "-o", "nowhere/a.html"], "there is no folder for nowhere/a.html"),
        (["report", str(SAMPLES), "-o", "a.html", "--console-kib", "-1"], "is less than nothing"),
        (["report", "damaged", "-o", "a.html"], "damaged/result.json is no result file: at line 1"),
        (["diff", str(SAMPLES / "consumed"), "damaged"], "damaged/result.json is no result file: at line 1"),
        (["diff", str(SAMPLES)], "required: B"),
    ],
)
def test_a_mistake_is_told_in_a_line(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/result.json").write_text('{"schema": 1, "verdict": "pa')
    assert main(words) == 2
    first, *more = capsys.readouterr().err.splitlines()
    assert said in first
    assert all(line.startswith("  try: ") for line in more)
    assert not (tmp_path / "a.html").exists()


def test_diff_tells_by_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    consumed, vhe, negative = (str(SAMPLES / name) for name in ("consumed", "vhe", "negative"))
    assert main(["diff", consumed, vhe]) == 0
    assert capsys.readouterr().out == "L1 mode: nvhe | vhe\nthey are the same\n"
    assert main(["diff", consumed, negative]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[1] == "  verdict: pass | fail"
    assert said[-1] == "they differ"
    assert main(["diff", str(SAMPLES), consumed]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "7 of 8 differ"


def test_diff_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(SAMPLES / "file"), str(SAMPLES / "lost"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["same"], told["different"]) == (1, 0, 1)
    kinds = [one["kind"] for one in told["runs"][0]["differences"]]
    assert kinds == ["verdict", "only in A"]
