# SPDX-License-Identifier: Apache-2.0
"""``seabus decode dmesg``: what a kernel's log tells about errors, however long it is."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO, Final

from rich.table import Table
from rich.text import Text

from seabus.arch.esr import decode_esr
from seabus.arch.kernel_text import GhesRecord, LogEvent, MemoryFailure, TroubleReport, log_lines, parse_dmesg
from seabus.cli.record_input import open_input
from seabus.machine.console import printable
from seabus.report.console import Console

_PIECE: Final = 1 << 16
_EPILOG: Final = """\
examples:
  dmesg | seabus decode dmesg -
  seabus decode dmesg console.log --json
"""


def add_parser(kinds: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = kinds.add_parser(
        "dmesg",
        help="a kernel's log, or a recorded console",
        description="Find error records, memory failures, aborts, oopses and panics in a kernel's log.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", help="- is standard input")
    parser.add_argument("--json", action="store_true", help="one object")
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    with ExitStack() as stack:
        return show(_pieces(open_input(arguments.file, stack)), as_json=arguments.json)


def show(pieces: Iterable[bytes], *, as_json: bool) -> int:
    """Print what a log tells, however it is cut into pieces."""
    report = parse_dmesg(log_lines(pieces))
    if as_json:
        events = [_as_json(event) for event in report.events]
        found = {"lines": report.lines, "left_out": report.left_out, "events": events}
        print(json.dumps(found, indent=1, default=str))
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("line", "seconds", "kind", "what"):
        table.add_column(heading, header_style="dim", overflow="fold")
    for event in report.events:
        seconds = "" if event.time_ns is None else f"{event.time_ns / 1e9:.6f}"
        table.add_row(str(event.line), seconds, event.kind, Text(printable(told(event))))
    console = Console()
    console.print(table)
    more = f", and {report.left_out} more that were not kept" if report.left_out else ""
    console.print(f"{len(report.events)} findings in {report.lines} lines{more}")
    return 0


def told(event: LogEvent) -> str:
    """A finding in one line for people."""
    what = event.what
    if isinstance(what, GhesRecord):
        sections = ", ".join(_section(section.kind, section.physical_address) for section in what.sections)
        return f"record of source {what.source}, {what.severity}: {sections or 'no section'}"
    if isinstance(what, MemoryFailure):
        return f"PFN {what.pfn:#x}: {what.text}"
    if isinstance(what, TroubleReport):
        syndrome = "" if what.esr is None else f" - ESR {what.esr:#x}: {decode_esr(what.esr).summary()}"
        return f"{what.kind}: {what.text}{syndrome}"
    return ", ".join(
        f"{field.name} {_shown(getattr(what, field.name))}"
        for field in dataclasses.fields(what)
        if getattr(what, field.name) not in (None, "", (), {})
    )


def _section(kind: str, address: int | None) -> str:
    return kind if address is None else f"{kind} at {address:#x}"


def _shown(value: object) -> str:
    return (
        hex(value) if isinstance(value, int) and not isinstance(value, bool) and value > 255 else str(value)
    )


def _as_json(event: LogEvent) -> dict[str, Any]:
    return {
        "line": event.line,
        "time_s": None if event.time_ns is None else event.time_ns / 1e9,
        "level": event.level,
        "caller": event.caller,
        "kind": event.kind,
        "told": told(event),
        "what": dataclasses.asdict(event.what),
    }


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(_PIECE):
        yield piece
