# SPDX-License-Identifier: Apache-2.0
"""``seabus tui``: a fault session on the whole terminal."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from typing import Any

from seabus.cli import world_options
from seabus.errors import CapabilityError, UsageError
from seabus.images.store import Store
from seabus.machine import run_folder
from seabus.report import artefacts
from seabus.report.progress import teller


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "tui",
        help="play with a living world on the whole terminal",
        description="Levels side by side, a page through the address spaces, and keys: v makes a victim,"
        " i breaks its page, t and w touch it, r begins anew, q ends. Other terminals can join, as with"
        " `seabus shell`.",
    )
    world_options.add(parser)
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    if importlib.util.find_spec("textual") is None:
        raise CapabilityError("textual is not installed", hint="pip install 'seabus[tui]'")
    if not sys.stdout.isatty():
        raise UsageError("there is no terminal to draw on", hint="seabus shell < script.py")
    from seabus.attach.server import serving
    from seabus.interactive.loop import LoopThread
    from seabus.interactive.playground import Playground
    from seabus.tui.app import Screen
    from seabus.tui.deeds import LivingDeeds
    from seabus.world import template

    run_folder.reap()
    folder = artefacts.new()
    frozen = template.ensure(
        world_options.config(arguments), store=Store(), artefacts=folder, say=teller(quiet=False)
    )
    with LoopThread() as loop:
        world = Playground(loop, frozen, folder)
        world.beside.append(serving)
        with world.living():
            Screen(LivingDeeds(world)).run()
    return 0
