# SPDX-License-Identifier: Apache-2.0
"""An injection is followed until it is known to have landed, or to be lost."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from seabus.errors import DeadlineError, MachineError
from seabus.faults.fault import Fault, Receipt
from seabus.patience import STEP
from seabus.world import needs

if TYPE_CHECKING:
    from seabus.session.stage import Stage

HOST_APEI: Final = needs.NEEDS["host-apei"]
#: Seconds after which what the kernel has not printed to its end is driven out.
_GLANCE: Final = 0.25


async def put_in(stage: Stage, fault: Fault) -> Receipt | None:
    """Put it in; its receipt, None if there is none, or none any more: its target may have died of it.

    :raises MachineError: it could not be put in.
    """
    start = len(stage.recorder.events)
    try:
        receipt = await fault.put_in(stage.world)
        stage.world.broke = True
        if receipt:
            return receipt
        if not stage.is_dead("L1"):
            await _settled(stage, fault, start)
    except MachineError:
        if not await stage.deaths.mourn():
            raise
    return next(filter(None, map(fault.receipt, stage.recorder.events[start:])), None)


async def is_deaf(stage: Stage, fault: Fault) -> bool:
    """Whether nobody in the host could hear of a firmware record."""
    if fault.level != "L0" or stage.is_dead("L1"):
        return False
    return not await needs.has(stage.world, HOST_APEI)


async def _settled(stage: Stage, fault: Fault, start: int) -> None:
    """Until it comes, does not come, or nobody is left to bring it: then the consoles are read."""
    waiting = asyncio.ensure_future(_landed(stage, fault, start))
    ending = asyncio.ensure_future(stage.world.process.ended())
    await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
    if ending.done() and not await stage.deaths.mourn():
        waiting.cancel()
        raise stage.world.process.ended_error()
    ending.cancel()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError, DeadlineError):
        await waiting


async def _landed(stage: Stage, fault: Fault, start: int) -> None:
    """Until the fault's receipt is among the events; a mark in the trace drives out what waits there."""
    for _ in range(int(STEP / _GLANCE)):
        with contextlib.suppress(DeadlineError):
            await stage.recorder.until(
                lambda event: fault.receipt(event) is not None,
                within=_GLANCE,
                what="a receipt",
                start=start,
            )
            return
        await stage.witnesses["L1"].caught_up()
        if await is_deaf(stage, fault):
            return
