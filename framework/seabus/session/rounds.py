# SPDX-License-Identifier: Apache-2.0
"""The round before a verdict: whoever should be well is asked, and each witness says what it has seen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from seabus.errors import DeadlineError
from seabus.observe.events import Level
from seabus.world import identity

if TYPE_CHECKING:
    from seabus.session.stage import Stage

_MACHINES: Final[tuple[Level, ...]] = ("L1", "L2")


async def look_around(stage: Stage) -> None:
    """Go round; whoever is not well is an event.

    :raises CloneError: a machine is not the one that was handed out: what was seen is of two.
    :raises MachineError: somebody does not answer.
    """
    await stage.look_after_vmm()
    await asyncio.gather(*(_is_the_same(stage, level) for level in _MACHINES if not stage.is_dead(level)))
    for bystander in stage.bystanders:
        level = stage.level_of(bystander)
        if stage.is_dead(level):
            continue
        touching = asyncio.ensure_future(bystander.touch(op="read"))
        if await stage.while_vmm_lives(touching) and not (beside := await touching).intact:
            text = f"a page beside the fault was hit: {beside.outcome}"
            stage.add(level, "bystander", "bystander", {"who": "bystander"}, text)
    await asyncio.gather(
        *(witness.caught_up() for level, witness in stage.witnesses.items() if not stage.is_dead(level)),
        _look_after_guest(stage),
    )


async def _is_the_same(stage: Stage, level: Level) -> None:
    asking = asyncio.ensure_future(identity.check(stage.agent(level), stage.world.notes[level.lower()]))
    if not await stage.while_vmm_lives(asking):
        return
    late = isinstance(asking.exception(), DeadlineError)
    if level == "L2" and late and await stage.deaths.has_died(level):
        return
    await asking


async def _look_after_guest(stage: Stage) -> None:
    """Whether the VMM lives and its guest runs."""
    if not await stage.look_after_vmm():
        return
    status = (await stage.world.l2_qmp.execute("query-status"))["status"]
    if status != "running":
        stage.deaths.dead.add("L2")
        stage.add("L2", "monitor", "silent", {"who": "guest", "status": status}, f"the guest is {status}")
    for line in await stage.vmm.complaints():
        stage.add("L1", "vmm", "complaint", {"what": line}, f"the VMM says: {line}")
