# SPDX-License-Identifier: Apache-2.0
"""``seabus touch``: let a victim of a running world touch its memory, or make one."""

from __future__ import annotations

import argparse
import json
from typing import Any

from seabus.attach import client
from seabus.cli import attached


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = attached.add_parser(
        commands,
        "touch",
        help="let a victim touch its memory",
        description="Let a victim (a process that owns memory) touch it, and tell what came of it.",
    )
    parser.add_argument("op", nargs="?", default="read", help="read, write, fetch, sys-write, … [read]")
    parser.add_argument("--victim", type=int, default=0, metavar="N", help="by its number [0]")
    parser.add_argument("--offset", type=int, default=0, help="in its memory, in bytes [0]")
    parser.add_argument("--new", action="store_true", help="make a victim first, and let that one touch")
    parser.add_argument("--level", choices=("l1", "l2"), default="l2", help="of a new one [l2]")
    parser.add_argument(
        "--kind", default="anon", help="of a new one: anon, shmem, memfd, file, thp, … [anon]"
    )
    parser.add_argument("--pages", type=int, default=1, help="of a new one [1]")
    parser.add_argument("--json", action="store_true", help="what came of it as one object")
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    run = attached.world(arguments)
    number = arguments.victim
    told: dict[str, Any] = {}
    if arguments.new:
        options = {"level": arguments.level.upper(), "kind": arguments.kind, "pages": arguments.pages}
        told = client.ask(run, "victim", options=options)
        number = told["victim"]
    told |= client.ask(run, "touch", victim=number, op=arguments.op, offset=arguments.offset)
    if arguments.json:
        print(json.dumps({"victim": number, **told}, indent=1))
        return 0
    if arguments.new:
        print(
            f"victim {number}: process {told['pid']} of {told['level']}, {told['kind']} at {told['address']}"
        )
    print(told["outcome"])
    return 0
