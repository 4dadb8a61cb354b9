# SPDX-License-Identifier: Apache-2.0
"""``seabus replay RUN_DIR``: the same again from the same template, and whether the story is the same."""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from seabus.errors import MachineError, UsageError
from seabus.machine.config import WorldConfig
from seabus.report import artefacts, loaded
from seabus.report.compare import compare, tell
from seabus.report.console import Console
from seabus.report.loaded import Run

_DESCRIPTION: Final = """\
Run the test, or the command, that a folder of evidence is of once more: with the same configuration, seed and
mode, from the same template if it is still there; it says so if it is another. Then hold the two stories
against each other, as `seabus diff` does. What ran on the hosts of a lab is not replayed.
"""
_TEMPLATE: Final = "template"


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "replay",
        help="run again what a folder of evidence is of, and compare",
        description=_DESCRIPTION,
        epilog="exit codes: 0 the same story, 1 another one, 2 usage",
    )
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="a folder with result.json in it")
    parser.add_argument("--artefacts", type=Path, metavar="DIR", help="for the evidence of this time [new]")
    parser.add_argument(
        "--json", action="store_true", help="one object, as of `seabus diff --json`, with both templates"
    )
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    before = loaded.load_file(arguments.run / loaded.RESULT)
    _check(before)
    folder = artefacts.new(arguments.artefacts)
    argv = list(_again(before, folder))
    print(f"[replay] {' '.join(argv[2:])}", file=sys.stderr)
    # Whatever it comes to is in its result; what it says is kept beside that.
    with _beside(folder, ".log").open("wb") as log:
        subprocess.run(
            argv,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            check=False,
            cwd=before.rootdir or None,
        )
    after = loaded.load([folder]).runs
    if len(after) != 1:
        raise MachineError(f"the replay left {len(after)} results", hint=f"see {log.name}")
    found = compare([before], [dataclasses.replace(after[0], test=before.test)])
    if arguments.json:
        then, now = (run.versions.get(_TEMPLATE) for run in (before, after[0]))
        template = {"then": then, "now": now, "same": then is not None and then == now}
        told = {**tell.as_json(found), "artefacts": str(after[0].folder), "template": template}
        json.dump(told, sys.stdout, indent=1)
        print()
    else:
        _show(before, after[0], found)
    return int(any(one.differences for one in found))


def _check(run: Run) -> None:
    """Whether it can be run again, here.

    :raises UsageError: it cannot.
    """
    if run.lab or "lab_host" in run.versions:
        raise UsageError(
            f"{run.folder} is of a host of a lab: replays run in emulators alone, and would be another story",
            hint=f"pytest --seabus-lab {run.lab or 'FILE'} {run.test}",
        )
    if run.rootdir and not Path(run.rootdir).is_dir():
        raise UsageError(
            f"{run.folder} is of a test in {run.rootdir}, which is not here",
            hint="bring that folder back, or change `rootdir` in its result.json",
        )
    if not run.test and not run.command:
        raise UsageError(
            f"{run.folder} does not say what command it is of",
            hint="it is of an older Seabus: run it yourself",
        )


def _beside(folder: Path, suffix: str) -> Path:
    """What belongs to a folder of evidence but is none."""
    return folder.with_name(f"{folder.name}{suffix}")


def _again(run: Run, folder: Path) -> Iterator[str]:
    """The command that does it again."""
    yield from (sys.executable, "-m")
    if run.test:
        yield from ("pytest", "-q", "-p", "no:cacheprovider", run.test, f"--seabus-artefacts={folder}")
        if run.negative_control:
            yield "--seabus-negative-control"
        if run.mutate:
            yield "--seabus-mutate"
        if run.seed is not None:
            yield f"--seabus-seed={run.seed}"
        yield from (f"--seabus-{name.replace('_', '-')}={value}" for name, value in _chosen(run))
        return
    if not run.command:
        raise UsageError(
            f"{run.folder} does not say what command it is of",
            hint="it is of an older Seabus: run it yourself",
        )
    yield from ("seabus", *_command(run, folder), f"--artefacts={folder}", "--quiet")
    if run.seed is not None:
        yield f"--seed={run.seed}"
    for name, value in _chosen(run, usual=True):  # a scenario may choose otherwise
        yield f"--{name.removesuffix('_mib').replace('_', '-')}={value}"


def _command(run: Run, folder: Path) -> Sequence[str]:
    """Its words; the scenario is the one that was played then, whatever its file says now."""
    words = list(run.command)
    if run.script and len(words) > 1 and not words[1].startswith("-"):
        kept = _beside(folder, Path(words[1]).suffix)
        kept.write_text(run.script)
        words[1] = str(kept)
    return words


def _chosen(run: Run, *, usual: bool = False) -> Iterator[tuple[str, Any]]:
    """What it was made of.

    :param usual: that, too, which is as it is by itself.
    """
    default = {field.name: field.default for field in dataclasses.fields(WorldConfig)}
    for name, value in run.configuration.items():
        if name in default and value is not None and (usual or value != default[name]):
            yield name, {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


def _show(before: Run, after: Run, found: Any) -> None:  # noqa: ANN401 - of compare
    templates = [run.versions.get(_TEMPLATE, "unknown") for run in (before, after)]
    if templates[0] != templates[1]:
        print(f"not from the same template: {templates[0]} then, {templates[1]} now")
    print(f"then: {before.verdict}: {before.reason}")
    print(f"now:  {after.verdict}: {after.reason}")
    tell.show(found, console=Console())
    print(f"artefacts: {after.folder}")
