# SPDX-License-Identifier: Apache-2.0
"""One run for a reader: its picture, what deviates, the page's addresses, the consoles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from seabus.judge.verdict import Verdict
from seabus.machine.console import printable
from seabus.report.html.picture import picture
from seabus.report.html.rows import rows
from seabus.report.recorded import Recorded

_CONSOLES: Final = ("console-l1.log", "console-l2.log", "vmm.log", "emulator.log")
_CONSOLE_BYTES: Final = 16 << 10
#: Beside the emulator's command line, what a reader needs to try it again.
_ABOUT: Final = ("started", "artefacts")


def account(run: Recorded, number: int) -> Iterator[str]:
    """The HTML of one run; number makes its anchor."""
    seconds = "" if run.seconds is None else f"{run.seconds:.2f} s"
    yield (
        f'<details class="run {run.verdict}" id="run-{number}"><summary>'
        f'<span class="chip {run.verdict}">{run.verdict}</span> <span class="name">{escape(run.name)}</span>'
        f'<span class="seconds">{seconds}</span>'
        f'<span class="reason">{escape(run.reason)}</span></summary>'
    )
    if run.title:
        yield f'<p class="title">{escape(run.title)}</p>'
    yield from _findings(run)
    if run.events:
        yield picture(rows(run), label=f"What happened in {run.name}: {run.reason}")
    yield from _facts(run)
    if run.verdict is not Verdict.PASS:
        yield from _consoles(run)
    yield "</details>"


def _findings(run: Recorded) -> Iterator[str]:
    error = run.told.get("error")
    if error:
        told, hint = f"{error.get('blame')}: {error.get('message')}", error.get("hint")
        yield f'<p class="hint">{escape(told)}<br>try: {escape(str(hint or "see the consoles below"))}</p>'
    if not run.findings:
        return
    yield '<table class="findings"><thead><tr><th>deviation</th><th>expected</th><th>observed</th></tr>'
    yield "</thead><tbody>"
    for finding in run.findings:
        expected, observed = (escape(_shown(finding.get(name))) for name in ("expected", "observed"))
        yield f"<tr><td>{escape(finding['text'])}</td><td>{expected}</td><td>{observed}</td></tr>"
    yield "</tbody></table>"


def _facts(run: Recorded) -> Iterator[str]:
    told = run.told
    yield '<dl class="facts">'
    for name, found in (("fault", told["faults"]), ("receipt", told["receipts"])):
        for one in found:
            yield _fact(name, ", ".join(f"{key} {value}" for key, value in one.items()))
    for one in told["addresses"]:
        yield _fact(one["space"], f"{one['address']} by {one['by']}")
    yield _fact("world", run.configuration)
    yield _fact("versions", ", ".join(f"{name} {value}" for name, value in told["versions"].items()))
    for name in _ABOUT:
        if told.get(name):
            yield _fact(name, str(told[name]))
    yield "</dl>"


def _fact(name: str, text: str) -> str:
    return f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>"


def _consoles(run: Recorded) -> Iterator[str]:
    for name in _CONSOLES:
        text = run.file(name, most=_CONSOLE_BYTES)
        if text:
            lines = "\n".join(printable(line) for line in text.splitlines())
            yield f"<details><summary>the end of {name}</summary><pre>{escape(lines)}</pre></details>"


def _shown(value: Any) -> str:  # noqa: ANN401 - any field's value
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items() if one is not None)
    if isinstance(value, list):
        return " or ".join(map(_shown, value))
    if isinstance(value, int) and not isinstance(value, bool) and value > 255:
        return f"{value:#x}"
    return str(value)
