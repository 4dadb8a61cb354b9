# SPDX-License-Identifier: Apache-2.0
"""Every command of docs/tutorial.md does what the page says, in its order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.emulated

TUTORIAL = Path(__file__).parents[3] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(console|python) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\s+# exit (\d+)$")


def commands(text: str) -> Iterator[tuple[str, int, list[str]]]:
    """The commands of a console block: each with its exit status, and the lines that it prints."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *lines = part.strip().splitlines()
        status = EXIT.search(command)
        yield EXIT.sub("", command), int(status[1]) if status else 0, lines


def is_printed(line: str, output: str) -> bool:
    """Whether a line is printed, where … stands for anything."""
    words = [re.escape(word).replace(r"\ ", r"\s+") for word in line.split("…")]
    return re.search(".*".join(words), output) is not None


@pytest.mark.usefixtures("runtime")
def test_the_tutorial(tmp_path: Path) -> None:
    # Its tests are not this suite's: they have settings, and a plugin, of their own.
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SEABUS_ARTEFACTS": str(tmp_path / "state"),
        "COLUMNS": "200",
    }
    played = 0
    for language, name, text in BLOCK.findall(TUTORIAL.read_text()):
        if language == "python":
            (tmp_path / name).write_text(text)
            continue
        for command, status, lines in commands(text):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == status, f"{command}\n{done.stdout}"
            for line in lines:
                assert is_printed(line, done.stdout), f"{command}\nnot printed: {line}\n{done.stdout}"
            played += 1
    assert played == 17
    assert (tmp_path / "report.html").stat().st_size > 10_000
