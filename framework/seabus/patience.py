# SPDX-License-Identifier: Apache-2.0
"""How long anything is waited for: the only place that knows about slowness.

Deadlines in the code are those of the emulated machine on two ordinary cores. ``SEABUS_PATIENCE``
stretches all of them (a loaded CI box may want 3); nothing ever waits without one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Final

from seabus.errors import DeadlineError, UsageError

#: Seconds: one answer of an agent or monitor that has nothing slow to do.
ANSWER: Final = 15.0
#: Seconds: one step of a fault's chain; the slowest seen on a loaded machine is under 4.
STEP: Final = 15.0
#: Seconds: a restored world must be alive.
CLONE: Final = 30.0


def scale() -> float:
    """The factor all deadlines are multiplied by."""
    text = os.environ.get("SEABUS_PATIENCE", "1")
    try:
        factor = float(text)
    except ValueError:
        factor = 0
    if not 0.1 <= factor <= 1000:
        raise UsageError(
            f"SEABUS_PATIENCE={text} is not a number from 0.1 to 1000",
            hint="1 is an idle machine with two cores, 3 a loaded one",
        )
    return factor


@contextlib.asynccontextmanager
async def deadline(seconds: float, what: str) -> AsyncIterator[None]:
    """Let the body take ``seconds`` (scaled); after that raise an error that names ``what``.

    :raises DeadlineError: "waited N s for WHAT".
    """
    allowed = seconds * scale()
    try:
        async with asyncio.timeout(allowed):
            yield
    except TimeoutError as error:
        raise DeadlineError(f"waited {allowed:g} s for {what}") from error
