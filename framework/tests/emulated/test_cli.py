# SPDX-License-Identifier: Apache-2.0
"""The command line as a user meets it: what it prints, how it exits, what it leaves."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.emulated


def seabus(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "seabus", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_run_writes_the_documented_result(tmp_path: Path) -> None:
    run = seabus("run", "--artefacts", str(tmp_path / "art"), "--json", str(tmp_path / "out.json"))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "PASS" in run.stdout
    assert "0x92000410" in run.stdout
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["schema"] == 1
    assert result["verdict"] == "pass"
    assert result["receipt"]["nonce"] == result["fault"]["nonce"]
    assert [step["space"].split()[0] for step in result["addresses"]] == ["L2", "L2", "L1", "L1"]
    assert {event["level"] for event in result["events"]} == {"L0", "L1", "L2"}
    assert set(result["events"][0]) == {"level", "witness", "kind", "t", "cpu", "fields", "text"}
    assert base64.b64decode(result["fault"]["cper"]) == (tmp_path / "art" / "record.cper").read_bytes()
    assert [one["event"] is not None for one in result["expectations"]] == [True] * 10
    assert result["configuration"]["l1_mode"] == "nvhe"
    assert result["versions"]["l1_kernel"]
    kept = {path.name for path in Path(result["artefacts"]).iterdir()}
    assert kept >= {
        "argv.sh",
        "console-l1.log",
        "console-l2.log",
        "emulator.log",
        "qmp-l0.jsonl",
        "qmp-l2.jsonl",
        "record.cper",
        "result.json",
        "trace-l1.txt",
        "trace-l2.txt",
        "vmm.log",
    }
    assert len((tmp_path / "art" / "record.cper").read_bytes()) == 20 + 72 + 80
    assert seabus("report", str(tmp_path / "art"), "-o", str(tmp_path / "run.html")).returncode == 0
    assert "SEA taken: ESR_EL1 0x92000410" in (tmp_path / "run.html").read_text()
    assert seabus("diff", str(tmp_path / "art"), str(tmp_path / "art")).returncode == 0


def test_negative_control_on_standard_output(tmp_path: Path) -> None:
    run = seabus("run", "--no-inject", "--json", "-", "--quiet", "--artefacts", str(tmp_path))
    assert run.returncode == 1
    result = json.loads(run.stdout)
    assert result["verdict"] == "fail"
    assert result["fault"] is None
    assert run.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--l1-cpus", "99"], "l1_cpus=99 is out of range"),
        (["run", "--l1-kernel", "/nowhere"], "there is no file /nowhere"),
        (["run", "--wrong"], "unrecognized arguments: --wrong"),
        (["run", "--l2-ras", "maybe"], "neither on nor off"),
        (["image", "show", "zzz"], "0 entries of the cache begin with `zzz`"),
        ([], "required: COMMAND"),
    ],
)
def test_usage_errors(arguments: list[str], said: str) -> None:
    run = seabus(*arguments)
    assert run.returncode == 2
    assert said in run.stderr
    assert run.stderr.startswith("seabus: ")
    assert "Traceback" not in run.stderr


def test_a_wrong_emulator_is_an_error(tmp_path: Path) -> None:
    run = seabus("run", "--l0-qemu", "/bin/false", "--artefacts", str(tmp_path))
    assert run.returncode == 3
    assert "the emulator /bin/false does not start" in run.stderr
    assert "Traceback" not in run.stderr
    assert json.loads((tmp_path / "result.json").read_text())["error"]["blame"] == "host"


def test_doctor_and_listings() -> None:
    doctor = seabus("doctor", "--json")
    assert doctor.returncode == 0, doctor.stdout
    things = {line["thing"]: line for line in json.loads(doctor.stdout)}
    assert things["record injection"]["mark"] == "ok"
    entries = json.loads(seabus("image", "list", "--json").stdout)
    assert {"emulator", "guests", "template"} <= {entry["kind"] for entry in entries}
    guests = next(entry["name"] for entry in entries if entry["kind"] == "guests")
    shown = json.loads(seabus("image", "show", guests).stdout)
    assert shown["notes"]["packages"]["busybox-static"]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("moment", ["argv.sh", "trace-l2.txt"])
def test_nothing_is_left_after_a_signal(
    ending: signal.Signals, moment: str, tmp_path: Path, runtime: Path
) -> None:
    """Ended as its emulator starts, and as its fault is played: the file that is written then tells."""
    run = subprocess.Popen(
        [sys.executable, "-m", "seabus", "run", "--artefacts", str(tmp_path / "art")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    emulators: list[int] = []
    while run.poll() is None and not (emulators and (tmp_path / "art" / moment).exists()):
        emulators = [child.pid for child in psutil.Process(run.pid).children(recursive=True)]
    assert emulators
    run.send_signal(ending)
    _, said = run.communicate(timeout=30)
    if ending is not signal.SIGKILL:
        assert run.returncode in (0, 128 + ending)
        assert "Traceback" not in said
    folder = runtime / f"seabus-{os.getuid()}"
    deadline = time.monotonic() + 5
    while (any(map(alive, emulators)) or any(folder.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, emulators))
    assert [path.name for path in folder.iterdir()] == []


def alive(pid: int) -> bool:
    """A zombie that nobody has reaped is dead all the same."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_matrix_asks_and_tells(tmp_path: Path) -> None:
    page = tmp_path / "heat.html"
    asked = (
        "--modes",
        "nvhe",
        "--groups",
        "serror,reaction,ease,nested",
        "--artefacts",
        str(tmp_path / "art"),
    )
    run = seabus("matrix", *asked, "--html", str(page), "--json", "--quiet")
    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    statuses = {cell["status"] for cell in document["cells"]}
    assert statuses == {"agreed", "deviates", "unreachable"}
    assert all(cell["reason"] for cell in document["cells"] if cell["status"] != "agreed")
    assert len(document["cells"]) > 500
    assert "</html>" in page.read_text()
    assert (tmp_path / "art" / "matrix.json").is_file()


def test_matrix_refuses_what_it_does_not_know() -> None:
    for option, value in (("--groups", "access,nonsense"), ("--modes", "hvhe"), ("--modes", "")):
        run = seabus("matrix", option, value)
        assert run.returncode == 2
        assert option in run.stderr
        assert "try:" in run.stderr
