# SPDX-License-Identifier: Apache-2.0
"""Modules of the packaged kernel for an initramfs: with what they need, where modprobe looks for them."""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from seabus.errors import ImageError
from seabus.images.tree import PackageTree

# Packed modules are unpacked here: whether a modprobe can do that depends on how it was built.
_UNPACK: Final[dict[str, Callable[[bytes], bytes]]] = {
    ".ko": bytes,
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
}


def collect(tree: PackageTree, names: Iterable[str]) -> dict[str, bytes]:
    """Modules and all they need, with the ``modules.dep`` that tells modprobe so: path to content.

    :raises ImageError: the packaged kernel has no such module.
    """
    paths = {_canonical(_stem(path)): path for path in tree.match(r"usr/lib/modules/.+\.ko(\.[xg]z)?")}
    found: dict[str, bytes] = {}
    needed: dict[str, list[str]] = {}
    waiting = [_canonical(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name not in paths:
            raise ImageError(
                f"the packaged kernel has no module {name}",
                hint="it may be built in by now: take it out of images/guests.toml, or choose another suite",
            )
        found[name] = _UNPACK[Path(paths[name]).suffix](tree.read(paths[name]))
        needed[name] = depends(found[name])
        waiting += needed[name]
    if not found:
        return {}
    folder = "/".join(next(iter(paths.values())).split("/")[:4])  # usr/lib/modules/RELEASE
    lines = (f"{name}.ko:{''.join(f' {other}.ko' for other in _closure(name, needed))}\n" for name in found)
    files = {f"{folder}/{name}.ko": data for name, data in found.items()}
    return {**files, f"{folder}/modules.dep": "".join(sorted(lines)).encode()}


def depends(module: bytes) -> list[str]:
    """The modules that a module says it needs (section ``.modinfo``; Linux scripts/mod/modpost.c)."""
    said = re.search(rb"(?:^|\0)depends=([^\0]*)\0", module)
    if said is None:
        raise ImageError("a module does not say what it depends on")
    return [_canonical(name) for name in said[1].decode().split(",") if name]


def _closure(name: str, needed: dict[str, list[str]]) -> list[str]:
    """In the order of modules.dep: what is loaded last comes first (Linux kmod, depmod(8))."""
    order: list[str] = []
    for other in needed[name]:
        for one in (other, *_closure(other, needed)):
            if one in order:
                order.remove(one)
            order.append(one)
    return order


def _stem(path: str) -> str:
    return Path(path).name.split(".")[0]


def _canonical(name: str) -> str:
    """One spelling: files and dependencies differ in it, and modprobe takes either."""
    return name.replace("-", "_")
