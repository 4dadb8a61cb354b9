# SPDX-License-Identifier: Apache-2.0
"""Events as they happen, one line each, coloured by level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from seabus.machine.console import printable
from seabus.observe.events import Event
from seabus.report.console import Console
from seabus.report.wording import describe

if TYPE_CHECKING:
    from seabus.interactive.playground import Playground

STYLES: Final = {"L0": "magenta", "L1": "cyan", "L2": "green"}
_HIDDEN: Final = ("note",)
_GRAVE: Final = ("panic", "ended", "silent", "trouble", "bystander", "corruption", "lost", "stuck")


def line(event: Event) -> Text | None:
    """An event for people; None if it is not for them."""
    if event.kind in _HIDDEN:
        return None
    style = "bold red" if event.kind in _GRAVE else ""
    return Text.assemble(
        (event.level, STYLES[event.level]),
        (f" {event.witness:<11}", "dim"),
        (printable(describe(event)), style),
    )


class Teller:
    """Prints what happens; what it writes to may be patched by a prompt, so it is asked for each time."""

    def __init__(self, *, color: bool) -> None:
        self._color = color

    def __call__(self, _: Playground | None, event: Event) -> None:
        text = line(event)
        if text is not None:
            Console(force_terminal=self._color or None, highlight=False, soft_wrap=True).print(text)
