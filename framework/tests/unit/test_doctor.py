# SPDX-License-Identifier: Apache-2.0
"""What the doctor makes of a computer that lacks something."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from seabus.cli import doctor


@pytest.mark.parametrize(
    ("lines", "mark", "found"),
    [
        ("somebody:100000:65536\nme:165536:65536\n", "ok", "me has some"),
        ("somebody:100000:65536\nmeow:165536:65536\n", "missing", "no line for me in "),
        ("", "missing", "no line for me in "),
        (None, "missing", "no line for me in "),
    ],
)
def test_subordinate_ids_are_of_a_name(
    lines: str | None, mark: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mmdebstrap looks for nothing else."""
    for name in ("subuid", "subgid"):
        if lines is not None:
            (tmp_path / name).write_text(lines)
    monkeypatch.setattr(doctor, "_ID_FILES", (tmp_path / "subuid", tmp_path / "subgid"))
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name="me"))
    line = doctor._subordinate_ids()
    assert (line.mark, line.found.startswith(found)) == (mark, True)
    assert ("me:" in line.fix) == (mark == "missing")


@pytest.mark.parametrize(
    ("free_mib", "mark"), [(20_000, "ok"), (8_000, "note"), (1_000, "missing")], ids=["all", "some", "none"]
)
def test_room_for_some_worlds_or_for_all(
    free_mib: int, mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEABUS_CACHE", str(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free_mib << 20))
    disk = next(line for line in doctor._room() if line.thing == "disk")
    assert disk.mark == mark
    assert ("catalogue" in disk.found) == (mark == "note")
    assert bool(disk.fix) == (mark == "missing")
