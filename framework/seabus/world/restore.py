# SPDX-License-Identifier: Apache-2.0
"""Freezing and restoring: how a template comes to life, and how a clone proves that it did.

QEMU does not migrate EL2 timers (``docs/findings/0001-el2-timers-not-migrated.md``). A host kernel in
nVHE mode ticks on an EL1 timer, which is migrated. In VHE mode it ticks on an EL2 timer: after a restore
the kernel believes its timers armed, they are not, and it never arms them anew. So, before the freeze, a
timer on each CPU of L1 is set to a moment of the time of day; in each clone the time of day is set past
that moment, upon which the kernel must program the timer of every such CPU again. Either way a
clone must show a living timer on each CPU of L1, and in L2, before anybody gets it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from seabus.channel.agent import Agent
from seabus.errors import CloneError, MachineError, SeabusError
from seabus.machine import ports
from seabus.patience import CLONE, deadline
from seabus.world.world import World, emulated

if TYPE_CHECKING:
    from seabus.world.template import Template

#: Both ends of a migration need the same.
CAPABILITIES: Final[dict[str, object]] = {
    "capabilities": [
        {"capability": "x-ignore-shared", "state": True},
        {"capability": "events", "state": True},
    ]
}
#: Ids of requests made before the freeze stay below this.
_FIRST_ID: Final = 1 << 20
_REHEARSALS: Final = 2
_ANCHOR_S: Final = 3000
_SECOND_NS: Final = 1_000_000_000


async def quiesce(world: World) -> None:
    """Bring a booted world to rest, ready to be frozen.

    What every clone does first is rehearsed, so that no clone has to fault those pages in.
    """
    for _ in range(_REHEARSALS):
        for agent in (world.l1, world.l2):
            await agent.request("hello")
            await agent.request("tick")
            victim = await agent.request("victim", kind="anon", pages=1)
            await agent.request("touch", victim=victim["victim"], offset=0, op="read", size=8)
            await agent.request("pagemap", pid=victim["pid"], address=victim["address"])
            await agent.request("end", victim=victim["victim"])
    if world.config.l1_mode == "vhe":
        await _anchor_timers(world)


async def _anchor_timers(world: World) -> None:
    """Set a timer on each CPU of L1 to a moment that only :func:`_leap` brings near."""
    world.l1.send("tick", anchored=True, ns=_ANCHOR_S * _SECOND_NS)
    await world.l1.request("clock")  # answered after it: the timers are set


async def _leap(world: World) -> None:
    await world.l1.request("leap", ns=2 * _ANCHOR_S * _SECOND_NS)


@contextlib.asynccontextmanager
async def cloned(template: Template, *, artefacts: Path, purpose: str) -> AsyncIterator[World]:
    """A fresh, living world for the time of the body.

    :raises CloneError: the template does not load, or the clone is not alive in every part.
    """
    async with emulated(
        template.parts, purpose=purpose, ram=template.ram, artefacts=artefacts, boot=None
    ) as world:
        world.notes.update(template.notes)
        world.vmm_pid = template.notes["vmm_pid"]
        await _load(world, template.state)
        await _connect(world)
        if world.config.l1_mode == "vhe":
            await _leap(world)
        await _prove_alive(world)
        yield world


async def _load(world: World, state: Path) -> None:
    with world.qmp.client.listener("MIGRATION") as events:
        await world.qmp.execute("migrate-set-capabilities", CAPABILITIES)
        await world.qmp.execute("migrate-incoming", {"uri": f"file:{state}", "exit-on-error": False})
        async with deadline(CLONE, "the frozen world to load"):
            status = ""
            while status not in ("completed", "failed"):
                event: Mapping[str, Any] = await events.get()
                status = event["data"]["status"]
    if status == "failed":
        facts = await world.qmp.execute("query-migrate")
        raise CloneError(
            f"the template does not load: {facts.get('error-desc', 'no reason given')}",
            hint="seabus image clean --templates",
        )
    await world.qmp.execute("cont")
    # `cont` answers success after a failed load, too; only the run state tells.
    run_state = (await world.qmp.execute("query-status"))["status"]
    if run_state != "running":
        raise CloneError(f"the clone is `{run_state}`, not `running`, after its load")


async def _connect(world: World) -> None:
    ours = world.sockets.ours
    await world.l1.connect(ours[ports.L1_AGENT], first_id=_FIRST_ID)
    await world.l2.connect(ours[ports.L2_AGENT], first_id=_FIRST_ID)
    world.l1_qga.attach(ours[ports.L1_QGA])
    world.l2_qga.attach(ours[ports.L2_QGA])
    await world.l2_qmp.connect(ours[ports.L2_QMP], greeted=True)


async def _prove_alive(world: World) -> None:
    """Timers, identity and randomness of both levels, all asked at once."""
    try:
        async with deadline(CLONE, "the clone to come alive"), asyncio.TaskGroup() as group:
            for agent, level in ((world.l1, "l1"), (world.l2, "l2")):
                group.create_task(_adopt(agent, world.notes[level]))
                group.create_task(_tick(agent, world.notes[level]["cpus"]))
    except* SeabusError as errors:
        raise errors.exceptions[0] from None


async def _adopt(agent: Agent, before: Mapping[str, Any]) -> None:
    """Give the machine an identity of its own, and see that it resumed and did not reboot."""
    nonce = secrets.token_hex(8)
    seed = base64.b64encode(os.urandom(32)).decode()
    hello = await agent.request("hello", nonce=nonce, seed=seed, within=CLONE)
    if hello["nonce"] != nonce or hello["boot_id"] != before["boot_id"]:
        raise CloneError(f"{agent.level} is not the machine that was frozen: it rebooted")
    if not hello["reseeded"]:
        raise CloneError(f"{agent.level}'s random pool could not be given a seed of its own")


async def _tick(agent: Agent, cpus: int) -> None:
    """A timer on each CPU must fire."""
    woken: set[int] = set()
    try:
        await agent.request("tick", within=CLONE / 2, on_stream=lambda message: woken.add(message["cpu"]))
    except MachineError as error:
        dead = sorted(set(range(cpus)) - woken)
        raise CloneError(
            f"{agent.level}'s timer is dead on CPU {', '.join(map(str, dead))} after the restore",
            hint="docs/findings/0001-el2-timers-not-migrated.md",
        ) from error
