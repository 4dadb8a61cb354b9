# SPDX-License-Identifier: Apache-2.0
"""What a session leaves to chance, such as the ids that records carry: all of it follows from one seed.

A run of the same seed draws the same, in the same order. Whoever makes a fault knows of no session, so the
session's source is found by the context in which the fault is made.
"""

from __future__ import annotations

import random
import secrets
import uuid
from contextvars import ContextVar
from typing import Final

_SEED_BITS: Final = 63  # what fits into a signed number of any reader of a result file
_source: ContextVar[random.Random | None] = ContextVar("seabus_draws", default=None)


def new_seed() -> int:
    """A seed that nobody chose."""
    return secrets.randbits(_SEED_BITS)


def follow(source: random.Random) -> None:
    """Draw from this source, in this context, from now on."""
    _source.set(source)


def draw_uuid() -> uuid.UUID:
    """An id that is another each time (RFC 9562, version 4)."""
    source = _source.get()
    if source is None:
        return uuid.uuid4()
    return uuid.UUID(int=source.getrandbits(128), version=4)
