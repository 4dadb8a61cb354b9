# SPDX-License-Identifier: Apache-2.0
"""``seabus shell``: play with a living world at a prompt."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final

from seabus.cli import world_options
from seabus.images.store import Store
from seabus.machine import run_folder
from seabus.report import artefacts
from seabus.report.progress import teller

_DESCRIPTION: Final = """\
Clone a world and play: the words of the test API are in scope (world, host, guest, victim, inject, expect,
story), events are shown as they happen, `world.rewind()` begins anew, `%save_test FILE.py` keeps what was
done as a test. IPython is used if it is installed (pip install 'seabus[shell]'). A script is read from
standard input: seabus shell < script.py. Other terminals can look in and join: seabus watch, touch, exec, …
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser("shell", help="play with a living world", description=_DESCRIPTION)
    parser.add_argument("--plain", action="store_true", help="no IPython, though it is installed")
    parser.add_argument("--quiet", action="store_true", help="show no events as they happen")
    parser.add_argument("--from", dest="state", metavar="NAME", help="a state kept by world.freeze(NAME)")
    world_options.add(parser)
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    from seabus.interactive import states
    from seabus.interactive.loop import LoopThread
    from seabus.interactive.playground import Playground
    from seabus.world import template

    run_folder.reap()
    say = teller(quiet=arguments.quiet)
    folder = artefacts.new()
    store = Store()
    if arguments.state:
        frozen = states.load(arguments.state, store, artefacts=folder, say=say)
    else:
        frozen = template.ensure(world_options.config(arguments), store=store, artefacts=folder, say=say)
    with LoopThread() as loop:
        world = Playground(loop, frozen, folder)
        with world.coming():
            # Half a second of imports, in which the world is cloned.
            from seabus.attach.server import serving
            from seabus.interactive import prompt, scope
            from seabus.interactive.live import Teller

            world.beside.append(serving)
            if not arguments.quiet:
                world.on_event.append(Teller(color=sys.stdout.isatty()))
            fancy = sys.stdin.isatty() and not arguments.plain and prompt.has_ipython()
            if fancy:
                prompt.prepare()
            world.arrives()
            names = scope.names(world)
            if not sys.stdin.isatty():
                return prompt.play(sys.stdin, names)
            if fancy:
                prompt.ipython(names, world)
            else:
                prompt.plain(names, world)
    return 0
