# SPDX-License-Identifier: Apache-2.0
"""How long a person waits at the prompt. Part of ``ci/bench``."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pexpect

_SHELL = (sys.executable, "-m", "seabus", "shell")
_REWINDS = """
import time
for number in range(23):
    v = victim()
    inject(MemoryRecord(address=v.page.host_physical))
    world.until("L1", "memory_failure")
    v.touch("read")
    started = time.monotonic()
    world.rewind()
    if number >= 3:
        print("took", time.monotonic() - started)
"""


def shell_prompt_s(folder: Path) -> list[float]:
    """`seabus shell`: from the start of the process to IPython's first prompt, the world being there."""
    return _prompts(folder, rb"In \[")


def shell_plain_prompt_s(folder: Path) -> list[float]:
    """The same of `seabus shell --plain`, Python's own prompt."""
    return _prompts(folder, rb">>> ", "--plain")


def rewind_s(folder: Path) -> list[float]:
    """`world.rewind()` after a fault that was consumed."""
    (folder / "rewinds.py").write_text(_REWINDS)
    with (folder / "rewinds.py").open("rb") as script:
        said = subprocess.run(
            [*_SHELL, "--quiet"], stdin=script, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    return [float(line.split()[1]) for line in said.splitlines() if line.startswith("took ")]


def _prompts(folder: Path, prompt: bytes, *options: str) -> list[float]:
    found = []
    # A terminal that is asked where its cursor is would answer; this one is asked in vain, for two seconds.
    env = {**os.environ, "PROMPT_TOOLKIT_NO_CPR": "1"}
    for number in range(12):
        started = time.monotonic()
        shell = pexpect.spawn(_SHELL[0], [*_SHELL[1:], *options], cwd=folder, env=env, timeout=60)
        shell.expect(prompt)
        if number >= 2:  # the first ones fill the page cache
            found.append(time.monotonic() - started)
        shell.sendeof()
        shell.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=10)
        shell.close(force=True)
    return found
