# SPDX-License-Identifier: Apache-2.0
"""Samples of real runs, by the name of their folders in ``samples/``:

consumed, vhe  a load consumes a page, with the host's KVM in each mode
negative       the first without its injection
file, lost     a dirty page of a file; and the same where a signal was never heard
fatal          a fatal record: the host panics, as it must
known          a snapshot kills the VMM, which is a known defect
error          an injection that was refused
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from seabus.report.loaded import Run, Runs, load, load_file

HERE: Final = Path(__file__).parent
SAMPLES: Final = HERE / "samples"
#: Set it to have golden files written anew; look at what changed before you commit them.
ACCEPT: Final = "SEABUS_ACCEPT_GOLDEN"


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """All of them, told from their own folder: where that lies is in no golden file."""
    monkeypatch.chdir(HERE)
    return load([Path("samples")])


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Run]:
    """One of them."""
    monkeypatch.chdir(HERE)
    return lambda name: load_file(Path("samples", name, "result.json"))


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A sample's folder with its document changed: ``changed("consumed", lambda told: told.clear())``."""

    def change(name: str, how: Callable[[dict[str, Any]], object], folder: str = "changed") -> Path:
        told = json.loads((SAMPLES / name / "result.json").read_text())
        how(told)
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "result.json").write_text(json.dumps(told))
        return tmp_path / folder

    return change


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Holds a text against a golden file."""

    def compare(name: str, text: str) -> None:
        path = HERE / "golden" / name
        if os.environ.get(ACCEPT):
            path.write_text(text)
        assert text == path.read_text(), f"{name} differs; {ACCEPT}=1 writes it anew"

    return compare


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Path]:
    """A tree of 500 runs, one in ten of them failing, each of those with consoles of 256 KiB of its own."""
    root = tmp_path / "many"
    names = ["consumed"] * 3 + ["vhe", "file"] * 2 + ["consumed", "fatal"]
    for number in range(500):
        name = "negative" if number % 10 == 0 else names[number % len(names)]
        told = json.loads((SAMPLES / name / "result.json").read_text())
        told["test"] = told["test"].replace(".py", f"_{number % 25:02}.py") + f"[{number}]"
        for event in told["events"]:  # no two runs have the same times
            event["t"] = round(event["t"] * (1 + number / 997), 6)
        folder = root / f"run-{number}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(told))
        if name == "negative":
            for console in ("console-l1.log", "console-l2.log"):
                lines = (
                    f"[{line / (number + 7):12.6f}] {console} {line * number:x} said" for line in range(6000)
                )
                (folder / console).write_text("\n".join(lines))
    yield root
    shutil.rmtree(root)
