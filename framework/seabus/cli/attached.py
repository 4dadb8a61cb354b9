# SPDX-License-Identifier: Apache-2.0
"""What the commands that join a running world have in common."""

from __future__ import annotations

import argparse
from typing import Any

from seabus.attach import client
from seabus.machine.run_folder import Running


def add_parser(commands: Any, name: str, *, help: str, description: str) -> argparse.ArgumentParser:  # noqa: A002, ANN401
    """A command that takes ``--world NAME``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=f"{description} Worlds of `seabus shell`, `seabus up` and `pytest --seabus-keep` can be"
        " joined: see `seabus ps`.",
    )
    parser.add_argument("--world", metavar="NAME", help="which, where several are running")
    return parser


def world(arguments: argparse.Namespace, *, any_kind: bool = False) -> Running:
    """The world that is meant.

    :param any_kind: one that only has its console and monitor will do.
    """
    return client.find(arguments.world, any_kind=any_kind)
