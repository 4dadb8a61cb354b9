# SPDX-License-Identifier: Apache-2.0
"""An error as a person reads it: what happened, what to do next, then the evidence."""

from __future__ import annotations

from typing import IO, Any

from seabus.errors import SeabusError
from seabus.machine.console import printable


def complain(error: SeabusError, stream: IO[str]) -> None:
    """Print an error; nothing a guest wrote reaches the terminal unfiltered."""
    print(f"seabus: {printable(error.message)}", file=stream)
    if error.hint:
        print(f"  try: {printable(error.hint)}", file=stream)
    for title, text in error.details.items():
        if text.strip():
            print(f"  {title}:", file=stream)
            for line in printable(text).strip().splitlines():
                print(f"    | {line}", file=stream)


def as_json(error: SeabusError) -> dict[str, Any]:
    """The same for a result file."""
    return {
        "class": type(error).__name__,
        "blame": error.blame,
        "message": error.message,
        "hint": error.hint,
        "details": error.details,
    }
