# SPDX-License-Identifier: Apache-2.0
"""``seabus matrix``: every abort a VMM may put into a guest, asked of KVM itself."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from seabus.cli import world_options
from seabus.errors import UsageError
from seabus.images import kvmprobe, monitor
from seabus.images.store import Say, Store
from seabus.kvmprobe.probe import Probe
from seabus.machine import run_folder
from seabus.machine.config import WorldConfig
from seabus.matrix import full
from seabus.matrix.firmware import ask_firmware
from seabus.matrix.full import FullRun
from seabus.matrix.judge import Status
from seabus.matrix.table import GROUPS
from seabus.report import artefacts, matrix_html, matrix_json, matrix_terminal
from seabus.report.console import Console
from seabus.report.progress import teller
from seabus.world import restore, template

_DESCRIPTION: Final = """\
Make a VM straight on /dev/kvm in the host of a world, put every abort there is into it by every way there is,
and compare what its EL1 finds with the specification: agreed, deviates (and by which rule), or unreachable
here (and why). Ends with 1 if a cell is none of these.
"""
#: How a host kernel is told which KVM to run.
_MODES: Final[dict[str, dict[str, Any]]] = {
    "nvhe": {"l1_mode": "nvhe"},
    "vhe": {"l1_mode": "vhe"},
    "nested": {"l1_mode": "vhe", "l1_append": "kvm-arm.mode=nested"},
}


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "matrix", help="ask KVM every abort by every way, against the specification", description=_DESCRIPTION
    )
    parser.add_argument(
        "--modes",
        default="nvhe,vhe,nested",
        metavar="LIST",
        help=f"which KVM the host runs, of {', '.join(_MODES)} [%(default)s]",
    )
    parser.add_argument(
        "--groups",
        default=",".join((*GROUPS, *full.MORE)),
        metavar="LIST",
        help="parts of the matrix [%(default)s]",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a heat map there")
    parser.add_argument(
        "--json", action="store_true", help="write the cells to standard output, in place of the grids"
    )
    parser.add_argument("--no-witnesses", action="store_true", help="do not ask the core cells again")
    parser.add_argument(
        "--artefacts", type=Path, metavar="DIR", help="keep the evidence there [a new folder]"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    world_options.add(parser)
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    say = teller(quiet=arguments.quiet)
    modes = _chosen(arguments.modes, _MODES, "--modes")
    groups = _chosen(arguments.groups, (*GROUPS, *full.MORE), "--groups")
    if arguments.html and not arguments.html.absolute().parent.is_dir():
        raise UsageError(f"there is no folder for {arguments.html}", hint="--html FILE")
    config = world_options.config(arguments)
    run_folder.reap()
    store = Store()
    store.sweep()
    folder = artefacts.new(arguments.artefacts)
    runs: list[FullRun] = []
    for mode in modes:
        chosen = replace(config, **_MODES[mode])
        # These do not depend on the host's KVM: once is enough.
        wanted = [group for group in groups if group not in ("linux", "firmware") or not runs]
        runs.append(_ask(mode, chosen, wanted, store, folder, arguments, say))
    document = matrix_json.result(
        [run.matrix for run in runs], [run.testimony for run in runs if run.testimony]
    )
    (folder / "matrix.json").write_text(json.dumps(document, indent=1) + "\n")
    if arguments.html:
        arguments.html.write_text(matrix_html.page([run.matrix for run in runs]))
    if arguments.json:
        json.dump(document, sys.stdout)
        print()
    else:
        console = Console()
        for run in runs:
            matrix_terminal.show(run.matrix, run.testimony, console=console)
        console.print(f"artefacts: {folder}", style="dim", soft_wrap=True)
    return int(any(_failed(run) for run in runs))


def _ask(
    mode: str,
    config: WorldConfig,
    groups: Sequence[str],
    store: Store,
    folder: Path,
    arguments: argparse.Namespace,
    say: Say,
) -> FullRun:
    place = folder / mode
    place.mkdir()
    frozen = template.ensure(config, store=store, artefacts=place, say=say)
    image = kvmprobe.get(store, say=say)

    async def run() -> FullRun:
        firmware = (
            await ask_firmware(frozen.parts.command, monitor.get(store, say=say), artefacts=place)
            if "firmware" in groups
            else []
        )
        async with restore.cloned(frozen, artefacts=place, purpose="matrix") as world:
            probe = await Probe.push(world.l1, image, keep=place / "probe.jsonl")
            asked = await full.ask_world(
                world,
                probe,
                mode=mode,
                groups=groups,
                witnesses=not arguments.no_witnesses,
                artefacts=place,
                say=say,
            )
            answers = [*asked.matrix.answers, *firmware]
            return replace(asked, matrix=replace(asked.matrix, answers=answers))

    return asyncio.run(run())


def _failed(run: FullRun) -> bool:
    complaints = run.testimony is not None and run.testimony.complaints
    return bool(run.matrix.of(Status.UNEXPLAINED) or complaints)


def _chosen(text: str, known: Sequence[str] | dict[str, Any], option: str) -> list[str]:
    chosen = [word for word in text.split(",") if word]
    for word in chosen:
        if word not in known:
            raise UsageError(f"{option} knows no {word!r}", hint=f"of {', '.join(known)}")
    if not chosen:
        raise UsageError(f"{option} is empty", hint=f"of {', '.join(known)}")
    return chosen
