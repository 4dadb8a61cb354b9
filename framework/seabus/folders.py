# SPDX-License-Identifier: Apache-2.0
"""Where Seabus keeps things: the cache, the artefacts of runs, and the short-lived run folders."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import platformdirs

from seabus.errors import HostError

_APP = "seabus"
#: Of a runtime folder, so that the path of a socket in a run folder below it is not too long.
_LONGEST = 50


def cache() -> Path:
    """Images and templates: large, shared by all runs of this user, safe to delete."""
    return _made(_chosen("SEABUS_CACHE", platformdirs.user_cache_path(_APP)))


def has_cache() -> bool:
    """Whether anything was ever built; nothing is made by asking."""
    return _chosen("SEABUS_CACHE", platformdirs.user_cache_path(_APP)).is_dir()


def artefacts() -> Path:
    """Results of past runs, one folder each: consoles, transcripts, records, verdicts."""
    return _made(_chosen("SEABUS_ARTEFACTS", platformdirs.user_state_path(_APP) / "runs"))


def labs() -> Path:
    """Who holds which lab host, one folder a lab."""
    return _made(_chosen("SEABUS_LABS", platformdirs.user_state_path(_APP) / "labs"))


def running() -> Path:
    """Sockets and locks of what runs now.

    Not under the home folder: a unix socket's path has room for 107 bytes, and a home may be long
    or on a network file system.
    """
    places = [os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"]
    short = [place for place in places if 0 < len(os.fsencode(place)) <= _LONGEST]
    base = next((place for place in short if os.access(place, os.R_OK | os.W_OK | os.X_OK)), None)
    if base is None:
        raise HostError(
            "there is no folder for sockets whose path is short enough",
            hint=f"set XDG_RUNTIME_DIR to a folder of yours of at most {_LONGEST} bytes",
        )
    folder = Path(base) / f"seabus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    _must_be_private(folder)
    return folder


def _chosen(variable: str, default: Path) -> Path:
    value = os.environ.get(variable)
    return Path(value).absolute() if value else default


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(
            f"cannot make the folder {folder}: {error.strerror}",
            hint="set SEABUS_CACHE and SEABUS_ARTEFACTS to folders you can write to",
        ) from error
    return folder


def _must_be_private(folder: Path) -> None:
    # In a shared temporary folder somebody else may have made it first, to read our sockets.
    status = folder.lstat()
    if (
        not stat.S_ISDIR(status.st_mode)
        or status.st_uid != os.getuid()
        or status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ):
        raise HostError(
            f"{folder} is not a private folder of yours",
            hint="remove it, or point XDG_RUNTIME_DIR at a folder of your own",
        )
