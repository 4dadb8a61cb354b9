# SPDX-License-Identifier: Apache-2.0
"""A comparison on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from seabus.machine.console import printable
from seabus.report.compare.differ import Comparison, Difference

#: Raised when a field changes its meaning or goes.
SCHEMA: Final = 1
_STYLES: Final = {"only in A": "red", "only in B": "green"}


def show(found: Sequence[Comparison], *, console: Console) -> None:
    """What both sides are made of, then each test that differs, then how many do."""
    for name, (a, b) in _made_of(found).items():
        console.print(Text(printable(f"{name}: {a} | {b}"), style="dim"), soft_wrap=True)
    different = [one for one in found if one.differences]
    for one in different:
        console.print(Text(printable(one.test), style="bold"), soft_wrap=True)
        for difference in one.differences:
            style = _STYLES.get(difference.kind, "")
            console.print(Text(f"  {printable(_line(difference))}", style=style), soft_wrap=True)
    console.print(Text(_summary(found, different)), soft_wrap=True)


def as_json(found: Sequence[Comparison]) -> dict[str, Any]:
    """One object for machines (``docs/reference/report.md``)."""
    return {
        "schema": SCHEMA,
        "same": sum(1 for one in found if not one.differences),
        "different": sum(1 for one in found if one.differences),
        "runs": [
            {
                "test": one.test,
                "a": str(one.a.folder) if one.a else None,
                "b": str(one.b.folder) if one.b else None,
                "made_of": {name: list(both) for name, both in one.made_of.items()},
                "differences": [asdict(difference) for difference in one.differences],
            }
            for one in found
        ],
    }


def _made_of(found: Sequence[Comparison]) -> Mapping[str, tuple[str, str]]:
    """What differs in the same way in all that have a counterpart."""
    both = [one.made_of for one in found if one.a is not None and one.b is not None]
    first = both[0] if both else {}
    return {name: pair for name, pair in first.items() if all(one.get(name) == pair for one in both)}


def _line(told: Difference) -> str:
    match told.kind:
        case "only in A" | "only in B" if told.subject:
            return f"{told.kind}: {told.subject}: {told.a or told.b}"
        case "only in A" | "only in B":
            return f"{told.kind}: {told.a or told.b}"
        case "verdict" | "reason":
            return f"{told.kind}: {told.a} | {told.b}"
        case _:
            what = told.what or told.kind
            return f"{told.subject}: {what}: {told.a} | {told.b}"


def _summary(found: Sequence[Comparison], different: Sequence[Comparison]) -> str:
    if len(found) == 1:
        return "they differ" if different else "they are the same"
    return f"{len(different)} of {len(found)} differ"
