# SPDX-License-Identifier: Apache-2.0
"""Writes what the code knows of docs/reference: ``python ci/reference.py``. A test compares."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from seabus import chains, errors
from seabus.arch import MalformedRecord
from seabus.arch.esr import BadEsrField
from seabus.cli import parser
from seabus.errors import SeabusError
from seabus.judge.expectation import Link
from seabus.judge.verdict import NotAsExpectedError

FOLDER: Final = Path(__file__).parents[1] / "docs" / "reference"


def commands() -> str:
    """Every command with its arguments."""
    lines = ["# The command line", "", "Written by `ci/reference.py` from the code.", ""]
    for name, one in _commands(parser()):
        lines += [f"## `seabus {name}`", "", *_wrapped(one.description or ""), ""]
        rows = [row for action in one._actions if (row := _row(action))]
        if rows:
            lines += ["| argument | |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def links() -> str:
    """Every link of the chains: what can be seen, by whom, and who promised it."""
    lines = ["# The links of the chains", "", "Written by `ci/reference.py` from `seabus.chains`.", ""]
    for room in sorted(module.name for module in pkgutil.iter_modules(chains.__path__)):
        module = importlib.import_module(f"{chains.__name__}.{room}")
        found = {name: value for name, value in vars(module).items() if isinstance(value, Link)}
        text = Path(module.__file__ or "").read_text()
        own = {name: link for name, link in found.items() if f"\n{name}: Final" in text}  # not imported ones
        lines += [f"## `chains.{room}`", "", *_wrapped((module.__doc__ or "").strip().splitlines()[0]), ""]
        lines += ["| link | event | promise |", "|---|---|---|"]
        lines += [
            f"| `{name}` | {link.level} {link.witness}: {link.kind} | {link.promise} |"
            for name, link in own.items()
        ]
        lines.append("")
    return "\n".join(lines)


def faults_of_errors() -> str:
    """Every error class: who is at fault, the exit code, and what to do next."""
    lines = ["# Errors", "", "Written by `ci/reference.py` from the code.", ""]
    lines += ["| error | at fault | exit | meaning | what to do next |", "|---|---|---|---|---|"]
    ours = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SeabusError)
    ]
    for kind in (*ours, MalformedRecord, BadEsrField, NotAsExpectedError):
        meaning = (kind.__doc__ or "").strip().splitlines()[0]
        lines.append(f"| `{kind.__name__}` | {kind.blame} | {kind.exit_code} | {meaning} | {kind.advice} |")
    return "\n".join([*lines, ""])


PAGES: Final = {"commands.md": commands, "links.md": links, "errors.md": faults_of_errors}


def _commands(
    top: argparse.ArgumentParser, prefix: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, one in action.choices.items():
                yield f"{prefix}{name}", one
                yield from _commands(one, f"{prefix}{name} ")


def _row(action: argparse.Action) -> str:
    if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
        return ""
    words = list(action.option_strings) or [str(action.metavar or action.dest)]
    if action.option_strings and action.nargs != 0:
        words[-1] += f" {action.metavar or '|'.join(map(str, action.choices or [action.dest.upper()]))}"
    cells = (f"`{', '.join(words)}`", (action.help or "").replace("%%", "%"))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _wrapped(text: str) -> list[str]:
    return [" ".join(text.split())]


def main() -> None:
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())


if __name__ == "__main__":
    main()
