# SPDX-License-Identifier: Apache-2.0
"""The short-lived folder of a running emulator: its sockets, and the lock that says its owner lives.

The kernel releases the lock when the owner dies, however it dies. An undertaker waits for that, and removes
the folder. Should it have been killed as well, whoever starts next takes the locks of the dead, ends what
they left and removes their folders.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil

from seabus import folders
from seabus.undertaker import Undertaker

_LOCK: Final = "owner.lock"
_FACTS: Final = "run.json"
_FACT_NAMES: Final = {"owner_pid", "emulator_pid", "purpose", "started", "artefacts", "until"}
_KILL_WAIT: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Running:
    """One running world, as ``seabus ps`` shows it.

    :param until: the moment (seconds since the epoch) when a world that was kept ends by itself, else None.
    """

    name: str
    folder: Path
    owner_pid: int
    emulator_pid: int | None
    purpose: str
    started: float
    artefacts: str
    until: float | None


class RunFolder:
    """A private folder owned by this process, from construction to :meth:`close`."""

    def __init__(self, purpose: str, *, artefacts: Path | None = None) -> None:
        self.name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.path = folders.running() / self.name
        self._given_away = False
        self._facts: dict[str, Any] = {
            "owner_pid": os.getpid(),
            "emulator_pid": None,
            "purpose": purpose,
            "started": time.time(),
            "artefacts": str(artefacts or ""),
            "until": None,
        }
        # Made under a hidden name and renamed once locked, or a reaper could take it in between.
        newborn = self.path.with_name(f".{self.name}")
        newborn.mkdir(mode=0o700)
        try:
            # Not released but closed: whoever inherited it, as a keeper does, holds it on.
            self._lock = os.open(newborn / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            newborn.rename(self.path)
            #: Who removes the folder if we are killed.
            self.undertaker = Undertaker(self.path / _LOCK, self.path)
            self._write()
        except BaseException:
            # No descriptor or no room is left: nobody must be left with half of a folder.
            for folder in (newborn, self.path):
                _unmake(folder)
            if hasattr(self, "undertaker"):
                self.undertaker.dismiss()
            if hasattr(self, "_lock"):
                os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def note_emulator(self, pid: int) -> None:
        """Record the emulator, so that a reaper can end it if it outlives us."""
        self._facts["emulator_pid"] = pid
        self._write()

    @property
    def lock(self) -> int:
        """The locked file, for who is to hold it on."""
        return self._lock

    def give_away(self, owner_pid: int, *, purpose: str, until: float) -> None:
        """The folder is somebody else's from now on, who inherited :attr:`lock`."""
        self._facts |= {"owner_pid": owner_pid, "purpose": purpose, "until": until}
        self._write()
        self._given_away = True

    def note_until(self, moment: float) -> None:
        """The owner ends by itself then, and by SIGTERM: `seabus stop` may end it."""
        self._facts |= {"purpose": "up", "until": moment}
        self._write()

    def close(self) -> None:
        if not self._given_away:
            bury(self.path)
            self.undertaker.dismiss()
        os.close(self._lock)

    def _write(self) -> None:
        temporary = self.path / f".{_FACTS}"
        temporary.write_text(json.dumps(self._facts))
        temporary.replace(self.path / _FACTS)


def ways_in(folder: Path, *, joinable: bool = False) -> list[str]:
    """How a person looks into a running world, as shell commands with their meaning.

    :param joinable: somebody answers for it, or soon will.
    """
    world = f"--world {folder.name}"
    ways = [
        f"L1's console: seabus console {world} l1   (Enter: a shell; Ctrl-]: leave)",
        f"L2's console: seabus console {world} l2",
        f"L0's monitor: seabus console {world} l0, or seabus qmp {world} l0 …",
    ]
    if joinable:
        ways += [
            f"a command:    seabus exec {world} l2 -- dmesg",
            f"join it:      seabus watch {world}, and touch, inject, qmp likewise",
        ]
    return ways


def bury(folder: Path) -> None:
    """Remove a folder whose lock is still held."""
    # Hidden first: nobody must find a folder whose lock is gone already.
    grave = folder.with_name(f".{folder.name}")
    with contextlib.suppress(OSError):
        folder.rename(grave)
    shutil.rmtree(grave, ignore_errors=True)


def _unmake(folder: Path) -> None:
    """Remove a folder in which nothing has run yet, without a descriptor."""
    for name in (_LOCK, _FACTS, f".{_FACTS}"):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def running() -> list[Running]:
    """What runs now, oldest first."""
    found = []
    for folder in _folders():
        if folder.name.startswith("."):
            continue  # it is going
        with _taken(folder) as orphan:
            if orphan:
                continue
        facts = _read(folder)
        if facts and set(facts) == _FACT_NAMES:
            found.append(Running(name=folder.name, folder=folder, **facts))
    return sorted(found, key=lambda run: run.started)


def reap() -> list[str]:
    """End and remove what killed owners left; returns the names of their folders."""
    reaped = []
    for folder in _folders():
        with _taken(folder) as orphan:
            if not orphan:
                continue
            _end_emulators(folder)
            shutil.rmtree(folder, ignore_errors=True)
            reaped.append(folder.name)
    return reaped


def _folders() -> Iterator[Path]:
    for folder in folders.running().iterdir():
        owner = folder.name.lstrip(".").partition("-")[0]
        if not folder.is_dir() or not owner.isdigit():
            continue
        # A hidden folder is being made by its owner, unless that owner is gone.
        if not folder.name.startswith(".") or not psutil.pid_exists(int(owner)):
            yield folder


@contextlib.contextmanager
def _taken(folder: Path) -> Iterator[bool]:
    """Whether the folder's owner is dead; while the body runs the lock is ours.

    The lock file is never made here: a folder without one is going, or was never finished.
    """
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        owner = int(folder.name.lstrip(".").partition("-")[0])
        yield folder.is_dir() and not psutil.pid_exists(owner)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads((folder / _FACTS).read_text())
    except (OSError, ValueError):
        return None
    return facts


def _end_emulators(folder: Path) -> None:
    """End whatever names this folder in its arguments: an emulator names its sockets."""
    for process in psutil.process_iter(["cmdline"]):
        if any(f"{folder}/" in word for word in process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.Error):
                process.kill()
                process.wait(_KILL_WAIT)
