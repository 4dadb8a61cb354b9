# SPDX-License-Identifier: Apache-2.0
"""Progress on standard error: one short line for each step, with the time since the start."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


def teller(*, quiet: bool = False) -> Callable[[str], None]:
    """A function that tells the user what is going on.

    Standard output is left to results.
    """
    started = time.monotonic()

    def say(message: str) -> None:
        if not quiet:
            print(f"[{time.monotonic() - started:6.1f} s] {message}", file=sys.stderr, flush=True)

    return say
