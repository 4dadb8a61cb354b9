# SPDX-License-Identifier: Apache-2.0
"""The template that all tests clone, damaged in each way, is refused before anything is started from it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seabus.images import manifest
from seabus.images.store import Store
from seabus.machine import process
from seabus.machine.config import WorldConfig
from seabus.world import template
from seabus.world.template import _Builder

pytestmark = pytest.mark.emulated


class BuiltAgainError(Exception):
    """Stands for the boot that a refused template would cost."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A cache of our own with the very template in it, and another one of the same kind."""
    artefacts = tmp_path_factory.mktemp("artefacts")
    found = template.ensure(WorldConfig(), store=Store(), artefacts=artefacts, say=print)
    real = found.ram.parent
    root = tmp_path_factory.mktemp("cache")
    for pattern in ("emulator-*/", "guests-*/", f"{real.name}/"):
        for folder in Store().root.glob(pattern):
            _copied(folder, root / folder.name)
    other = Store(root).get("template", {"other": 1}, _fill, say=print).path
    yield root / real.name, other
    shutil.rmtree(root)  # a gigabyte


def _copied(source: Path, target: Path) -> None:
    subprocess.run(
        ["cp", "-a", "--reflink=auto", "--sparse=always", str(source), str(target)], check=True, timeout=300
    )


def _fill(folder: Path) -> dict[str, object]:
    (folder / "ram").write_bytes(b"another's")
    (folder / "state").write_bytes(b"another's")
    return {"versions": {}, "made_by": {}}


def _flip(path: Path, part: float) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        at = int(path.stat().st_size * part)
        byte = os.pread(file.fileno(), 1, at)
        os.pwrite(file.fileno(), bytes([byte[0] ^ 1]), at)


def _note(folder: Path) -> None:
    """A version is another one, in words that say the same otherwise."""
    path = folder / manifest.NAME
    text = path.read_text()
    assert '"has"' in text
    path.write_text(text.replace('"l1_kernel": "', '"l1_kernel": "9', 1))


def _swapped(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "a bit of its memory": lambda folder, _: _flip(folder / "ram", 0.001),
    "a bit of its devices": lambda folder, _: _flip(folder / "state", 0.5),
    "a bit of its manifest": lambda folder, _: _flip(folder / manifest.NAME, 0.5),
    "a note": lambda folder, _: _note(folder),
    "no manifest": lambda folder, _: (folder / manifest.NAME).write_text("{}"),
    "the manifest of another": lambda folder, other: (folder / manifest.NAME).write_text(
        (other / manifest.NAME).read_text()
    ),
    "the folder of another": _swapped,
}


@pytest.mark.parametrize("how", DAMAGES)
def test_the_template_is_refused(
    copy: tuple[Path, Path], how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other = copy
    kept = [
        (place, place / name, tmp_path / f"{n}-{name}") for n, place in enumerate(copy) for name in _SMALL
    ]
    for _, path, aside in kept:
        shutil.copy2(path, aside)
    said: list[str] = []

    def refuse_to_boot(self: _Builder, place: Path) -> None:
        raise BuiltAgainError

    monkeypatch.setattr(_Builder, "build", refuse_to_boot)
    monkeypatch.setattr(process.EmulatorProcess, "start", refuse_to_boot)
    # What is refused is removed: of a gigabyte, one copy is enough.
    monkeypatch.setattr(Store, "remove", lambda self, path: path.rename(path.with_name("refused")))
    store = Store(folder.parent)
    ram = folder / "ram"
    bit = _first(ram)
    try:
        DAMAGES[how](folder, other)
        with pytest.raises(BuiltAgainError):
            template.ensure(WorldConfig(), store=store, artefacts=tmp_path, say=said.append)
    finally:
        if (refused := folder.with_name("refused")).exists():
            refused.rename(folder)
        if how == "the folder of another":
            _swapped(folder, other)
        for _, path, aside in kept:
            path.chmod(0o600)
            shutil.copy2(aside, path)
        if _first(ram) != bit:
            _flip(ram, 0.001)
    assert [text for text in said if "is damaged: " in text], said
    assert any(tmp_path.glob("boot")) is False
    found = template.ensure(WorldConfig(), store=store, artefacts=tmp_path, say=said.append)
    assert found.ram == ram, "what was mended is handed out again"


_SMALL = ("state", manifest.NAME)


def _first(ram: Path) -> bytes:
    with ram.open("rb") as file:
        return os.pread(file.fileno(), 1, int(ram.stat().st_size * 0.001))
