# SPDX-License-Identifier: Apache-2.0
"""Kernel modules for an initramfs, out of package trees made here."""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

import pytest

from seabus.errors import ImageError
from seabus.images import modules
from seabus.images.tree import PackageTree

FOLDER = "usr/lib/modules/7.0-arm64"


def module(name: str, depends: str) -> bytes:
    return f"\x7fELF\0license=GPL\0depends={depends}\0name={name}\0".encode()


def tree(folder: Path, files: dict[str, bytes]) -> PackageTree:
    with tarfile.open(folder / "tar", "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"./{FOLDER}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return PackageTree(folder / "tar")


def test_dependencies_come_along(tmp_path: Path) -> None:
    files = {
        "kernel/fs/big-fs.ko.xz": lzma.compress(module("big_fs", "journal,check_sum")),
        "kernel/fs/journal.ko": module("journal", "check-sum"),
        "kernel/lib/check-sum.ko.xz": lzma.compress(module("check_sum", "")),
        "kernel/mm/other.ko": module("other", "big-fs"),
    }
    with tree(tmp_path, files) as packages:
        found = modules.collect(packages, ["big-fs"])
    assert sorted(found) == [
        f"{FOLDER}/{name}" for name in ("big_fs.ko", "check_sum.ko", "journal.ko", "modules.dep")
    ]
    assert found[f"{FOLDER}/big_fs.ko"] == module("big_fs", "journal,check_sum")
    assert found[f"{FOLDER}/modules.dep"].decode().splitlines() == [
        "big_fs.ko: journal.ko check_sum.ko",
        "check_sum.ko:",
        "journal.ko: check_sum.ko",
    ]


def test_a_module_that_is_not_there(tmp_path: Path) -> None:
    with tree(tmp_path, {"kernel/a.ko": module("a", "b")}) as packages:
        with pytest.raises(ImageError, match="no module b"):
            modules.collect(packages, ["a"])
        assert modules.collect(packages, []) == {}


def test_what_is_no_module() -> None:
    with pytest.raises(ImageError, match="does not say"):
        modules.depends(b"\x7fELF")
