# SPDX-License-Identifier: Apache-2.0
"""The recipes of the folder ``images/``: TOML, init scripts and the C sources of the guest programs."""

from __future__ import annotations

import hashlib
import os
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seabus.errors import CapabilityError, ImageError

_DEBIAN_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where packages come from.

    :param suite: the Debian suite; its ``-backports`` companion is used beside it.
    :param mirror: base address of an archive, or "" for mmdebstrap's own default.
    """

    suite: str
    mirror: str = ""

    @classmethod
    def chosen(cls, default_suite: str) -> Source:
        """From ``SEABUS_SUITE`` and ``SEABUS_MIRROR``, which the command line's options set."""
        return cls(
            suite=os.environ.get("SEABUS_SUITE") or default_suite,
            mirror=os.environ.get("SEABUS_MIRROR", ""),
        )


def folder() -> Path:
    """The recipes: inside an installed package, or at the root of a checkout."""
    installed = Path(__file__).parent / "recipes"
    checkout = Path(__file__).parents[3] / "images"
    for path in (installed, checkout):
        if path.is_dir():
            return path
    raise ImageError(
        "the image recipes are not part of this installation",
        hint="install Seabus again from a complete source tree",
    )


def load(name: str) -> Mapping[str, Any]:
    """A recipe's table."""
    return tomllib.loads((folder() / f"{name}.toml").read_text())


def digest_of(*names: str) -> str:
    """A hash of recipe files and folders, by name and content."""
    total = hashlib.sha256()
    for name in names:
        path = folder() / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                total.update(str(file.relative_to(folder())).encode())
                total.update(file.read_bytes())
    return total.hexdigest()


def host_architecture() -> str:
    """Debian's name of the architecture Seabus runs on.

    :raises CapabilityError: no emulator can be had for it.
    """
    machine = platform.machine()
    try:
        return _DEBIAN_ARCHITECTURES[machine]
    except KeyError:
        raise CapabilityError(
            f"no emulator image for a {machine} computer",
            hint="run on x86-64 or arm64 Linux",
        ) from None
