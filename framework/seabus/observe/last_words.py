# SPDX-License-Identifier: Apache-2.0
"""A kernel's last words: when it has panicked, its console is the only witness left."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from seabus.arch.kernel_text import GhesRecord, GhesTextParser
from seabus.machine.console import printable

_LAST_BYTES: Final = 256 << 10
#: A line that was printed to its end (Linux kernel/panic.c, vpanic()): consoles are slow.
_PANIC: Final = re.compile(r"(Kernel panic - not syncing: .*)[\r\n]")


def panic_of(console: Path) -> str | None:
    """The panic that a recorded console ends with, as the kernel worded it, or None."""
    found = _PANIC.search(_end(console))
    return found[1].strip() if found else None


def records_of(console: Path) -> list[GhesRecord]:
    """The hardware error records that a recorded console shows, each as far as it was printed."""
    parser = GhesTextParser()
    found: dict[int, GhesRecord] = {}
    for line in _end(console).splitlines():
        if record := parser.feed(line):
            found[record.sequence] = record
    return list(found.values())


def ghes_fields(record: GhesRecord) -> dict[str, Any]:
    """What an event says of a record, whoever saw it."""
    return {
        "source": record.source,
        "severity": record.severity,
        "physical_address": record.physical_address,
        "fru_id": str(record.fru_id) if record.fru_id else None,
    }


def _end(console: Path) -> str:
    if not console.exists():
        return ""
    with console.open("rb") as file:
        file.seek(max(0, console.stat().st_size - _LAST_BYTES))
        return printable(file.read())
