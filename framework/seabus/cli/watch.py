# SPDX-License-Identifier: Apache-2.0
"""``seabus watch``: what happens in a running world, as it happens."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.text import Text

from seabus.attach import client
from seabus.cli import attached
from seabus.machine.console import printable
from seabus.report.console import Console


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = attached.add_parser(
        commands,
        "watch",
        help="watch the events of a running world",
        description="Show events as they happen, until Ctrl-C or the world's end (a rewind is one).",
    )
    parser.add_argument("--all", action="store_true", help="those that were, too")
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    console = Console(highlight=False, soft_wrap=True)
    with contextlib.suppress(KeyboardInterrupt):
        _show(client.stream(attached.world(arguments), "watch", all=arguments.all), console, arguments.json)
    return 0


def _show(events: Iterable[Mapping[str, Any]], console: Console, as_json: bool) -> None:
    from seabus.interactive.live import STYLES

    for event in events:
        if as_json:
            print(json.dumps(event), flush=True)
        elif event["kind"] != "note":
            console.print(
                Text.assemble(
                    (event["level"], STYLES[event["level"]]),
                    (f" {event['witness']:<11}", "dim"),
                    printable(event["text"]),
                )
            )
