# SPDX-License-Identifier: Apache-2.0
"""The store never hands out what was not built whole, and builds once however many ask."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Callable, Mapping
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

from seabus.errors import CapabilityError, ImageError
from seabus.images import manifest
from seabus.images import store as store_module
from seabus.images.store import USERS_OWN, Store, digest
from tests.unit.fills import fill, silent


def test_second_call_builds_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    built = []

    def build(folder: Path) -> Mapping[str, Any]:
        built.append(folder)
        return fill(folder)

    first = store.get("thing", {"a": 1}, build, say=silent)
    second = store.get("thing", {"a": 1}, build, say=silent)
    assert len(built) == 1
    assert first.path == second.path
    assert second.manifest["notes"] == {"note": 1}


def test_other_inputs_are_another_entry(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one = store.get("thing", {"a": 1}, fill, say=silent)
    other = store.get("thing", {"a": 2}, fill, say=silent)
    assert one.path != other.path


def test_interrupted_build_is_never_seen(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def interrupted(folder: Path) -> Mapping[str, Any]:
        (folder / "half").write_bytes(b"x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.get("thing", {}, interrupted, say=silent)
    assert store.find("thing", {}) is None
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def _build_forever(root: Path, begun: Event) -> None:
    def build(folder: Path) -> Mapping[str, Any]:
        fill(folder)
        begun.set()
        time.sleep(300)
        return {}

    Store(root).get("thing", {"a": 1}, build, say=silent)


def test_what_a_killed_builder_leaves_goes_by_itself(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    begun = spawn.Event()
    builder = spawn.Process(target=_build_forever, args=(tmp_path, begun))
    builder.start()
    assert begun.wait(30)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()]
    builder.kill()
    builder.join()
    late = time.monotonic() + 5
    while (left := [path for path in tmp_path.iterdir() if path.is_dir()]) and time.monotonic() < late:
        time.sleep(0.02)
    assert not left
    assert Store(tmp_path).get("thing", {"a": 1}, fill, say=silent).file("ram").exists()


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_bit_is_found(tmp_path: Path, seed: int) -> None:
    entry = Store(tmp_path).get("thing", {}, fill, say=silent)
    dice = random.Random(seed)
    victim = entry.file(dice.choice(["ram", "state"]))
    data = bytearray(victim.read_bytes())
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    victim.chmod(0o644)
    victim.write_bytes(data)
    with pytest.raises(ImageError, match="is not what was built"):
        Store(tmp_path).find("thing", {})


def test_a_flip_that_restores_mtime_is_found(tmp_path: Path) -> None:
    """ctime tells, and no user can set it back."""
    entry = Store(tmp_path).get("thing", {}, fill, say=silent)
    ram = entry.file("ram")
    before = ram.stat()
    ram.chmod(0o644)
    with ram.open("r+b") as file:
        file.write(b"R")
    ram.chmod(0o444)
    os.utime(ram, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ImageError):
        Store(tmp_path).find("thing", {})


def test_a_truncated_or_missing_file_is_found(tmp_path: Path) -> None:
    entry = Store(tmp_path).get("thing", {}, fill, say=silent)
    state = entry.file("state")
    state.chmod(0o644)
    os.truncate(state, 10)
    with pytest.raises(ImageError):
        Store(tmp_path).find("thing", {})
    state.unlink()
    with pytest.raises(ImageError, match="missing"):
        Store(tmp_path).find("thing", {})


def test_swapped_generations_are_found(tmp_path: Path) -> None:
    """QEMU does not notice a `ram` of another generation than `state`: we must."""
    store = Store(tmp_path)

    def other(folder: Path) -> Mapping[str, Any]:
        (folder / "ram").write_bytes(b"q" * 100_000)
        (folder / "state").write_bytes(b"s" * 1000)
        return {}

    one = store.get("thing", {"a": 1}, fill, say=silent)
    two = store.get("thing", {"a": 2}, other, say=silent)
    aside = tmp_path / "aside"
    one.file("ram").rename(aside)
    two.file("ram").rename(one.file("ram"))
    aside.rename(two.file("ram"))
    for inputs in ({"a": 1}, {"a": 2}):
        with pytest.raises(ImageError):
            store.find("thing", inputs)


def manifest_of(folder: Path) -> Path:
    return folder / "manifest.json"


def test_a_flip_anywhere_in_a_manifest_is_found(tmp_path: Path) -> None:
    """In a note, in a name, in a digest, in a blank, in the seal itself."""
    entry = Store(tmp_path).get("thing", {"a": 1}, fill, say=silent)
    text = manifest_of(entry.path).read_bytes()
    for at in range(len(text)):
        flipped = bytearray(text)
        flipped[at] ^= 1 << at % 8
        manifest_of(entry.path).write_bytes(flipped)
        with pytest.raises(ImageError, match="damaged"):
            Store(tmp_path).find("thing", {"a": 1})
    manifest_of(entry.path).write_bytes(text)
    assert Store(tmp_path).find("thing", {"a": 1})


def rewritten(folder: Path, **fields: Any) -> None:  # noqa: ANN401 - anything that JSON can say
    found = json.loads(manifest_of(folder).read_text()) | fields
    manifest_of(folder).write_text(json.dumps(found, indent=1))


def resealed(folder: Path, **fields: Any) -> None:  # noqa: ANN401 - anything that JSON can say
    found = json.loads(manifest_of(folder).read_text()) | fields
    del found["seal"]
    manifest_of(folder).write_text(manifest.written(found))


def without_files(folder: Path) -> None:
    rewritten(folder, files={})
    (folder / "ram").chmod(0o600)
    (folder / "ram").write_bytes(b"")


MALFORMED: dict[str, Callable[[Path], object]] = {
    "changed notes": lambda folder: rewritten(folder, notes={"note": 2}),
    "no files and an emptied ram": without_files,
    "a list": lambda folder: manifest_of(folder).write_text("[]"),
    "nothing in it": lambda folder: manifest_of(folder).write_text("{}"),
    "a seal alone": lambda folder: manifest_of(folder).write_text(manifest.written({})),
    "null": lambda folder: manifest_of(folder).write_text("null"),
    "no JSON": lambda folder: manifest_of(folder).write_bytes(b"\xff{"),
    "nested without end": lambda folder: manifest_of(folder).write_text("[" * 100_000),
    "an older schema": lambda folder: resealed(folder, schema=1),
    "another kind": lambda folder: resealed(folder, kind="other"),
    "another key": lambda folder: resealed(folder, key="0" * 20),
    "other inputs": lambda folder: resealed(folder, inputs={"a": 2}),
    "files that are none": lambda folder: resealed(folder, files={"ram": 1}),
    "no manifest": lambda folder: manifest_of(folder).unlink(),
}


@pytest.mark.parametrize("how", MALFORMED)
def test_a_manifest_that_was_not_written_so_is_damage(tmp_path: Path, how: str) -> None:
    entry = Store(tmp_path).get("thing", {"a": 1}, fill, say=silent)
    MALFORMED[how](entry.path)
    with pytest.raises(ImageError, match="is damaged: "):
        Store(tmp_path).find("thing", {"a": 1})
    said: list[str] = []
    again = Store(tmp_path).get("thing", {"a": 1}, fill, say=said.append)
    assert (again.file("ram").stat().st_size, again.manifest["notes"]) == (100_000, {"note": 1})
    assert "damaged" in said[0]
    assert Store(tmp_path).find("thing", {"a": 1})


def test_an_entry_of_an_older_seabus_is_built_again(tmp_path: Path) -> None:
    entry = Store(tmp_path).get("thing", {"a": 1}, fill, say=silent)
    old = json.loads(manifest_of(entry.path).read_text()) | {"schema": 1}
    del old["seal"]
    manifest_of(entry.path).write_text(json.dumps(old, indent=1))
    said: list[str] = []
    Store(tmp_path).get("thing", {"a": 1}, fill, say=said.append)
    assert said == [
        f"{entry.path.name} is damaged: its manifest has no seal, as those of an older Seabus;"
        " building it again"
    ]


def test_what_only_its_user_can_make_is_refused_and_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    entry = store.get(USERS_OWN, {"name": "mine"}, fill, say=silent)
    rewritten(entry.path, notes={"note": 2})
    for ask in (store.find, lambda kind, inputs: store.get(kind, inputs, fill, say=silent)):
        with pytest.raises(ImageError, match="is damaged: its manifest is not what was written") as refused:
            ask(USERS_OWN, {"name": "mine"})
        assert "freeze it anew" in refused.value.hint
    assert entry.file("ram").stat().st_size == 100_000
    assert store.readable() == []


def test_two_folders_in_each_others_place_are_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one = store.get("thing", {"a": 1}, fill, say=silent)
    two = store.get("thing", {"a": 2}, fill, say=silent)
    aside = tmp_path / "aside"
    one.path.rename(aside)
    two.path.rename(one.path)
    aside.rename(two.path)
    for number in (1, 2):
        with pytest.raises(ImageError, match="in another's place"):
            store.find("thing", {"a": number})


@pytest.mark.parametrize("text", ["[]", "null", '{"ram": []}', '{"ram": null, "state": {}}', "no JSON", ""])
def test_stamps_that_are_none_cost_a_look_at_the_files(tmp_path: Path, text: str) -> None:
    """They only save that look: what they say is believed where it is what was found."""
    entry = Store(tmp_path).get("thing", {}, fill, say=silent)
    entry.file("stamps.json").write_text(text)
    assert Store(tmp_path).find("thing", {})
    assert json.loads(entry.file("stamps.json").read_text()).keys() == {"ram", "state"}
    entry.file("stamps.json").write_text(text)
    entry.file("ram").chmod(0o600)
    entry.file("ram").write_bytes(b"R" * 100_000)
    with pytest.raises(ImageError, match="ram is not what was built"):
        Store(tmp_path).find("thing", {})


def test_a_folder_in_the_place_of_a_file_is_damage(tmp_path: Path) -> None:
    entry = Store(tmp_path).get("thing", {}, fill, say=silent)
    entry.file("ram").unlink()
    entry.file("ram").mkdir()
    with pytest.raises(ImageError, match="is damaged: ram "):
        Store(tmp_path).find("thing", {})


def test_damage_is_said_and_repaired(tmp_path: Path) -> None:
    said: list[str] = []
    entry = Store(tmp_path).get("thing", {}, fill, say=silent)
    entry.file("ram").unlink()
    again = Store(tmp_path).get("thing", {}, fill, say=said.append)
    assert again.file("ram").read_bytes() == b"r" * 100_000
    assert "damaged" in said[0]


def test_a_moved_cache_is_digested_again_and_accepted(tmp_path: Path) -> None:
    Store(tmp_path / "a").root.mkdir()
    entry = Store(tmp_path / "a").get("thing", {}, fill, say=silent)
    shutil.copytree(entry.path.parent, tmp_path / "b")
    assert Store(tmp_path / "b").find("thing", {}) is not None


def _ask(root: Path, count: Any) -> None:  # noqa: ANN401 - a synchronized Value
    def build(folder: Path) -> Mapping[str, Any]:
        with count.get_lock():
            count.value += 1
        return fill(folder)

    Store(root).get("thing", {}, build, say=silent)


def test_many_processes_build_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    count = context.Value("i", 0)
    askers = [context.Process(target=_ask, args=(tmp_path, count)) for _ in range(12)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(30)
        assert asker.exitcode == 0
    assert count.value == 1


def test_digest_knows_holes_from_content(tmp_path: Path) -> None:
    sparse, dense, shifted = tmp_path / "sparse", tmp_path / "dense", tmp_path / "shifted"
    with sparse.open("wb") as file:
        file.seek(3 << 20)
        file.write(b"data")
        file.truncate(8 << 20)
    dense.write_bytes(sparse.read_bytes())
    with shifted.open("wb") as file:
        file.seek((3 << 20) + (1 << 16))
        file.write(b"data")
        file.truncate(8 << 20)
    assert digest(sparse) == digest(dense) != digest(shifted)


def test_waiting_for_another_builder_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_BUILD_SECONDS", 0.2)
    store = Store(tmp_path)
    said: list[str] = []

    def build(folder: Path) -> Mapping[str, Any]:
        with pytest.raises(ImageError, match="another process has been building thing"):
            Store(tmp_path).get("thing", {"a": 1}, fill, say=said.append)
        return fill(folder)

    store.get("thing", {"a": 1}, build, say=silent)
    assert said == ["another process is building thing; waiting for it"]


def test_a_lock_is_let_go_of_when_nobody_can_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(CapabilityError, match="flock") as kept:
        Store(tmp_path).get("thing", {}, fill, say=silent)
    monkeypatch.undo()
    assert Store(tmp_path).get("thing", {}, fill, say=silent).file("ram").exists()
    assert kept.value.hint


def test_what_changes_as_it_is_digested_is_digested_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Store(tmp_path).get("thing", {}, fill, say=silent)
    ram = entry.file("ram")
    (entry.path / "stamps.json").unlink()

    def changed_meanwhile(path: Path) -> str:
        found = digest(path)
        if path == ram:
            ram.chmod(0o644)
            ram.write_bytes(b"R" * ram.stat().st_size)
        return found

    monkeypatch.setattr(store_module, "digest", changed_meanwhile)
    assert Store(tmp_path).find("thing", {}) is not None
    monkeypatch.undo()
    with pytest.raises(ImageError, match="ram is not what was built"):
        Store(tmp_path).find("thing", {})
