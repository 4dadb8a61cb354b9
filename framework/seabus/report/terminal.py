# SPDX-License-Identifier: Apache-2.0
"""The story of a fault on a terminal: level, time, witness, what happened; then the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seabus.judge.verdict import Verdict
from seabus.machine.console import printable
from seabus.report.wording import describe
from seabus.session.outcome import Outcome

_LEVEL_STYLES: Final = {"L0": "magenta", "L1": "cyan", "L2": "green"}
_VERDICT_STYLES: Final = {
    Verdict.PASS: "bold green",
    Verdict.FAIL: "bold red",
    Verdict.ERROR: "bold yellow",
    Verdict.SKIP: "bold blue",
    Verdict.UNKNOWN: "bold yellow",
}
_HIDDEN: Final = ("note",)


def show(outcome: Outcome, *, artefacts: Path, console: Console) -> None:
    """Print the addresses, the story and the verdict."""
    _show_addresses(outcome, console)
    _show_story(outcome, console)
    _show_verdict(outcome, console)
    console.print(Text(f"artefacts: {artefacts}", style="dim"), soft_wrap=True)


def _show_addresses(outcome: Outcome, console: Console) -> None:
    table = Table(title="One page, four names", title_justify="left", box=None, pad_edge=False)
    for heading in ("address space", "address", "found by"):
        table.add_column(heading, header_style="dim")
    for page in outcome.addresses:
        for space, address, by in page.steps():
            table.add_row(space, address, by)
    console.print(table)
    console.print()


def _show_story(outcome: Outcome, console: Console) -> None:
    story = outcome.story
    table = Table(title="What happened", title_justify="left", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True, header_style="dim")
    table.add_column("witness", no_wrap=True, header_style="dim")
    table.add_column("event", header_style="dim", overflow="fold")
    for event in story.events:
        if event.kind not in _HIDDEN:
            table.add_row(
                Text(event.level, style=_LEVEL_STYLES[event.level]),
                f"{story.time_s(event) * 1e3:.1f}",
                event.witness,
                Text(printable(describe(event))),
            )
    console.print(table)
    errors = ", ".join(
        f"{level} ±{alignment.error_ns / 1e6:.2f} ms"
        for level, alignment in story.clocks.items()
        if alignment.error_ns
    )
    console.print(Text(f"clocks aligned by round trips: {errors}", style="dim"))
    console.print()


def _show_verdict(outcome: Outcome, console: Console) -> None:
    judgement = outcome.judgement
    console.print(
        Text.assemble(
            (judgement.verdict.upper(), _VERDICT_STYLES[judgement.verdict]),
            f"  {printable(judgement.reason)}",
        ),
        soft_wrap=True,
    )
    for finding in judgement.findings:
        console.print(Text(f"  - {printable(finding.text)}"), soft_wrap=True)
    for receipt in outcome.receipts:
        console.print(Text(f"receipt: {receipt}", style="dim"), soft_wrap=True)
