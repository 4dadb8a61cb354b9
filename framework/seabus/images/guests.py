# SPDX-License-Identifier: Apache-2.0
"""The L1 and L2 images: the kernel both boot, two initramfs archives, the firmware and our agent."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seabus.errors import ImageError
from seabus.images import compiler, modules, packages, recipe
from seabus.images.cpio import CpioWriter
from seabus.images.store import Entry, Say, Store
from seabus.images.tree import PackageTree

_ROOM_MIB: Final = 2500
_FOLDERS: Final = ("proc", "sys", "dev", "run", "tmp", "root", "var/log", "usr/sbin")
# Debian's merged /usr: these are links in the real root as well.
_LINKS: Final = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib"}
AGENT: Final = "agent"


@dataclass(frozen=True, kw_only=True)
class GuestImages:
    """The files that L1 and L2 boot from."""

    entry: Entry

    @property
    def kernel(self) -> Path:
        """An arm64 ``Image``, the same for L1 and L2 unless the user brings another."""
        return self.entry.file("Image")

    def initrd(self, level: str) -> Path:
        """The initramfs of ``"l1"`` or ``"l2"``."""
        return self.entry.file(f"{level}.cpio")

    @property
    def agent(self) -> Path:
        """Our agent, a static arm64 program."""
        return self.entry.file("seabus-agent")

    @property
    def kernel_version(self) -> str:
        return str(self.entry.manifest["notes"]["kernel"])


def inputs() -> dict[str, Any]:
    """Everything that decides what the images are."""
    table = recipe.load("guests")
    source = recipe.Source.chosen(table["suite"])
    return {
        "recipe": recipe.digest_of("guests.toml", "common", "l1", "l2", AGENT),
        "layout": 2,  # raised when this module writes the archives in another way
        "suite": source.suite,
        "mirror": source.mirror,
    }


def find(store: Store) -> GuestImages | None:
    """The images if they are there; nothing is built."""
    entry = store.find("guests", inputs())
    return GuestImages(entry=entry) if entry else None


def get(store: Store, *, say: Say) -> GuestImages:
    """The images, built if they are not there."""
    entry = store.get("guests", inputs(), lambda folder: _build(folder, say), say=say, need_mib=_ROOM_MIB)
    return GuestImages(entry=entry)


def _build(folder: Path, say: Say) -> Mapping[str, Any]:
    table = recipe.load("guests")
    agent = folder / "seabus-agent"
    say("compiling the guest agent")
    compiler.build(AGENT, agent)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tree-") as scratch:
        tar = Path(scratch, "tree.tar")
        packages.fetch(
            table["packages"],
            architecture="arm64",
            source=recipe.Source.chosen(table["suite"]),
            tar=tar,
            say=say,
        )
        with PackageTree(tar) as tree:
            kernels = tree.match(table["kernel"])
            if len(kernels) != 1:
                raise ImageError(f"expected one kernel in the packages, found {kernels}")
            (folder / "Image").write_bytes(tree.read(kernels[0]))
            for level in ("l1", "l2"):
                say(f"packing the {level.upper()} initramfs")
                _pack(tree, table[level], level, agent.read_bytes(), folder / f"{level}.cpio")
            return {"packages": tree.packages(), "kernel": Path(kernels[0]).parent.name}


def _pack(tree: PackageTree, table: Mapping[str, Any], level: str, agent: bytes, output: Path) -> None:
    with output.open("wb") as stream, CpioWriter(stream) as archive:
        for name in _FOLDERS:
            archive.directory(name)
        for name, target in _LINKS.items():
            archive.symlink(name, target)
        _add_recipe_files(archive, recipe.folder() / level)
        _add_recipe_files(archive, recipe.folder() / "common")
        archive.file("usr/bin/seabus-agent", agent, mode=0o755)
        for name in (*table["programs"], *table["files"]):
            archive.file(name, tree.read(name), mode=0o755)
        for name, data in modules.collect(tree, table.get("modules", ())).items():
            archive.file(name, data)
        for soname, source in tree.libraries(table["programs"]).items():
            archive.file(str(Path(source).with_name(soname)), tree.read(source), mode=0o755)
        for loader in {tree.interpreter(program) for program in table["programs"]}:
            archive.file(f"usr{loader}", tree.read(f"usr{loader}"), mode=0o755)


def _add_recipe_files(archive: CpioWriter, folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            mode = stat.S_IMODE(path.stat().st_mode) | 0o444
            archive.file(str(path.relative_to(folder)), path.read_bytes(), mode=mode & 0o755)
