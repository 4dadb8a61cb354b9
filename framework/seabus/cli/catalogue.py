# SPDX-License-Identifier: Apache-2.0
"""``seabus catalogue``: the scenarios, what goes wrong in each, and what every level owes in return."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rich.table import Table
from rich.text import Text

from seabus.report.console import Console


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "catalogue",
        help="list the scenarios of test files",
        description="List RAS scenarios: what goes wrong, who is asked, what is owed. Nothing is run.",
    )
    parser.add_argument("path", nargs="*", default=["testcases"], help="test files or folders [testcases]")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a list, one object a scenario")
    form.add_argument("--markdown", action="store_true", help="a table for documents")
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    from seabus.catalogue.table import as_markdown, collect  # pytest is slow to import

    found = collect(arguments.path)
    if arguments.json:
        print(json.dumps([one.as_json() for one in found], indent=1))
    elif arguments.markdown:
        print(as_markdown(found), end="")
    else:
        table = Table(box=None, pad_edge=False)
        for heading in ("test", "scenario", "levels", "witnesses"):
            table.add_column(heading, header_style="dim", overflow="fold")
        for one in found:
            scenario = one.scenario
            name = one.test.rpartition("/")[2]
            words = (name, scenario.title, " ".join(scenario.levels), ", ".join(scenario.witnesses))
            table.add_row(*map(Text, words))  # [read] is a parameter, and no colour
        console = Console()
        console.print(table)
        console.print(f"{len(found)} scenarios")
    return 0
