# SPDX-License-Identifier: Apache-2.0
"""The L0 image: qemu-system-aarch64 with its libraries and loader, and the EDK2 firmware.

It is run through its own loader, so the age of this computer's distribution does not matter.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seabus.images import packages, recipe
from seabus.images.store import Entry, Say, Store
from seabus.images.tree import PackageTree

_PROGRAM: Final = "qemu-system-aarch64"
_ROOM_MIB: Final = 1500  # the tar of a whole tree beside the image


@dataclass(frozen=True, kw_only=True)
class EmulatorImage:
    """What is needed to start the L0 emulator."""

    entry: Entry

    @property
    def command(self) -> list[str]:
        """The start of the emulator's argv."""
        notes = self.entry.manifest["notes"]
        return [
            str(self.entry.file(f"lib/{notes['loader']}")),
            "--library-path",
            str(self.entry.file("lib")),
            str(self.entry.file(_PROGRAM)),
        ]

    @property
    def firmware(self) -> Path:
        """EDK2 for ``-bios``: ACPI, and with it GHES, needs UEFI firmware."""
        return self.entry.file("QEMU_EFI.fd")

    @property
    def version(self) -> str:
        """The emulator's version, as its package calls it."""
        packages = self.entry.manifest["notes"]["packages"]
        return str(packages.get("qemu-system-arm", "unknown"))


def inputs() -> dict[str, Any]:
    """Everything that decides what the image is."""
    table = recipe.load("emulator")
    source = recipe.Source.chosen(table["suite"])
    return {
        "recipe": recipe.digest_of("emulator.toml"),
        "suite": source.suite,
        "mirror": source.mirror,
        "architecture": recipe.host_architecture(),
    }


def find(store: Store) -> EmulatorImage | None:
    """The image if it is there; nothing is built."""
    entry = store.find("emulator", inputs())
    return EmulatorImage(entry=entry) if entry else None


def get(store: Store, *, say: Say) -> EmulatorImage:
    """The image, built if it is not there."""
    entry = store.get("emulator", inputs(), lambda folder: _build(folder, say), say=say, need_mib=_ROOM_MIB)
    return EmulatorImage(entry=entry)


def _build(folder: Path, say: Say) -> Mapping[str, Any]:
    table = recipe.load("emulator")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tree-") as scratch:
        tar = Path(scratch, "tree.tar")
        packages.fetch(
            table["packages"],
            architecture=recipe.host_architecture(),
            source=recipe.Source.chosen(table["suite"]),
            tar=tar,
            say=say,
        )
        with PackageTree(tar) as tree:
            return _select(tree, table, folder)


def _select(tree: PackageTree, table: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    (folder / "lib").mkdir()
    for name, source in table["programs"].items():
        _write(folder / name, tree.read(source), mode=0o755)
    for name, source in table["files"].items():
        _write(folder / name, tree.read(source))
    for soname, source in tree.libraries(table["programs"].values()).items():
        _write(folder / "lib" / soname, tree.read(source))
    loader = Path(tree.interpreter(table["programs"][_PROGRAM]))
    place = next(place for place in (f"usr{loader}", str(loader)) if tree.has(place))
    _write(folder / "lib" / loader.name, tree.read(place), mode=0o755)
    return {"packages": tree.packages(), "loader": loader.name}


def _write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    path.write_bytes(data)
    path.chmod(mode)
