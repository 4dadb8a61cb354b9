# SPDX-License-Identifier: Apache-2.0
"""What a run must not leave behind."""

from __future__ import annotations

import contextlib
import os
import time

import psutil

from seabus import folders


def assert_nothing_left() -> None:
    """No emulator lives, and no folder is left, five seconds after; nobody has to sweep."""
    root = folders.running()
    deadline = time.monotonic() + 5
    while (emulators(str(root)) or any(root.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not emulators(str(root))
    assert not list(root.iterdir())


def emulators(root: str) -> list[psutil.Process]:
    """Processes whose command line names a run folder below ``root``."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and any(f"{root}/" in word for word in process.cmdline()):
                found.append(process)
    return found
