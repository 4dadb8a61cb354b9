# SPDX-License-Identifier: Apache-2.0
"""An injection is followed until it is known to have landed, or to be lost."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from seabus.errors import DeadlineError, MachineError
from seabus.faults.fault import Fault, Receipt
from seabus.observe.events import Event
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
        if not (stage.is_dead("L1") or stage.is_dead(fault.level)):
            await _settled(stage, fault, start)
    except MachineError:
        if not await stage.deaths.mourn():
            raise
    proofs = (event for event in stage.recorder.events[start:] if _proves(stage, fault, event))
    return next((fault.receipt(event) for event in proofs), None)


def _proves(stage: Stage, fault: Fault, event: Event) -> bool:
    """Whether an event is a receipt of this fault, and cannot be that of an earlier one.

    Two faults may be of one page, and what the kernel does to it may come after the first one's record was
    seen, and the second one put in: of several such events each fault before has one.
    """
    if fault.receipt(event) is None:
        return False
    before = sum(other.receipt(event) is not None for other in stage.faults[:-1])
    alike = (one for one in stage.recorder.events if one.kind == event.kind and fault.receipt(one))
    return next(number for number, one in enumerate(alike) if one is event) >= before


async def is_deaf(stage: Stage, fault: Fault) -> bool:
    """Whether nobody in the host could hear of a firmware record."""
    if fault.level != "L0" or stage.is_dead("L1"):
        return False
    return not await needs.has(stage.world, HOST_APEI)


async def _settled(stage: Stage, fault: Fault, start: int) -> None:
    """Until it comes, does not come, or nobody is left to bring it: then the consoles are read."""
    waiting = asyncio.ensure_future(_landed(stage, fault, start))
    ending = asyncio.ensure_future(stage.world.process.ended())
    try:
        await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if ending.done() and not await stage.deaths.mourn():
            raise stage.world.process.ended_error()
        if waiting.done():
            with contextlib.suppress(DeadlineError):
                waiting.result()
    finally:  # also if we are interrupted: nobody else waits for them
        for one in (waiting, ending):
            one.cancel()
        await asyncio.gather(waiting, ending, return_exceptions=True)


async def _landed(stage: Stage, fault: Fault, start: int) -> None:
    """Until the fault's receipt is among the events; a mark in the trace drives out what waits there."""
    for _ in range(int(STEP / _GLANCE)):
        with contextlib.suppress(DeadlineError):
            await stage.recorder.until(
                lambda event: _proves(stage, fault, event),
                within=_GLANCE,
                what="a receipt",
                start=start,
            )
            return
        await stage.witnesses["L1"].caught_up()
        if await is_deaf(stage, fault):
            return
