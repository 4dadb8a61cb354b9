# SPDX-License-Identifier: Apache-2.0
"""The small EL3 monitor with all that runs below it, compiled for QEMU's virt machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from seabus.images import compiler, recipe
from seabus.images.store import Say, Store

PROGRAM: Final = "monitor"
_ROOM_MIB: Final = 16


def get(store: Store, *, say: Say) -> Path:
    """The ELF file, compiled if it is not there.

    :raises CapabilityError: there is no compiler for arm64.
    :raises ImageError: the compiler refused.
    """
    inputs = {"recipe": recipe.digest_of(PROGRAM), "layout": 1}
    return store.get(PROGRAM, inputs, _build, say=say, need_mib=_ROOM_MIB).file("monitor")


def _build(folder: Path) -> Mapping[str, Any]:
    compiler.build_payload(PROGRAM, folder / "monitor")
    return {}
