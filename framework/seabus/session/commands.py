# SPDX-License-Identifier: Apache-2.0
"""Commands whose end matters: an event tells how they ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from seabus.channel.interface import CommandResult
from seabus.observe.events import Level
from seabus.patience import STEP

if TYPE_CHECKING:
    from seabus.session.stage import Stage

#: Seconds between two looks at a process.
_GLANCE: Final = 0.05


async def run(stage: Stage, level: Level, *argv: str) -> CommandResult | None:
    """Run a command in L1 or L2; None if its kernel died meanwhile, which is an event then."""
    running = asyncio.ensure_future(stage.agent(level).run(*argv))
    if not await stage.while_vmm_lives(running):
        return None
    result = await running
    _tell(stage, level, argv[0], result.exit, result.signal)
    return result


async def ended(stage: Stage, level: Level, pid: int, *, program: str) -> None:
    """Wait for the end of a command that was started to go on by itself (:meth:`Agent.spawn`).

    One that does not end within a step, as its kernel holds it, leaves no event.
    """

    async def gone() -> Mapping[str, Any]:
        while (state := await stage.agent(level).request("alive", pid=pid))["alive"]:  # noqa: ASYNC110 - a process of a guest
            await asyncio.sleep(_GLANCE)
        return state

    waiting = asyncio.ensure_future(gone())
    if await stage.while_vmm_lives(waiting, within=STEP):
        state = await waiting
        _tell(stage, level, program, state.get("exit"), state.get("signal"))


def _tell(stage: Stage, level: Level, program: str, status: int | None, signal: int | None) -> None:
    fields = {"program": program, "exit": status, "signal": signal}
    how = f"status {status}" if signal is None else f"signal {signal}"
    stage.add(level, "command", "touch", fields, f"{program} ended with {how}")
