# SPDX-License-Identifier: Apache-2.0
"""Restoring: how a frozen world comes to life as a clone, and how the clone proves that it did.

Every clone must show a living timer on each CPU of L1, and in L2, before anybody gets it: see
:mod:`seabus.world.freeze` for what can be wrong with them.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

from seabus.channel.agent import Agent
from seabus.errors import CloneError, DeadlineError, MachineError, SeabusError
from seabus.images.store import note_use
from seabus.machine import ports
from seabus.patience import CLONE, deadline
from seabus.world import freeze, made_by, migration
from seabus.world.freeze import Frozen
from seabus.world.world import EmulatedWorld, emulated

#: Ids of requests made before the freeze stay below this.
FIRST_ID: Final = 1 << 20


@contextlib.asynccontextmanager
async def cloned(
    frozen: Frozen, *, artefacts: Path, purpose: str, keepable: bool = False, freezable: bool = False
) -> AsyncIterator[EmulatedWorld]:
    """A fresh, living world for the time of the body.

    :param keepable: it may be kept beyond that (:meth:`EmulatedWorld.keep`).
    :param freezable: its memory may be written to a file.
    :raises CloneError: the template was made by other parts than these and was not started, does not load, or
        the clone is not alive in every part.
    """
    made_by.check(frozen.notes.get("made_by", {}), frozen.parts)
    note_use(frozen.ram.parent)
    async with emulated(
        frozen.parts,
        purpose=purpose,
        ram=frozen.ram,
        artefacts=artefacts,
        boot=None,
        keepable=keepable,
        freezable=freezable,
    ) as world:
        world.notes.update(frozen.notes)
        world.vmm_pid = frozen.notes["vmm_pid"]
        await _load(world, frozen.state)
        await _connect(world)
        if world.config.l1_mode == "vhe":
            await world.l1.request("leap", ns=freeze.LEAP_NS)
        await _prove_alive(world)
        yield world


async def _load(world: EmulatedWorld, state: Path) -> None:
    await migration.load(world.qmp, str(state), freeze.CAPABILITIES, within=CLONE)


async def _connect(world: EmulatedWorld) -> None:
    ours = world.sockets.ours
    first_id = world.notes.get("first_id", FIRST_ID)
    await world.l1.connect(ours[ports.L1_AGENT], first_id=first_id)
    await world.l2.connect(ours[ports.L2_AGENT], first_id=first_id)
    world.l1_qga.attach(ours[ports.L1_QGA])
    world.l2_qga.attach(ours[ports.L2_QGA])
    await world.l2_qmp.connect(ours[ports.L2_QMP], greeted=True)


async def _prove_alive(world: EmulatedWorld) -> None:
    """Timers, identity and randomness of both levels, all asked at once."""
    try:
        async with deadline(CLONE, "the clone to come alive"), asyncio.TaskGroup() as group:
            for agent, level in ((world.l1, "l1"), (world.l2, "l2")):
                group.create_task(_adopted(world, agent, level))
                group.create_task(_tick(agent, world.notes[level]["cpus"]))
    except* SeabusError as errors:
        raise errors.exceptions[0] from None


async def _adopted(world: EmulatedWorld, agent: Agent, level: str) -> None:
    world.notes[level] = await adopt(agent, world.notes[level])


async def adopt(agent: Agent, before: Mapping[str, Any]) -> dict[str, Any]:
    """Give the machine an identity of its own, and see that it resumed and did not reboot.

    :param before: the hello of its agent, when it was last known.
    :return: the same with the nonce that it was given, and the process that keeps it; what
        :mod:`seabus.world.identity` compares.
    :raises CloneError: it is another life, or another machine; or it has no randomness of its own.
    """
    nonce = secrets.token_hex(8)
    seed = base64.b64encode(os.urandom(32)).decode()
    hello = await agent.request("hello", nonce=nonce, seed=seed, within=CLONE)
    if hello["nonce"] != nonce or hello["boot_id"] != before["boot_id"]:
        raise CloneError(f"{agent.level} is not the machine that was frozen: it rebooted")
    if not hello["reseeded"]:
        raise CloneError(f"{agent.level}'s random pool could not be given a seed of its own")
    return {**before, "nonce": nonce, "pid": hello["pid"]}


async def _tick(agent: Agent, cpus: int) -> None:
    """A timer on each CPU must fire."""
    woken: set[int] = set()
    late: MachineError | None = None
    try:
        await agent.request("tick", within=CLONE / 2, on_stream=lambda message: woken.add(message["cpu"]))
    except DeadlineError as error:
        late = error
    if dead := sorted(set(range(cpus)) - woken):
        raise CloneError(
            f"{agent.level}'s timer is dead on CPU {', '.join(map(str, dead))} after the restore",
            hint="docs/findings/0001-el2-timers-not-migrated.md",
        ) from late
    if late:
        raise late
