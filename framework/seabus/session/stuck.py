# SPDX-License-Identifier: Apache-2.0
"""A victim that may never come back: its kernel died under it, with a lock that it needs to end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from seabus.errors import MachineError
from seabus.faults import permission
from seabus.guest.victim import Victim
from seabus.patience import STEP, deadline

if TYPE_CHECKING:
    from seabus.session.stage import Stage

#: The state of a task that waits and takes no signal (Linux Documentation/filesystems/proc.rst).
_UNINTERRUPTIBLE: Final = "D"


async def gets_stuck(stage: Stage, victim: Victim, **access: Any) -> None:  # noqa: ANN401 - Victim.touch's
    """Let the victim touch, until its touch has ended, or it is stuck in it, which is an event then."""
    op = access.get("op", "read")
    await permission.ask_for_deed(stage.world, stage.level_of(victim), access.get("advice"))
    touching = asyncio.ensure_future(victim.touch(**access))
    try:
        async with deadline(STEP, f"victim {victim.pid} to end {op}, or to be stuck in it"):
            while not touching.done():
                ended, _ = await asyncio.wait([touching], timeout=0.1)
                oopsed = any(event.kind == "trouble" for event in stage.recorder.events)
                if ended or not oopsed:
                    continue
                state = (await victim.agent.request("alive", pid=victim.pid))["state"]
                if state == _UNINTERRUPTIBLE:
                    fields = {"op": op, "state": state, "tid": victim.tid}
                    text = f"{op} never returns: its process can neither go on nor be killed"
                    stage.add(stage.level_of(victim), "agent", "stuck", fields, text)
                    return
        stage.note_touch(victim, await touching, op)
    finally:
        touching.cancel()
        with contextlib.suppress(asyncio.CancelledError, MachineError):
            await touching
