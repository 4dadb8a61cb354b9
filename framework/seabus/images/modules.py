# SPDX-License-Identifier: Apache-2.0
"""Kernel modules of an image: those it names, what they depend on, and the index that modprobe reads.

Packages are extracted without their scripts, so nobody has run depmod; busybox's modprobe asks for
``modules.dep`` alone (busybox modutils/modprobe.c).
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from seabus.errors import ImageError
from seabus.images.tree import PackageTree

_FILE: Final = r"usr/lib/modules/[^/]+/kernel/.+\.ko(\.xz)?"
_DEPENDS: Final = re.compile(rb"\0depends=([\w,-]*)\0")  # of the section .modinfo


def collect(tree: PackageTree, names: Iterable[str]) -> dict[str, bytes]:
    """Path in the image to content: the modules, uncompressed, and ``modules.dep``.

    A name that the kernel has built in, or lacks, is left out: what needs it is probed for when it runs.

    :raises ImageError: a module depends on one that is in no package.
    """
    known = {_name(path): path for path in tree.match(_FILE)}
    found: dict[str, tuple[str, bytes, list[str]]] = {}
    waiting = [name for name in names if name in known]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name not in known:
            raise ImageError(f"no package in the tree has the kernel module {name}")
        data = _uncompressed(known[name], tree.read(known[name]))
        depends = _depends(data)
        found[name] = (known[name].removesuffix(".xz"), data, depends)
        waiting += depends
    files = {path: data for path, data, _ in found.values()}
    if found:
        base = "/".join(next(iter(files)).split("/")[:4])
        files[f"{base}/modules.dep"] = "".join(
            f"{_below(path)}: {' '.join(_below(found[one][0]) for one in _all(name, found))}\n"
            for name, (path, _, _) in sorted(found.items())
        ).encode()
    return files


def _all(name: str, found: dict[str, tuple[str, bytes, list[str]]]) -> list[str]:
    """All that a module depends on, the nearest first, as depmod lists them."""
    order: list[str] = []
    waiting = list(found[name][2])
    while waiting:
        one = waiting.pop(0)
        if one not in order:
            order.append(one)
            waiting += found[one][2]
    return order


def _name(path: str) -> str:
    return PurePosixPath(path).name.split(".")[0].replace("-", "_")


def _below(path: str) -> str:
    """A path in the image, from the folder that ``modules.dep`` is in."""
    return path.split("/", 4)[4]


def _uncompressed(path: str, data: bytes) -> bytes:
    return lzma.decompress(data) if path.endswith(".xz") else data


def _depends(data: bytes) -> list[str]:
    match = _DEPENDS.search(data)
    return [name.replace("-", "_") for name in match[1].decode().split(",") if name] if match else []
