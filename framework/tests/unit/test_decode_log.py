# SPDX-License-Identifier: Apache-2.0
"""``seabus decode dmesg`` on logs that our own worlds wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seabus.cli import main

LOGS = Path(__file__).parents[1] / "arch" / "samples" / "linux-7.3" / "logs"


def test_a_fatal_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "dmesg", str(LOGS / "fatal-record-l1.txt"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(event["line"], event["kind"], event["told"]) for event in found["events"]] == [
        (1, "ghes", "record of source 1, fatal: memory error at 0x6000a000"),
        (12, "trouble", "panic: Kernel panic - not syncing: GHES: Fatal hardware error"),
    ]


def test_an_abort_in_the_kernel_is_decoded(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "dmesg", str(LOGS / "kernel-sea-l1.txt")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "ESR 0x96000010: EC 0x25 data abort from the same EL" in said
    assert "1 findings in 34 lines" in said


def test_a_log_without_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_bytes(b"\x1b[31mall is well\xff\n" * 1000)
    assert main(["decode", "dmesg", str(tmp_path / "log")]) == 0
    assert "0 findings in 1000 lines" in capsys.readouterr().out


def test_no_such_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "dmesg", "/nowhere"]) == 3
    assert "cannot read /nowhere" in capsys.readouterr().err
