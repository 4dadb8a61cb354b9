# SPDX-License-Identifier: Apache-2.0
"""``seabus qmp LEVEL COMMAND``: ask the emulator's monitor, or the VMM's, in a running world."""

from __future__ import annotations

import argparse
import json
from typing import Any

from seabus.attach import client, monitor
from seabus.cli import attached
from seabus.errors import UsageError


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = attached.add_parser(
        commands,
        "qmp",
        help="ask a monitor of a running world",
        description="Run a QMP command of L0's emulator, or of the VMM whose guest is L2; prints its answer.",
    )
    parser.add_argument("level", choices=("l0", "l2"), type=str.lower)
    parser.add_argument("command", help="such as query-status")
    parser.add_argument("arguments", nargs="*", metavar="NAME=VALUE", help="values are JSON, or plain words")
    parser.add_argument("--json", action="store_true", help="an answer in plain words as JSON, too")
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    given = {}
    for word in arguments.arguments:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"{word!r} is not NAME=VALUE", hint="such as command-line='info status'")
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
    answer = _ask(arguments, given)
    if isinstance(answer, str) and not arguments.json:
        print(answer)
    else:
        print(json.dumps(answer, indent=1))
    return 0


def _ask(arguments: argparse.Namespace, given: dict[str, Any]) -> Any:  # noqa: ANN401 - the command's schema
    run = attached.world(arguments, any_kind=arguments.level == "l0")
    if arguments.level == "l0":
        with monitor.opened(run) as execute:
            return execute(arguments.command, given)
    return client.ask(run, "qmp", level="l2", command=arguments.command, arguments=given)["return"]
