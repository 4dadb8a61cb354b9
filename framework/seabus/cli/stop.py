# SPDX-License-Identifier: Apache-2.0
"""``seabus stop``: end worlds that were kept, or put up."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
from typing import Any, Final

import psutil

from seabus.errors import MachineError, UsageError
from seabus.machine import run_folder
from seabus.machine.run_folder import Running

_WAIT_S: Final = 10.0


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "stop",
        help="end worlds that were kept, or put up",
        description="End worlds that `seabus up` started or `pytest --seabus-keep` left running; `seabus ps`"
        " shows them. A world that still belongs to a run or a shell is not touched: it ends with that.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="as `seabus ps` shows them")
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--json", action="store_true", help="a list of the names of what was ended")
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    running = {run.name: run for run in run_folder.running()}
    if arguments.all == bool(arguments.names):
        raise UsageError("say which worlds to end", hint="seabus stop NAME..., or seabus stop --all")
    for name in arguments.names:
        _must_be_kept(name, running)
    chosen = [run for run in running.values() if run.until and (arguments.all or run.name in arguments.names)]
    for run in chosen:
        _stop(run)
        if not arguments.json:
            print(f"ended {run.name}")
    if arguments.json:
        print(json.dumps([run.name for run in chosen], indent=1))
    elif not chosen:
        print("nothing was kept")
    return 0


def _must_be_kept(name: str, running: dict[str, Running]) -> None:
    if name not in running:
        raise UsageError(f"no world {name!r} is running", hint="seabus ps")
    if running[name].until is None:
        owner = running[name].owner_pid
        raise UsageError(
            f"{name} belongs to the run of process {owner}", hint="end that, with Ctrl-C or kill"
        )


def _stop(run: Running) -> None:
    """Tell the keeper, and wait for it: it ends the emulator first.

    :raises MachineError: it does not end.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        keeper = psutil.Process(run.owner_pid)
        keeper.send_signal(signal.SIGTERM)
        try:
            keeper.wait(_WAIT_S)
        except psutil.TimeoutExpired as error:
            raise MachineError(
                f"the keeper {run.owner_pid} of {run.name} does not end", hint=f"kill -9 {run.owner_pid}"
            ) from error
