# SPDX-License-Identifier: Apache-2.0
"""A kernel's last words: when it has panicked, its console is the only witness left."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seabus.arch.kernel_text import GhesRecord, GhesTextParser
from seabus.machine.console import printable

_LAST_BYTES: Final = 256 << 10
#: A line that was printed to its end (Linux kernel/panic.c, vpanic()): consoles are slow.
_PANIC: Final = re.compile(r"(Kernel panic - not syncing: .*)[\r\n]")
#: The last line of a kernel that stays where it panicked (``panic=0``), as printk() writes it: with a time,
#: and perhaps with the task or CPU (CONFIG_PRINTK_CALLER).
_END: Final = re.compile(
    r"^\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ---\[ end (Kernel panic - not syncing: .*) \]---", re.MULTILINE
)


@dataclass(frozen=True)
class Panic:
    """What a console says of a panic. Alone it proves none: processes write to consoles as well.

    :param message: as the kernel worded it.
    :param ended: its kernel has also said that this was its end. Else it has begun to restart, or nobody
        has panicked.
    """

    message: str
    ended: bool


def panic_of(console: Path, *, since: int = 0) -> Panic | None:
    """The panic that a recorded console shows, or None.

    :param since: the length it had, in bytes, before what is asked for; a console server begins with what it
        has kept of earlier times.
    """
    text = _end(console, since)
    if ended := _END.search(text):
        return Panic(ended[1].strip(), ended=True)
    found = _PANIC.search(text)
    return Panic(found[1].strip(), ended=False) if found else None


def records_of(console: Path, *, since: int = 0) -> list[GhesRecord]:
    """The hardware error records that a recorded console shows, each as far as it was printed.

    :param since: as in :func:`panic_of`.
    """
    parser = GhesTextParser()
    found: dict[int, GhesRecord] = {}
    for line in _end(console, since).splitlines():
        if record := parser.feed(line):
            found[record.sequence] = record
    found.update({record.sequence: record for record in parser.finish()})
    return list(found.values())


def ghes_fields(record: GhesRecord) -> dict[str, Any]:
    """What an event says of a record, whoever saw it."""
    return {
        "source": record.source,
        "severity": record.severity,
        "physical_address": record.physical_address,
        "fru_id": str(record.fru_id) if record.fru_id else None,
    }


def length(console: Path) -> int:
    """Bytes that were recorded by now."""
    return console.stat().st_size if console.exists() else 0


def _end(console: Path, since: int) -> str:
    if not console.exists():
        return ""
    with console.open("rb") as file:
        file.seek(max(since, length(console) - _LAST_BYTES))
        return printable(file.read())
