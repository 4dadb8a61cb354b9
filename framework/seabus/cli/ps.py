# SPDX-License-Identifier: Apache-2.0
"""``seabus ps``: the worlds that run now."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from seabus.attach import client
from seabus.images.store import Store
from seabus.machine import run_folder


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "ps",
        help="show running worlds",
        description="Show the worlds of this user that run now, and remove what killed runs left behind.",
    )
    parser.add_argument("--json", action="store_true", help="a list of objects on standard output")
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    reaped = run_folder.reap()
    Store().sweep()
    found = run_folder.running()
    if arguments.json:
        print(json.dumps([_as_json(run) for run in found], indent=1))
        return 0
    for name in reaped:
        print(f"removed what the killed run {name} had left")
    if not found:
        print("nothing is running")
    for run in found:
        age = time.time() - run.started
        print(
            f"{run.name}  {run.purpose:<10} {age:6.0f} s  owner {run.owner_pid}"
            f"  emulator {run.emulator_pid or '-'}  {run.artefacts}"
        )
        if run.until is not None:
            print(f"  ends by itself in {run.until - time.time():.0f} s, or by: seabus stop {run.name}")
            for way in run_folder.ways_in(run.folder, joinable=client.can_be_joined(run)):
                print(f"  {way}")
    return 0


def _as_json(run: run_folder.Running) -> dict[str, Any]:
    return {
        "name": run.name,
        "purpose": run.purpose,
        "owner_pid": run.owner_pid,
        "emulator_pid": run.emulator_pid,
        "started": run.started,
        "folder": str(run.folder),
        "artefacts": run.artefacts,
        "until": run.until,
    }
