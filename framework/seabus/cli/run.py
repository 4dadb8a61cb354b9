# SPDX-License-Identifier: Apache-2.0
"""``seabus run``: the main job - one memory fault, followed through three levels."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from seabus.cli import world_options
from seabus.errors import SeabusError, UsageError, of_system
from seabus.images.store import Store
from seabus.judge.verdict import EXIT_CODES
from seabus.machine import run_folder
from seabus.report import artefacts, result, terminal
from seabus.report.console import Console
from seabus.report.progress import teller
from seabus.scenarios import consumed_page
from seabus.script import play
from seabus.script.read import Script, read
from seabus.session.outcome import Outcome
from seabus.world import restore, template
from seabus.world.freeze import Frozen

#: Seeds that a person can read out to another one.
_SEEDS: Final = 1 << 32
_DESCRIPTION: Final = """\
Clone a nested world (L1: a host kernel with KVM; L2: a guest), report an uncorrected memory error in a page
of the guest the way firmware does, let the guest touch the page, and show what every level did with it.
The first run builds the images and boots the world; later ones take seconds.
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "run", help="follow one memory fault through three levels", description=_DESCRIPTION
    )
    parser.add_argument(
        "scenario",
        nargs="?",
        type=Path,
        metavar="SCENARIO.toml",
        help="play this one (docs/how-to/write-a-scenario.md), in place of a consumed page",
    )
    parser.add_argument(
        "--no-inject",
        action="store_true",
        help="the negative control: the same steps without the fault; must end in `fail`",
    )
    parser.add_argument(
        "--access",
        choices=("read", "write"),
        help="how the victim touches the page; a scenario says that itself [read]",
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="write the result there; - is standard output, without the story",
    )
    parser.add_argument(
        "--artefacts", type=Path, metavar="DIR", help="keep the evidence there [a new folder]"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.add_argument(
        "--seed", type=int, metavar="N", help="of what is left to chance; it is in the result [another one]"
    )
    world_options.add(parser)
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    say = teller(quiet=arguments.quiet)
    if arguments.json not in (None, "-") and not Path(arguments.json).absolute().parent.is_dir():
        raise UsageError(f"there is no folder for {arguments.json}", hint="--json FILE")
    if arguments.scenario and arguments.access:
        raise UsageError(
            f"--access {arguments.access} is not for a scenario: it says itself how its victims touch",
            hint=f'touch = "{arguments.access}" in {arguments.scenario}',
        )
    script = read(arguments.scenario) if arguments.scenario else None
    config = world_options.config(arguments, over=script.world if script else None)
    run_folder.reap()
    store = Store()
    store.sweep()
    folder = artefacts.new(arguments.artefacts)
    versions: dict[str, str] = {}
    scenario = {"title": script.title, "fault": "", "sources": []} if script else consumed_page.ABOUT
    about = result.Circumstances(
        versions=versions,
        artefacts=folder,
        configuration=config,
        scenario=scenario,
        command=_command(arguments),
        seed=secrets.randbelow(_SEEDS) if arguments.seed is None else arguments.seed,
        negative_control=arguments.no_inject,
        script=arguments.scenario.read_text() if arguments.scenario else None,
    )
    try:
        frozen = template.ensure(config, store=store, artefacts=folder, say=say)
        versions.update(frozen.notes["versions"])
        say("cloning the world")
        outcome = asyncio.run(_run(frozen, arguments, folder, script, about.seed))
    except (SeabusError, OSError) as error:
        told = of_system(error) if isinstance(error, OSError) else error
        with contextlib.suppress(OSError):  # where the disk is full, what is said of that is all there is
            _write(result.of_error(told, about), folder, arguments.json)
        arguments.json = None  # that is the object that was asked for
        print(f"artefacts: {folder}", file=sys.stderr)
        if told is error:
            raise
        raise told from error
    _write(result.of_outcome(outcome, about), folder, arguments.json)
    if arguments.json != "-":
        terminal.show(outcome, artefacts=folder, console=Console())
    return EXIT_CODES[outcome.judgement.verdict]


def _command(arguments: argparse.Namespace) -> list[str]:
    """What was played, for `seabus replay`."""
    words = ["run"]
    if arguments.scenario:
        words.append(str(arguments.scenario.absolute()))
    if arguments.no_inject:
        words.append("--no-inject")
    return [*words, "--access", arguments.access] if arguments.access else words


async def _run(
    frozen: Frozen, arguments: argparse.Namespace, folder: Path, script: Script | None, seed: int | None
) -> Outcome:
    inject = not arguments.no_inject
    async with restore.cloned(frozen, artefacts=folder, purpose="run") as world:
        try:
            if script is not None:
                outcome = await play.run(script, world, inject=inject, seed=seed)
            else:
                outcome = await consumed_page.run(
                    world, inject=inject, access=arguments.access or "read", seed=seed
                )
        except SeabusError:
            await artefacts.keep_vmm_log(world)
            raise
        await artefacts.keep_vmm_log(world)
        return outcome


def _write(found: Mapping[str, Any], folder: Path, chosen: str | None) -> None:
    text = json.dumps(found, indent=1, default=str) + "\n"
    (folder / "result.json").write_text(text)
    if chosen == "-":
        sys.stdout.write(text)
    elif chosen:
        Path(chosen).write_text(text)
