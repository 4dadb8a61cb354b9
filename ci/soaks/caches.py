# SPDX-License-Identifier: Apache-2.0
"""What is damaged in the cache is found before anything is started from it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from seabus.errors import CloneError, ImageError
from seabus.images import manifest
from seabus.images.store import Entry, Store
from seabus.world import restore
from seabus.world.freeze import Frozen
from soaks.row import Row, Trial
from soaks.worlds import a_template

_RAM: Final = 4 << 20
_STATE: Final = 64 << 10


def _fill(folder: Path) -> Mapping[str, Any]:
    """As a template is: much memory, mostly holes, and a state that belongs to it."""
    with (folder / "ram").open("wb") as ram:
        ram.truncate(_RAM)
        for number in range(0, _RAM, _RAM // 16):
            ram.seek(number)
            ram.write(os.urandom(4096))
    (folder / "state").write_bytes(os.urandom(_STATE))
    return {}


@contextlib.asynccontextmanager
async def _two_generations(folder: Path) -> AsyncIterator[tuple[Store, list[Entry]]]:
    store = Store(folder / "cache")
    store.root.mkdir()
    yield (
        store,
        [store.get("template", {"generation": number}, _fill, say=lambda _: None) for number in (0, 1)],
    )


async def _damaged(trial: Trial) -> str:
    """A flipped bit, a cut, a swap of files or folders, or what is of another, times kept or not."""
    store, (entry, other) = trial.shared
    root = trial.folder / "cache"
    shutil.copytree(store.root, root, symlinks=True)
    how = trial.kind
    name = manifest.NAME if how.startswith("manifest") else trial.dice.choice(("ram", "state"))
    path = root / entry.path.name / name
    before = path.stat()
    path.chmod(0o600)
    match how:
        case "flip" | "manifest flip":
            at = trial.dice.randrange(before.st_size)
            with path.open("r+b") as file:
                byte = os.pread(file.fileno(), 1, at)
                os.pwrite(file.fileno(), bytes([byte[0] ^ 1 << trial.dice.randrange(8)]), at)
        case "cut":
            os.truncate(path, trial.dice.randrange(before.st_size))
        case "swap":
            (path.with_name("ram")).rename(path.with_name("aside"))
            (path.with_name("state")).rename(path.with_name("ram"))
            (path.with_name("aside")).rename(path.with_name("state"))
        case "folder swap":
            (root / entry.path.name).rename(root / "aside")
            (root / other.path.name).rename(root / entry.path.name)
            (root / "aside").rename(root / other.path.name)
        case "generation" | "manifest of another":
            path.unlink()
            shutil.copy2(store.root / other.path.name / name, path)
    if trial.dice.random() < 0.5:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    try:
        found = Store(root).find("template", {"generation": 0})
    except ImageError as error:
        return "" if "damaged" in error.message else f"{how} of {name}: told as {error.message}"
    return f"{how} of {name} was not found: {found}"


def _another(trial: Trial, frozen: Frozen) -> Frozen:
    """The frozen world with parts that differ in one thing."""
    what, parts = trial.kind, frozen.parts
    if what == "devices":  # they are the same for all worlds of one Seabus
        made = {**frozen.notes["made_by"], what: f"virtio-{trial.dice.getrandbits(16)}"}
        return replace(frozen, notes={**frozen.notes, "made_by": made})
    if what in _CONFIGURED:
        name, choices = _CONFIGURED[what]
        changed = {name: trial.dice.choice(choices)}
        return replace(frozen, parts=replace(parts, config=replace(parts.config, **changed)))
    if what in _FOUND:
        name, value = _FOUND[what]
        found = replace(parts.capabilities, **{name: value})
        return replace(frozen, parts=replace(parts, capabilities=found))
    digest = f"{trial.dice.getrandbits(48):012x}"
    assert what in parts.builds, parts.builds.keys()
    return replace(frozen, parts=replace(parts, builds={**parts.builds, what: digest}))


async def _mismatched(trial: Trial) -> str:
    """The frozen world meets another CPU, memory, device, QEMU, firmware or kernel than it was made by."""
    other = _another(trial, trial.shared)
    try:
        async with restore.cloned(other, artefacts=trial.folder, purpose="soak"):
            return f"another {trial.kind} was not noticed"
    except CloneError as error:
        if f"the {trial.kind} was" not in error.message:
            return f"another {trial.kind}: told as {error.message}"
    return "an emulator was started" if any(trial.folder.iterdir()) else ""


_CONFIGURED: Final[dict[str, tuple[str, Sequence[Any]]]] = {
    "CPU model": ("l0_cpu", ("full",)),
    "number of CPUs": ("l1_cpus", (1, 3, 4, 8)),
    "MiB of memory": ("l1_memory_mib", (1024, 3000, 8192)),
    "GHES of L1": ("l1_ras", (False,)),
    "KVM mode of L1": ("l1_mode", ("vhe",)),
    "added command line of L1": ("l1_append", ("mitigations=off", "quiet")),
    "number of CPUs of L2": ("l2_cpus", (2, 4)),
    "MiB of memory of L2": ("l2_memory_mib", (256, 768)),
    "backing of L2": ("l2_backing", ("thp", "hugetlb-2M", "memfd")),
    "GHES of L2": ("l2_ras", (False,)),
    "added command line of L2": ("l2_append", ("mitigations=off", "quiet")),
}
_FOUND: Final[dict[str, tuple[str, Any]]] = {
    "version of QEMU": ("version", "QEMU emulator version 9.9.9"),
    "machine type": ("machine", "virt-9.9"),
}
_BUILDS: Final = (
    "build of QEMU",
    "firmware",
    "kernel of L1",
    "kernel of L2",
    "initramfs of L1",
    "initramfs of L2",
    "VMM of L1",
)

ROWS: Final = (
    Row(
        name="mismatches",
        promise="a template that meets other parts than made it is refused by a sentence that names them,"
        " and no emulator is started",
        kinds=(*_CONFIGURED, *_FOUND, "devices", *_BUILDS),
        each=20,
        trial=_mismatched,
        shares=a_template,
    ),
    Row(
        name="damage",
        promise="a template with a flipped bit, be it of its manifest, a cut, or files, manifest or folder of"
        " another generation is refused",
        kinds=("flip", "cut", "swap", "generation", "manifest flip", "manifest of another", "folder swap"),
        each=125,
        trial=_damaged,
        shares=_two_generations,
    ),
)
