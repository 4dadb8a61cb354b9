# SPDX-License-Identifier: Apache-2.0
"""Ways to look at what a fault has done that are events themselves, and so can be expected."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from seabus.arch.addresses import GuestPhysical, HostPhysical
from seabus.channel.interface import CommandResult
from seabus.errors import MachineError
from seabus.guest.page_flags import page_flags
from seabus.guest.victim import Victim
from seabus.observe.events import Level
from seabus.patience import STEP, deadline
from seabus.session.stage import Stage

#: The state of a task that waits and takes no signal (Linux Documentation/filesystems/proc.rst).
_UNINTERRUPTIBLE: Final = "D"


async def hears(stage: Stage, victim: Victim, count: int) -> None:
    """Add every signal the victim has got so far, once there are ``count``; in a control, what there is."""
    if stage.injected:
        with contextlib.suppress(MachineError):
            await victim.heard(count)
    for heard in (await victim.signals()).signals:
        stage.note_signal(victim, heard.info, heard.clock_ns)


async def gets_stuck(stage: Stage, victim: Victim, **access: Any) -> None:  # noqa: ANN401 - Victim.touch's
    """Let the victim touch, until its touch has ended, or it is stuck in it, which is an event then."""
    op = access.get("op", "read")
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


async def runs(stage: Stage, level: Level, *argv: str) -> CommandResult:
    """Run a command in L1 or L2; how it ended is an event."""
    result = await stage.agent(level).run(*argv)
    fields = {"program": argv[0], "exit": result.exit, "signal": result.signal}
    how = f"status {result.exit}" if result.signal is None else f"signal {result.signal}"
    stage.add(level, "command", "touch", fields, f"{argv[0]} ended with {how}")
    return result


async def frame_is(stage: Stage, address: GuestPhysical | HostPhysical) -> frozenset[str]:
    """What a frame is by now; that it is lost, or usable, is an event."""
    level: Level = "L1" if isinstance(address, HostPhysical) else "L2"
    flags = await page_flags(stage.agent(level), address)
    fields = {"pfn": address.pfn, "hwpoison": "hwpoison" in flags}
    stage.add(level, "kpageflags", "note", fields, f"frame {address.pfn:#x}: {', '.join(sorted(flags))}")
    return flags
