# SPDX-License-Identifier: Apache-2.0
"""The story of a fault on a terminal: level, time, witness, what happened; then the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seabus.arch.esr import decode_esr
from seabus.arch.sigbus import BusCode
from seabus.judge.verdict import Verdict
from seabus.machine.console import printable
from seabus.observe.events import Event
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


def describe(event: Event) -> str:
    """An event in one line for people."""
    told = _DESCRIPTIONS.get(event.kind)
    return told(event.fields) if told else event.text


def _ghes(fields: Mapping[str, Any]) -> str:
    address = fields["physical_address"]
    where = f" at {address:#x}" if address is not None else ""
    return f"GHES record, source {fields['source']}, {fields['severity']}{where}"


def _memory_failure(fields: Mapping[str, Any]) -> str:
    return f"memory_failure(): PFN {fields['pfn']:#x}, {fields['page_type']}: {fields['result']}"


def _sigbus(fields: Mapping[str, Any]) -> str:
    return f"SIGBUS {_code(fields['code'])} to {fields['comm']} (thread {fields['tid']})"


def _sea(fields: Mapping[str, Any]) -> str:
    syndrome = decode_esr(fields["esr"]).summary()
    return f"SEA taken: ESR_EL1 {fields['esr']:#010x} FAR {fields['far']:#x} - {syndrome}"


def _exception(fields: Mapping[str, Any]) -> str:
    return (
        f"the VMM injects a {fields['exception']} into vCPU {fields['vcpu']},"
        f" EL{fields['from_el']} to EL{fields['to_el']}, ESR_EL1 {fields['esr']:#010x}"
    )


def _siginfo(fields: Mapping[str, Any]) -> str:
    lsb = fields["lsb"]
    return f"handler: {_code(fields['code'])}, si_addr {fields['address']:#x}, si_addr_lsb {lsb}"


def _touch(fields: Mapping[str, Any]) -> str:
    return f"the victim's {fields['op']} ends"


def _inject(fields: Mapping[str, Any]) -> str:
    told = ", ".join(str(fields[name]) for name in ("severity", "address") if name in fields)
    return f"{fields['kind']}: {told}"


def _code(code: int) -> str:
    try:
        return BusCode(code).name
    except ValueError:
        return f"code {code}"


_DESCRIPTIONS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "ghes": _ghes,
    "memory_failure": _memory_failure,
    "sigbus": _sigbus,
    "sea": _sea,
    "exception": _exception,
    "siginfo": _siginfo,
    "touch": _touch,
    "inject": _inject,
}
