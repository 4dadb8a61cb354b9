# SPDX-License-Identifier: Apache-2.0
"""Which part of a world stands still when an answer did not come: whoever was asked need not be to blame.

All are asked at once, and the lowest that does not answer is the one: nothing above it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from seabus.errors import ChannelError, DeadlineError, MachineError

if TYPE_CHECKING:
    from seabus.channel.agent import Agent
    from seabus.channel.qga import Qga
    from seabus.channel.qmp import Qmp
    from seabus.world.world import World

#: Seconds: who does not answer "are you there?" in that time does not answer.
PATIENCE: Final = 2.5
_STOPPED: Final = ("T", "t")


@dataclass(frozen=True)
class Standstill:
    """A part that does not move.

    :param part: L0, L1, L2, the VMM, or an agent of theirs.
    :param how: what shows it.
    :param held: somebody holds it (a stopped process, a paused machine, an agent beside a kernel that lives);
        what was injected cannot be the reason. Else its kernel or its emulator may have hung by itself.
    """

    part: str
    how: str
    held: bool

    def __str__(self) -> str:
        return f"{self.part} stands still: {self.how}"


async def of(world: World) -> Standstill | None:
    """The lowest part that stands still; None if all of them answer, or are gone."""
    ground, l1, vmm, monitor, l2 = await asyncio.gather(
        world.ground(),
        _machine(world.l1, world.ground_qga),
        _vmm(world),
        paused("L2", world.l2_qmp, "the VMM", "its monitor"),
        _machine(world.l2, world.l2_qga),
    )
    return ground or l1 or vmm or monitor or l2


async def blame(world: World, error: DeadlineError) -> None:
    """Name the part that stands still in the error, if there is one and it is not named yet."""
    if "stands still" not in error.message and (still := await of(world)):
        error.message += f"; {still}"


async def paused(level: str, qmp: Qmp, who: str, what: str) -> Standstill | None:
    """A machine whose emulator holds it, or an emulator whose monitor does not answer.

    :param level: of the machine; ``who`` is its emulator, and ``what`` the monitor's name.
    """
    try:
        status = (await qmp.execute("query-status", within=PATIENCE))["status"]
    except DeadlineError:
        return Standstill(who, f"{what} does not answer", held=False)
    except MachineError:
        return None  # it is gone, which others tell of
    return Standstill(level, f"{who} has paused it", held=True) if status == "paused" else None


async def answers(request: Coroutine[Any, Any, object]) -> bool | None:
    """Whether somebody answers, be it with a refusal; None if the line to them is cut."""
    try:
        await request
    except DeadlineError:
        return False
    except ChannelError as error:
        return None if type(error) is ChannelError else True
    return True


async def _machine(agent: Agent, qga: Qga | None) -> Standstill | None:
    """A machine neither of whose agents answers, or our agent if only that one does not."""
    if not agent.connected:
        return None
    ours, theirs = await asyncio.gather(
        answers(agent.request("clock", within=PATIENCE)),
        answers(qga.execute("guest-ping", within=PATIENCE)) if qga else asyncio.sleep(0, None),
    )
    if ours is not False:
        return None
    if theirs:
        return Standstill(f"{agent.level}'s agent", "QEMU's guest agent beside it answers", held=True)
    return Standstill(agent.level, "it answers by no way", held=False)


async def _vmm(world: World) -> Standstill | None:
    if not (world.vmm_pid and world.l1.connected):
        return None
    try:
        found = await world.l1.request("alive", pid=world.vmm_pid, within=PATIENCE)
    except MachineError:
        return None
    return Standstill("the VMM", "its process is stopped", held=True) if found["state"] in _STOPPED else None
