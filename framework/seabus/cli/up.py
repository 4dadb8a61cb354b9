# SPDX-License-Identifier: Apache-2.0
"""``seabus up``: a living world in the background, for other commands to join."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from seabus import durations
from seabus.attach import client
from seabus.cli import world_options
from seabus.errors import HostError, MachineError, SeabusError
from seabus.images.store import Store
from seabus.machine import run_folder
from seabus.report import artefacts
from seabus.report.complaint import as_json, complain
from seabus.report.progress import teller

if TYPE_CHECKING:
    from seabus.world.freeze import Frozen

_HOUR: Final = 3600.0
_VERBS: Final = "watch, touch, inject, exec, qmp, console"


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "up",
        help="start a world in the background",
        description="Clone a world and leave it in the background, to be joined by `seabus watch`, `touch`,"
        " `inject`, `exec`, `qmp` and `console`. It ends by `seabus stop`, or when its time is up.",
    )
    parser.add_argument(
        "--for", dest="seconds", type=durations.seconds, default=_HOUR, metavar="SECONDS", help="[3600]"
    )
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
        os._exit(_hold(frozen, folder, arguments.seconds, os.fdopen(tell, "w")))
    os.close(tell)
    with os.fdopen(told) as pipe:
        answer = json.loads(pipe.read() or "{}")
    if "error" in answer:
        raise client.raised(answer["error"])
    if "name" not in answer:
        raise MachineError("the world ended before it was up", hint=f"see {folder}")
    if arguments.json:
        print(json.dumps(answer, indent=1))
    else:
        name, minutes = answer["name"], arguments.seconds / 60
        print(f"{name} is up for {minutes:g} minutes; artefacts in {answer['artefacts']}")
        print(f"  join it: seabus {_VERBS}; end it: seabus stop {name}")
    return 0


def _hold(frozen: Frozen, folder: Path, seconds: float, tell: TextIO) -> int:
    """In a process of its own, with no terminal: until SIGTERM, the time is up, or the emulator ends."""
    try:
        _leave_the_terminal(folder)
        _live(frozen, folder, seconds, tell)
    except SeabusError as error:
        return _complain(error, tell)
    except OSError as error:
        return _complain(HostError(f"the world cannot be held: {error}", hint=f"see {folder}"), tell)
    except Exception as error:
        traceback.print_exc()
        return _complain(SeabusError(f"the world cannot be held: {error!r}"), tell)
    return 0


def _leave_the_terminal(folder: Path) -> None:
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    with (folder / "up.log").open("ab") as log:
        os.dup2(nowhere, 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def _live(frozen: Frozen, folder: Path, seconds: float, tell: TextIO) -> None:
    from seabus.attach.server import serving
    from seabus.interactive.loop import LoopThread
    from seabus.interactive.playground import Playground

    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ending.set())
    with LoopThread() as loop:
        world = Playground(loop, frozen, folder)
        world.beside.append(serving)
        with world.living():
            emulated = world.emulated
            emulated.folder.note_until(time.time() + seconds)
            ended = asyncio.run_coroutine_threadsafe(emulated.process.ended(), loop.loop)
            ended.add_done_callback(lambda _: ending.set())
            answer = {
                "name": emulated.run_folder.name,
                "folder": str(emulated.run_folder),
                "artefacts": str(emulated.artefacts),
            }
            tell.write(json.dumps(answer))
            tell.close()
            ending.wait(seconds)
            if ended.done():
                raise emulated.process.ended_error()
            ended.cancel()


def _complain(error: SeabusError, tell: TextIO) -> int:
    """In the log, and to who waits for the world, if somebody still does."""
    complain(error, sys.stderr)
    with contextlib.suppress(OSError, ValueError):
        tell.write(json.dumps({"error": as_json(error)}))
        tell.close()
    return error.exit_code
