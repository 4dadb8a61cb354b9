# SPDX-License-Identifier: Apache-2.0
"""``seabus up``: a living world in the background, for other commands to join."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
from typing import Any, Final

from seabus.cli import world_options
from seabus.errors import MachineError, SeabusError
from seabus.images.store import Store
from seabus.machine import run_folder
from seabus.report import artefacts
from seabus.report.complaint import as_json, complain
from seabus.report.progress import teller

_HOUR: Final = 3600.0
_VERBS: Final = "watch, touch, inject, exec, qmp, console"


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "up",
        help="start a world in the background",
        description="Clone a world and leave it in the background, to be joined by `seabus watch`, `touch`,"
        " `inject`, `exec`, `qmp` and `console`. It ends by `seabus stop`, or when its time is up.",
    )
    parser.add_argument("--for", dest="seconds", type=float, default=_HOUR, metavar="SECONDS", help="[3600]")
    parser.add_argument("--json", action="store_true", help="its name and folders as one object")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    world_options.add(parser)
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    from seabus.world import template

    run_folder.reap()
    folder = artefacts.new()
    # The template is built here, where its progress is seen and Ctrl-C ends it.
    frozen = template.ensure(
        world_options.config(arguments), store=Store(), artefacts=folder, say=teller(quiet=arguments.quiet)
    )
    told, tell = os.pipe()
    if os.fork() == 0:
        os.close(told)
        os._exit(_hold(frozen, folder, arguments.seconds, tell))
    os.close(tell)
    with os.fdopen(told) as pipe:
        answer = json.loads(pipe.read() or "{}")
    if "name" not in answer:
        raise MachineError(
            answer.get("message", "the world ended before it was up"),
            hint=f"see {folder}",
            details=answer.get("details"),
        )
    if arguments.json:
        print(json.dumps(answer, indent=1))
    else:
        name, minutes = answer["name"], arguments.seconds / 60
        print(f"{name} is up for {minutes:g} minutes; artefacts in {answer['artefacts']}")
        print(f"  join it: seabus {_VERBS}; end it: seabus stop {name}")
    return 0


def _hold(frozen: Any, folder: Any, seconds: float, tell: int) -> int:  # noqa: ANN401 - as made above
    """In a process of its own, with no terminal: until SIGTERM, or the time is up."""
    from seabus.attach.server import serving
    from seabus.interactive.loop import LoopThread
    from seabus.interactive.playground import Playground

    os.setsid()
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ending.set())
    nowhere = os.open(os.devnull, os.O_RDWR)
    with (folder / "up.log").open("ab") as log:
        os.dup2(nowhere, 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        with LoopThread() as loop:
            world = Playground(loop, frozen, folder)
            world.beside.append(serving)
            with world.living():
                world.emulated.folder.note_until(time.time() + seconds)
                answer = {
                    "name": world.emulated.run_folder.name,
                    "folder": str(world.emulated.run_folder),
                    "artefacts": str(world.emulated.artefacts),
                }
                os.write(tell, json.dumps(answer).encode())
                os.close(tell)
                ending.wait(seconds)
    except SeabusError as error:
        complain(error, sys.stderr)
        with contextlib.suppress(OSError):
            os.write(tell, json.dumps(as_json(error)).encode())
        return error.exit_code
    return 0
