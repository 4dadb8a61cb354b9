# SPDX-License-Identifier: Apache-2.0
"""One folder per run, named by time, that keeps all evidence; old ones are pruned."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from seabus import folders
from seabus.errors import HostError, SeabusError, UsageError

if TYPE_CHECKING:
    from seabus.world.world import World

KEEP: Final = 200
#: What :func:`new` calls its folders; others' are none of ours, wherever SEABUS_ARTEFACTS points.
_OURS: Final = re.compile(r"[0-9]{8}-[0-9]{6}-(?P<pid>[0-9]+)-[0-9a-f]{4}")


def new(chosen: Path | None = None) -> Path:
    """A new folder: the one the user chose, or the next below the state folder."""
    if chosen is not None:
        try:
            chosen.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(
                f"cannot make the folder {chosen}: {error.strerror}",
                hint="choose another with --artefacts",
            ) from error
        if any(chosen.iterdir()):
            raise UsageError(
                f"{chosen} is not empty", hint="evidence of two runs must not mix: name a new folder"
            )
        return chosen.absolute()
    root = folders.artefacts()
    _prune(root)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = root / f"{stamp}-{os.getpid()}-{secrets.token_hex(2)}"
    path.mkdir()
    return path


async def keep_vmm_log(world: World) -> None:
    """What the VMM said, as far as its host can still be asked."""
    with contextlib.suppress(SeabusError, OSError):
        (world.artefacts / "vmm.log").write_bytes(await world.vmm_log())


def _prune(root: Path) -> None:
    """Forget the oldest of the runs kept by default, but for those that still run.

    A folder the user chose is never touched.
    """
    ours = sorted(
        (path.name, found["pid"]) for path in root.iterdir() if (found := _OURS.fullmatch(path.name))
    )
    for name, pid in ours[: 1 - KEEP or None]:
        if not Path("/proc", pid).exists():
            shutil.rmtree(root / name, ignore_errors=True)
