# SPDX-License-Identifier: Apache-2.0
"""``seabus console LEVEL``: a person's way into the emulator, the host, or the guest's console."""

from __future__ import annotations

import argparse
import os
import select
import socket
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from seabus.attach import monitor
from seabus.cli import attached
from seabus.errors import SeabusError, UsageError
from seabus.machine.console import printable
from seabus.machine.run_folder import Running
from seabus.report.complaint import complain

_LEAVE: Final = b"\x1d"  # Ctrl-]
_GLANCE_S: Final = 0.2


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = attached.add_parser(
        commands,
        "console",
        help="a console of a running world",
        description="l0: the emulator's monitor, a line at a time (`info status`, `help`). l1: the console of"
        " the host, with a shell behind Enter; Ctrl-] leaves it. l2: what the guest's shows (it takes no"
        " input).",
    )
    parser.add_argument("level", choices=("l0", "l1", "l2"), type=str.lower)
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    run = attached.world(arguments, any_kind=True)
    if arguments.level == "l0":
        return _monitor(run)
    if arguments.level == "l1":
        return _terminal(run)
    return _follow(Path(run.artefacts), run)


def _monitor(run: Running) -> int:
    """Human monitor commands, from a prompt or from standard input."""
    asks = sys.stdin.isatty()
    with monitor.opened(run) as execute:
        while True:
            try:
                line = input("(l0) " if asks else "")
            except EOFError:
                return 0
            if not line.strip():
                continue
            try:
                print(printable(execute("human-monitor-command", {"command-line": line})), end="")
            except SeabusError as error:
                complain(error, sys.stderr)


def _terminal(run: Running) -> int:
    """The host's serial line, raw; what both sides type is seen by both."""
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(str(run.folder / "console.sock"))
        except OSError as error:
            raise UsageError(f"{run.name}'s console does not answer", hint="seabus ps") from error
        print(f"[{run.name}: the console of L1; Enter for a shell, Ctrl-] leaves]", file=sys.stderr)
        with _raw(sys.stdin.fileno()):
            while True:
                ready, _, _ = select.select([line, sys.stdin], [], [])
                if line in ready:
                    data = line.recv(65536)
                    if not data:
                        return 0
                    os.write(sys.stdout.fileno(), data)
                if sys.stdin in ready:
                    typed = os.read(sys.stdin.fileno(), 4096)
                    if not typed or _LEAVE in typed:
                        return 0
                    line.sendall(typed)


@contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _follow(artefacts: Path, run: Running) -> int:
    """What the guest's console has shown, and shows, until the world ends."""
    with (artefacts / "console-l2.log").open("rb") as log:
        while True:
            if data := log.read():
                print(printable(data.decode(errors="backslashreplace")), end="", flush=True)
            elif not run.folder.is_dir() or not sys.stdout.isatty():
                return 0
            else:
                time.sleep(_GLANCE_S)
