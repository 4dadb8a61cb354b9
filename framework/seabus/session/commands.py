# SPDX-License-Identifier: Apache-2.0
"""Commands whose end matters: an event tells how they ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from seabus.channel.interface import CommandResult
from seabus.observe.events import Level

if TYPE_CHECKING:
    from seabus.session.stage import Stage


async def run(stage: Stage, level: Level, *argv: str) -> CommandResult | None:
    """Run a command in L1 or L2; None if its kernel died meanwhile, which is an event then."""
    running = asyncio.ensure_future(stage.agent(level).run(*argv))
    if not await stage.while_vmm_lives(running):
        return None
    result = await running
    fields = {"program": argv[0], "exit": result.exit, "signal": result.signal}
    how = f"status {result.exit}" if result.signal is None else f"signal {result.signal}"
    stage.add(level, "command", "touch", fields, f"{argv[0]} ended with {how}")
    return result
