# SPDX-License-Identifier: Apache-2.0
"""A stock Debian root as an initramfs: the guest of somebody who has never heard of Seabus.

Its packages are extracted and not configured (nothing foreign can be run here); the recipe makes up for the
few things that their scripts would have done and the boot needs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from seabus.images import packages, recipe
from seabus.images.cpio import CpioWriter
from seabus.images.store import Say, Store
from seabus.images.tree import PackageTree

_RECIPE: Final = "stock"
_ROOM_MIB: Final = 1500


def inputs() -> dict[str, Any]:
    """Everything that decides what the root is."""
    source = recipe.Source.chosen(recipe.load(_RECIPE)["suite"])
    return {
        "recipe": recipe.digest_of(f"{_RECIPE}.toml"),
        "layout": 1,  # raised when this module writes the archive in another way
        "suite": source.suite,
        "mirror": source.mirror,
    }


def get(store: Store, *, say: Say) -> Path:
    """The initramfs, built if it is not there."""
    entry = store.get(_RECIPE, inputs(), lambda folder: _build(folder, say), say=say, need_mib=_ROOM_MIB)
    return entry.file("root.cpio")


def _build(folder: Path, say: Say) -> Mapping[str, Any]:
    table = recipe.load(_RECIPE)
    source = recipe.Source.chosen(table["suite"])
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tree-") as scratch:
        tar = Path(scratch, "tree.tar")
        packages.fetch(table["packages"], architecture="arm64", source=source, tar=tar, say=say)
        with PackageTree(tar) as tree, (folder / "root.cpio").open("wb") as stream:
            say("packing a stock Debian root")
            with CpioWriter(stream) as archive:
                _pack(tree, table, archive)
            return {"packages": tree.packages()}


def _pack(tree: PackageTree, table: Mapping[str, Any], archive: CpioWriter) -> None:
    for name, copied in table["copies"].items():
        archive.file(name, tree.read(copied))
    for name, content in table["contents"].items():
        archive.file(name, content.encode())
    for name, target in table["links"].items():
        archive.symlink(name, target)
    for name, member in tree.members():
        if name == "." or name.startswith(tuple(table["left_out"])):
            continue
        if member.isdir():
            archive.directory(name, mode=member.mode & 0o7777)
        elif member.issym():
            archive.symlink(name, member.linkname)
        elif member.isreg() or member.islnk():
            archive.file(name, tree.read(name), mode=member.mode & 0o7777)
