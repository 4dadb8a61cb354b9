# SPDX-License-Identifier: Apache-2.0
"""The ends of consoles: those of runs that somebody has to look at, as much as there is room for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from seabus.machine.console import printable
from seabus.report.html.packed import packed
from seabus.report.loaded import Run

#: What is shown of a run, in this order.
FILES: Final = ("console-l1.log", "console-l2.log", "vmm.log", "emulator.log")
#: Bytes, at most, that all consoles of a page take; and of each, if there is room.
_ROOM: Final = 2 << 20
_LEAST: Final = 256


@dataclass(kw_only=True)
class Consoles:
    """Texts, each once, and which of them a run has.

    :param of: the place of a run to the names of its consoles, each with the place of its text.
    """

    texts: list[str] = field(default_factory=list)
    of: dict[int, list[tuple[str, int]]] = field(default_factory=dict)


def consoles(runs: Sequence[Run], *, kib: int = 16, all_of_them: bool = False) -> Consoles:
    """The last ``kib`` KiB of each console; less, if all together would take too much room.

    :param all_of_them: those of runs that went well, too.
    """
    wanted = [number for number, run in enumerate(runs) if all_of_them or not run.is_well]
    length = kib << 10
    while True:
        found = _collect(runs, wanted, length)
        if length <= _LEAST or len(packed(found.texts)) <= _ROOM:
            return found
        length //= 2


def _collect(runs: Sequence[Run], wanted: Sequence[int], length: int) -> Consoles:
    found = Consoles()
    places: dict[str, int] = {}
    for number in wanted:
        for name in FILES:
            if text := _end(runs[number].evidence / name, length):
                place = places.setdefault(text, len(places))
                found.of.setdefault(number, []).append((name, place))
    found.texts = list(places)
    return found


def _end(path: Path, length: int) -> str:
    """Printable, whatever a guest wrote; "" if there is none."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - length))
        text = printable(file.read(length)).strip("\n")
        return f"[{size - length} bytes before this]\n{text}" if size > length else text
    return ""
