# SPDX-License-Identifier: Apache-2.0
"""A kernel's last words: when it has panicked, its console is the only witness left."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from seabus.machine.console import printable

_LAST_BYTES: Final = 256 << 10
_PANIC: Final = re.compile(r"Kernel panic - not syncing: .*")  # Linux kernel/panic.c, vpanic()


def panic_of(console: Path) -> str | None:
    """The panic that a recorded console ends with, as the kernel worded it, or None."""
    if not console.exists():
        return None
    with console.open("rb") as file:
        file.seek(max(0, console.stat().st_size - _LAST_BYTES))
        found = _PANIC.search(printable(file.read()))
    return found[0].strip() if found else None
