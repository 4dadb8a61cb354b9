# SPDX-License-Identifier: Apache-2.0
"""``seabus inject``: break a page of a running world."""

from __future__ import annotations

import argparse
import json
from typing import Any

from seabus.arch.cper.severity import Severity
from seabus.attach import FAULT_KINDS, client
from seabus.cli import attached


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = attached.add_parser(
        commands,
        "inject",
        help="break a page of a running world",
        description="Put a fault in: at a victim's page (one is made if there is none), or at an address of"
        " L1. What the target says of it, the receipt, is printed.",
    )
    parser.add_argument("kind", nargs="?", choices=FAULT_KINDS, default="memory-record")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--victim", type=int, default=0, metavar="N", help="by its number [0]")
    where.add_argument("--address", metavar="L1-PHYSICAL", help="of a page of L1, such as 0x64310000")
    parser.add_argument("--offset", type=int, default=0, help="in the victim's memory, in bytes [0]")
    parser.add_argument(
        "--severity",
        choices=tuple(severity.name.lower() for severity in Severity),
        default="recoverable",
        help="of a record",
    )
    parser.add_argument("--json", action="store_true", help="the fault and its receipt as one object")
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    found = client.ask(
        attached.world(arguments),
        "inject",
        kind=arguments.kind,
        victim=arguments.victim,
        address=arguments.address,
        offset=arguments.offset,
        severity=arguments.severity,
    )
    if arguments.json:
        print(json.dumps(found, indent=1))
        return 0
    for name in ("fault", "receipt"):
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in found[name].items()))
    return 0
