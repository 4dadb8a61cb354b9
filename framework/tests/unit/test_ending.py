# SPDX-License-Identifier: Apache-2.0
"""A command ends by the signals that end commands, and its exit status is 128+N."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

#: A command that says that it is up, and then never ends by itself.
_COMMAND = """
import argparse, time
from seabus import cli

def wait(_):
    print("up", flush=True)
    time.sleep(60)
    return 0

class Parser:
    def parse_args(self, words):
        return argparse.Namespace(main=wait)

cli.parser = lambda only=None: Parser()
cli.script()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
def test_a_signal_ends_a_command(number: signal.Signals, behind: bool) -> None:
    """Also behind a script, whose shell has SIGINT ignored for what it starts with ``&``."""

    ignoring = "trap '' INT; " if behind else ""
    with subprocess.Popen(
        ["sh", "-c", f'{ignoring}exec "$@"', "sh", sys.executable, "-c", _COMMAND],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        assert command.stdout.readline() == "up\n"
        command.send_signal(number)
        assert command.wait(10) == 128 + number
        assert command.stderr.read().startswith("seabus: interrupted")


@pytest.mark.parametrize("words", ["ps", "ps --json", "decode esr 0x96000410"])
@pytest.mark.parametrize(
    ("ending", "code"), [(">&-", 0), (">&- 2>&-", 0), ("<&-", 0), (">/dev/full", 3), (">/dev/full 2>&1", 3)]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written(words: str, ending: str, code: int, unbuffered: str) -> None:
    """A closed output is nobody's; a full disk is an error, and never `fail`."""
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m seabus {words} {ending}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code and "2>" not in ending:
        assert done.stderr.startswith("seabus: No space left on device")
