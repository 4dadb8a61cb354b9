# SPDX-License-Identifier: Apache-2.0
"""``seabus diff``: what another kernel, VMM or setting does otherwise."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from seabus.report import loaded
from seabus.report.compare import compare, tell
from seabus.report.console import Console

_DESCRIPTION: Final = """\
Hold two runs against each other, or all runs below two folders by their tests. Events are joined by what they
are to their scenario, and addresses, threads and nonces are told by what they stand for. What the runs were
made of, and when things happened, is shown or left out, and is no difference.
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "diff",
        help="tell what differs between two runs, or two sets of them",
        description=_DESCRIPTION,
        epilog="exit codes: 0 the same, 1 different, 2 usage",
    )
    parser.add_argument("a", type=Path, metavar="A", help="a folder with result.json in it, or below it")
    parser.add_argument("b", type=Path, metavar="B", help="another")
    parser.add_argument("--json", action="store_true", help="one object")
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    found = compare(loaded.load([arguments.a]).runs, loaded.load([arguments.b]).runs)
    if arguments.json:
        json.dump(tell.as_json(found), sys.stdout, indent=1)
        print()
    else:
        tell.show(found, console=Console())
    return int(any(one.differences for one in found))
