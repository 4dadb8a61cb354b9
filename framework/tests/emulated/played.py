# SPDX-License-Identifier: Apache-2.0
"""Plays a page of docs: writes the files that it shows, runs its commands, types what it types.

=====================  ===================================================================================
block                  what is done
=====================  ===================================================================================
```python NAME``       and ``toml``: the file is written
```console``           each ``$ `` is run; ``# exit N`` behind it says with what status it must end
```pycon``             each ``>>> `` is typed at ``seabus shell --plain``
=====================  ===================================================================================

The lines below a command must be printed, where … stands for anything.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pexpect

BLOCK = re.compile(r"^```(console|python|toml|pycon) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\s+# exit (\d+)$")
SECONDS = 300

#: Python's own prompt, whatever an event may have put into its midst.
_PROMPT: Final = r">[^>]*>[^>]*> "


def play(page: Path, folder: Path) -> Counter[str]:
    """All of a page, in its order, in a folder; how many of each were played."""
    # Its tests are not this suite's: they have settings, and a plugin, of their own.
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SEABUS_ARTEFACTS": str(folder / "state"),
        "COLUMNS": "200",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }
    played: Counter[str] = Counter()
    for language, name, text in BLOCK.findall(page.read_text()):
        if language in ("python", "toml"):
            (folder / name).write_text(text)
            played["file"] += 1
        elif language == "console":
            for command, status, lines in commands(text, "$ "):
                _run(command, status, lines, folder, environment)
                played["command"] += 1
        else:
            typed = list(commands(text, ">>> "))
            _type(typed, folder, environment)
            played["typed"] += len(typed)
    return played


def commands(text: str, prompt: str) -> Iterator[tuple[str, int, list[str]]]:
    """The commands of a block: each with its exit status, and the lines that it prints."""
    for part in re.split(rf"^{re.escape(prompt)}", text, flags=re.MULTILINE)[1:]:
        command, *lines = part.strip().splitlines()
        status = EXIT.search(command)
        yield EXIT.sub("", command), int(status[1]) if status else 0, lines


def is_printed(line: str, output: str) -> bool:
    """Whether a line is printed, where … stands for anything."""
    words = [re.escape(word).replace(r"\ ", r"\s+") for word in line.split("…")]
    return re.search(".*".join(words), output) is not None


def _run(command: str, status: int, lines: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == status, f"{command}\n{done.stdout}"
    for line in lines:
        assert is_printed(line, done.stdout), f"{command}\nnot printed: {line}\n{done.stdout}"


def _type(typed: list[tuple[str, int, list[str]]], folder: Path, environment: Mapping[str, str]) -> None:
    shell = pexpect.spawn(
        "seabus",
        ["shell", "--plain"],
        cwd=str(folder),
        env=dict(environment),
        encoding="utf-8",
        timeout=SECONDS,
        dimensions=(50, 200),
    )
    with contextlib.closing(shell):  # whatever fails: its world ends with it
        said = io.StringIO()
        shell.logfile_read = said
        for command, _, lines in typed:
            shell.expect(_PROMPT)
            begun = said.tell()
            shell.sendline(command)
            for line in lines:
                shell.expect("[^\\n]*?".join(map(re.escape, line.strip("…").split("…"))))
            assert "Traceback" not in said.getvalue()[begun:]
        shell.expect(_PROMPT)
        shell.sendline("exit()")
        shell.expect(pexpect.EOF)
        shell.wait()
        assert shell.exitstatus == 0, said.getvalue()
