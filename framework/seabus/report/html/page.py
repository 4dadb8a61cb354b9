# SPDX-License-Identifier: Apache-2.0
"""The whole page; style and script are files of their own in this folder, put into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

import seabus
from seabus.report.html.account import account
from seabus.report.html.overview import overview
from seabus.report.recorded import ORDER, Recorded

_TIP = (
    '<svg width="0" height="0" aria-hidden="true" class="defs"><defs><marker id="tip" viewBox="0 0 8 8"'
    ' refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">'
    '<path d="M0 0L8 4L0 8z"/></marker></defs></svg>'
)


def page(runs: Sequence[Recorded], *, title: str) -> str:
    """A report: what is worst comes first."""
    ordered = sorted(runs, key=lambda run: -ORDER.index(run.verdict))
    return "\n".join(_parts(ordered, title)) + "\n"


def style() -> str:
    """The page's style, also what a picture by itself needs."""
    return _file("style.css")


def _parts(runs: Sequence[Recorded], title: str) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title><style>{style()}</style></head><body>{_TIP}"
    yield f"<header><h1>{escape(title)}</h1></header><main>"
    yield from overview(runs)
    yield '<p class="tools"><label>show only <input id="filter" type="search" placeholder="words of a name or'
    yield ' reason"></label> <button type="button" id="open">open all shown</button></p><section id="runs">'
    for number, run in enumerate(runs):
        yield from account(run, number)
    yield f"</section></main><footer>Seabus {escape(seabus.__version__)}</footer>"
    yield f"<script>{_file('script.js')}</script></body></html>"


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
