# SPDX-License-Identifier: Apache-2.0
"""One clock: L1's and L2's are placed on this computer's by timing question and answer.

An agent reads its CLOCK_MONOTONIC somewhere between our sending and our receiving, so the offset is known to
half the round trip. All three clocks count the same emulated counter and do not drift against each other; the
quickest of several exchanges bounds the error for the whole run. The clocks of one level need no alignment.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from seabus.channel.agent import Agent


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How a level's clock lies on this computer's ``time.monotonic_ns()``.

    :param offset_ns: what to add to the level's clock.
    :param error_ns: by how much that may be wrong, either way.
    """

    offset_ns: int
    error_ns: int


HERE = Alignment(offset_ns=0, error_ns=0)


async def align(agent: Agent, *, exchanges: int = 4, best: Alignment | None = None) -> Alignment:
    """Measure a level's alignment; an earlier, better measurement wins."""
    for _ in range(exchanges):
        sent = time.monotonic_ns()
        theirs = int((await agent.request("clock"))["mono_ns"])
        received = time.monotonic_ns()
        found = Alignment(offset_ns=(sent + received) // 2 - theirs, error_ns=(received - sent) // 2 + 1)
        if best is None or found.error_ns < best.error_ns:
            best = found
    assert best is not None
    return best
