# SPDX-License-Identifier: Apache-2.0
"""What goes from a store to make room, and what never does; and a store that has none."""

from __future__ import annotations

import os
import shutil
import time
from collections import namedtuple
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import filelock
import pytest

from seabus import cli
from seabus.errors import DiskError
from seabus.images import store as store_module
from seabus.images.store import Store
from tests.unit.fills import fill, silent


def test_no_room_is_said_before_a_build_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil.disk_usage returns
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 90, 10 << 20))
    with pytest.raises(DiskError, match="10 MiB free; building thing needs 500 MiB"):
        Store(tmp_path).get("thing", {}, fill, say=silent, need_mib=500)


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    def full(folder: Path) -> Mapping[str, Any]:
        raise OSError(28, "No space left on device")

    with pytest.raises(DiskError, match="is full"):
        Store(tmp_path).get("thing", {}, full, say=silent)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_entries_long_unused_make_room(tmp_path: Path) -> None:
    store = Store(tmp_path)
    entries = [store.get("thing", {"a": number}, fill, say=silent) for number in range(8)]
    long_ago = 1_700_000_000
    for number, entry in enumerate(entries[:3]):
        os.utime(entry.file("stamps.json"), (long_ago + number, long_ago))
    store.get("thing", {"a": 99}, fill, say=silent)
    left = {path.name for path in store.entries()}
    # Two go: six of the eight stay whatever their age, and the new one comes on top.
    assert {entry.path.name for entry in entries} - left == {entries[0].path.name, entries[1].path.name}


def test_a_small_disk_keeps_the_last_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the room is for entries of a kind; the six used last stay even where that is too much."""
    store = Store(tmp_path)
    entries = [store.get("thing", {"a": number}, fill, say=silent) for number in range(9)]
    an_hour_ago = time.time() - 3600
    for number, entry in enumerate(entries[:8]):
        os.utime(entry.file("stamps.json"), (an_hour_ago + number, an_hour_ago))
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil.disk_usage returns
    for free, gone in ((1 << 30, 0), (0, 3)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage(100, 90, free))
        store.prune("thing")
        left = {path.name for path in store.entries()}
        assert [entry.path.name for entry in entries if entry.path.name not in left] == [
            entry.path.name for entry in entries[:gone]
        ]


KEY = "0123456789abcdef0123"


#: No process: beyond the largest number that Linux gives (include/linux/threads.h PID_MAX_LIMIT).
NOBODY = 1 << 23


def test_only_what_is_ours_is_swept(tmp_path: Path) -> None:
    """SEABUS_CACHE may be somebody's home, with folders whose names end in a number as well."""
    ours = [f".thing-{KEY}-{NOBODY}", f"..thing-{KEY}-{NOBODY}", f".removed-thing-{KEY}-{NOBODY}"]
    alive = f".thing-{KEY}-{os.getpid()}"
    others = [f".venv-{NOBODY}", f".config-{NOBODY}", f".thing-{KEY}", f"thing-{KEY}-{NOBODY}", alive]
    for name in (*ours, *others):
        (tmp_path / name).mkdir()
    Store(tmp_path).sweep()
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == set(others)


def test_what_another_container_builds_is_not_swept(tmp_path: Path) -> None:
    """Its maker has a number there, and none, or another's, here."""
    (tmp_path / f".thing-{KEY}-{NOBODY}").mkdir()
    with filelock.FileLock(tmp_path / f"thing-{KEY}.lock"):
        Store(tmp_path).sweep()
        assert (tmp_path / f".thing-{KEY}-{NOBODY}").is_dir()
    Store(tmp_path).sweep()
    assert not (tmp_path / f".thing-{KEY}-{NOBODY}").exists()


@pytest.mark.parametrize(
    ("words", "left"),
    [((), {"state"}), (("--templates",), {"state", "thing"}), (("--states",), {"template", "thing"})],
)
def test_what_a_user_froze_is_deleted_by_name_only(
    words: tuple[str, ...], left: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEABUS_CACHE", str(tmp_path))
    for kind in ("state", "template", "thing"):
        Store(tmp_path).get(kind, {}, fill, say=silent)
    assert cli.main(["image", "clean", *words]) == 0
    assert {path.name.partition("-")[0] for path in Store(tmp_path).entries()} == left


def test_what_is_used_by_its_clones_is_not_the_least_used(tmp_path: Path) -> None:
    entry = Store(tmp_path).get("thing", {}, fill, say=silent)
    os.utime(entry.path / "stamps.json", (1, 1))
    store_module.note_use(entry.path)
    assert time.time() - store_module._last_use(entry.path) < 60
