# SPDX-License-Identifier: Apache-2.0
"""Recorded consoles: bytes a guest chose, made safe for a terminal."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final

_TAIL_BYTES: Final = 16384
# CSI, OSC and two-byte escape sequences (ECMA-48), then every control character but newline and tab.
_ESCAPES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|\x9b[0-?]*[ -/]*[@-~]"
)
#: With them what no encoding has, nor XML (halves of UTF-16 pairs, and the two that are no characters).
_CONTROLS: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def printable(data: bytes | str) -> str:
    """Text without escape sequences and control characters, whatever the bytes were."""
    text = data if isinstance(data, str) else data.decode(errors="backslashreplace")
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a recorded console, printable; "" if there is none."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        kept = [line for line in printable(file.read()).splitlines() if line.strip()]
        return "\n".join(kept[-lines:])
    return ""
