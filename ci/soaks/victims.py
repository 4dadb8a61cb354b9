# SPDX-License-Identifier: Apache-2.0
"""Runs as processes of their own, to be killed or starved, and what they leave behind."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

#: Every process of a trial inherits it, however it is started and whoever its parent becomes.
_MARK: Final = "SEABUS_SOAK_TRIAL"
PATIENCE_S: Final = 5.0
_GLANCE_S: Final = 0.1
_END_S: Final = 300.0


@dataclass
class Scene:
    """Where a trial's processes run: marked, with a runtime folder of their own.

    :param cache: another one than the user's, for trials that build or break templates.
    :param more: of their environment.
    """

    folder: Path
    cache: Path | None = None
    more: Mapping[str, str] = field(default_factory=dict)
    runtime: Path = field(init=False)

    def __post_init__(self) -> None:
        # Short, since the paths of sockets are.
        self.runtime = Path(tempfile.mkdtemp(prefix="sb-"))

    def environment(self) -> dict[str, str]:
        more = {_MARK: str(self.folder), "XDG_RUNTIME_DIR": str(self.runtime), **self.more}
        if self.cache is not None:
            more["SEABUS_CACHE"] = str(self.cache)
        return {**os.environ, **more}

    async def start(self, *argv: str) -> asyncio.subprocess.Process:
        """Start a program in a session of its own; what it says goes into ``said.txt``."""
        with (self.folder / "said.txt").open("wb") as said:
            return await asyncio.create_subprocess_exec(
                *argv,
                env=self.environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def said(self) -> str:
        return (self.folder / "said.txt").read_text(errors="backslashreplace")

    def processes(self) -> Iterator[psutil.Process]:
        """All that live and are not zombies."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                marked = process.environ().get(_MARK) == str(self.folder)
                if marked and process.status() != psutil.STATUS_ZOMBIE:
                    yield process

    def emulators(self) -> list[psutil.Process]:
        return [one for one in self.processes() if "seabus-l0" in _words(one)]

    async def left(self) -> str:
        """What is still there some seconds after; empty if nothing is."""
        for _ in range(int(PATIENCE_S / _GLANCE_S)):
            if not (found := self._left_now()):
                return ""
            await asyncio.sleep(_GLANCE_S)
        return f"left after {PATIENCE_S:g} s: {found}"

    def _left_now(self) -> str:
        found = [f"process {one.pid} ({_words(one)[:60]})" for one in self.processes()]
        found += [f"{path.name} in the runtime folder" for path in self.runtime.glob("seabus-*/*")]
        if self.cache:  # in the user's own a template that somebody else builds has its lock held rightly
            found += [f"lock {lock.name}" for lock in self.cache.glob("*.lock") if _is_held(lock)]
            found += [f"half of {path.name}" for path in self.cache.glob(".*")]
        return ", ".join(found)

    def close(self) -> None:
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        shutil.rmtree(self.runtime, ignore_errors=True)


SEABUS: Final = (sys.executable, "-m", "seabus")
PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


@contextlib.contextmanager
def scene(
    folder: Path, *, cache: Path | None = None, more: Mapping[str, str] | None = None
) -> Iterator[Scene]:
    """A scene that is cleared at its end, whatever was left."""
    one = Scene(folder, cache, more or {})
    try:
        yield one
    finally:
        one.close()


async def ended(process: asyncio.subprocess.Process, *, within: float = _END_S) -> int | None:
    """Its exit status; None if it goes on, and then it is killed."""
    try:
        return await asyncio.wait_for(process.wait(), within)
    except TimeoutError:
        process.kill()
        await process.wait()
        return None


def _words(process: psutil.Process) -> str:
    """Of its command line; none if it has ended meanwhile."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _is_held(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.flock(file, fcntl.LOCK_UN)
        return False
