# SPDX-License-Identifier: Apache-2.0
"""``seabus report``: runs as a page, a trace, or what a CI system reads."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from seabus.errors import UsageError
from seabus.report import loaded
from seabus.report.loaded import Runs

_DESCRIPTION: Final = """\
Make a report of runs: of the folder of one, or of all below a folder (`pytest --seabus-artefacts DIR`).
Nothing is run, and nothing but their result files and consoles is read.
"""
_EPILOG: Final = """\
examples:
  seabus report runs -o report.html          one file with pictures, for a browser; it needs no network
  seabus report runs/test_x -o trace.json    for Perfetto: a process for each level, arrows of cause
  seabus report runs/test_x -o test_x.svg    its picture alone
  seabus report runs --format ktap           for the tools of the kernel's tests
"""
#: The format that the name of a file asks for.
_SUFFIXES: Final = {
    ".html": "html",
    ".htm": "html",
    ".json": "trace",
    ".ktap": "ktap",
    ".tap": "ktap",
    ".jsonl": "jsonl",
    ".md": "markdown",
    ".svg": "svg",
}


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "report",
        help="make a report of runs: HTML, trace, KTAP, JSON lines, Markdown, SVG",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", nargs="+", type=Path, help="a folder with result.json in it, or below it")
    parser.add_argument("-o", "--output", default="-", metavar="FILE", help="[standard output]")
    parser.add_argument("--format", choices=tuple(_FORMATS), help="[what FILE's suffix says]")
    parser.add_argument("--title", default="Seabus report", help="of a page [%(default)s]")
    parser.add_argument(
        "--console-kib",
        type=int,
        default=16,
        metavar="KIB",
        help="how much of the end of each console a page keeps [%(default)s]",
    )
    parser.add_argument("--all-consoles", action="store_true", help="keep those of runs that went well, too")
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    chosen = arguments.format or _SUFFIXES.get(Path(arguments.output).suffix.lower())
    if chosen is None:
        where = "standard output" if arguments.output == "-" else arguments.output
        raise UsageError(
            f"which format {where} shall have is not told", hint=f"--format {'|'.join(_FORMATS)}"
        )
    if arguments.console_kib < 0:
        raise UsageError(f"--console-kib {arguments.console_kib} is less than nothing")
    if arguments.output != "-" and not Path(arguments.output).absolute().parent.is_dir():
        raise UsageError(f"there is no folder for {arguments.output}", hint="-o FILE")
    text = _FORMATS[chosen](loaded.load(arguments.run), arguments)
    data = text.encode(errors="replace")  # a name may hold half a surrogate pair
    if arguments.output == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
    else:
        Path(arguments.output).write_bytes(data)
    return 0


def _html(runs: Runs, arguments: argparse.Namespace) -> str:
    from seabus.report import html  # a template engine is slow to import

    return html.page(
        runs, title=arguments.title, kib=arguments.console_kib, all_consoles=arguments.all_consoles
    )


def _trace(runs: Runs, _: argparse.Namespace) -> str:
    from seabus.report.export import trace

    return trace.document(runs.runs)


def _ktap(runs: Runs, _: argparse.Namespace) -> str:
    from seabus.report.export import ktap

    return ktap.document(runs.runs)


def _lines(runs: Runs, _: argparse.Namespace) -> str:
    from seabus.report.export import lines

    return lines.document(runs)


def _markdown(runs: Runs, arguments: argparse.Namespace) -> str:
    from seabus.report.export import markdown

    return markdown.document(runs, title=arguments.title)


def _svg(runs: Runs, _: argparse.Namespace) -> str:
    from seabus.report.picture import picture

    if len(runs.runs) != 1:
        raise UsageError(
            f"a picture is of one run, and there are {len(runs.runs)}", hint="name its folder, or take html"
        )
    return f"{picture(runs.runs[0], alone=True)}\n"


_FORMATS: Final[dict[str, Callable[[Runs, argparse.Namespace], str]]] = {
    "html": _html,
    "trace": _trace,
    "ktap": _ktap,
    "jsonl": _lines,
    "markdown": _markdown,
    "svg": _svg,
}
