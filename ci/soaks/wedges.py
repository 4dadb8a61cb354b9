# SPDX-License-Identifier: Apache-2.0
"""One part of a world stands still: the run says which, in time."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from seabus.errors import SeabusError
from seabus.patience import STEP, scale
from seabus.scenarios import consumed_page
from seabus.session.stage import Stage
from seabus.world import restore
from seabus.world.world import EmulatedWorld, World
from soaks.row import Row, Trial
from soaks.worlds import a_template

_MORE_S: Final = 5.0
#: A step may wait for the guest, and then ask once whether the VMM and the host are there.
_LATEST_S: Final = 2 * STEP


async def _l0(world: EmulatedWorld) -> None:
    os.kill(world.process.pid, signal.SIGSTOP)


async def _l1(world: EmulatedWorld) -> None:
    await world.qmp.execute("stop")


async def _vmm(world: EmulatedWorld) -> None:
    await world.l1.run("kill", "-STOP", str(world.vmm_pid))


async def _l2(world: EmulatedWorld) -> None:
    await world.l2_qmp.execute("stop")


async def _l1_agent(world: EmulatedWorld) -> None:
    pid = (await world.l1.request("hello"))["pid"]
    await world.l1.spawn("/bin/sh", "-c", f"sleep 0.05; kill -STOP {pid}", output="/dev/null")
    await asyncio.sleep(0.5)


async def _l2_agent(world: EmulatedWorld) -> None:
    pid = (await world.l2.request("hello"))["pid"]
    await world.l2.spawn("/bin/sh", "-c", f"sleep 0.05; kill -STOP {pid}", output="/dev/null")
    await asyncio.sleep(0.5)


#: What is stopped, by the name that the error must have for it.
_PARTS: Final[dict[str, Callable[[EmulatedWorld], Awaitable[None]]]] = {
    "L0": _l0,
    "L1": _l1,
    "the VMM": _vmm,
    "L2": _l2,
    "L1's agent": _l1_agent,
    "L2's agent": _l2_agent,
}


async def _wedged(trial: Trial) -> str:
    """Before the fault, or after it was put in and before it is consumed."""
    part = trial.kind
    late = trial.dice.random() < 0.5
    begun = time.monotonic()
    try:
        async with restore.cloned(trial.shared, artefacts=trial.folder, purpose="soak") as world:
            if not late:
                await _PARTS[part](world)
            begun = time.monotonic()
            if late:
                verdict = await stopped_midway(world, partial(_PARTS[part], world))
            else:
                verdict = (await consumed_page.run(world)).judgement.verdict
    except SeabusError as error:
        spent = time.monotonic() - begun
        latest = _LATEST_S * scale() + _MORE_S
        if error.exit_code != 3:
            return f"{part}: told as {type(error).__name__}: {error.message}"
        if f"; {part} stands still" not in error.message:
            return f"{part}: not named: {error.message}"
        return f"{part}: told after {spent:.0f} s" if spent > latest else ""
    return f"{part} stood still, and the verdict is {verdict}"


async def stopped_midway(world: World, stop: Callable[[], Awaitable[None]]) -> str:
    """Play the core scenario, with something stopped between the injection and the touch; the verdict."""
    async with Stage.open(world) as stage:
        victim = await stage.victim()
        page = await stage.pages.locate(victim)
        fault = world.fault_at(page.host_physical)
        await stage.inject(fault)
        await stage.until("L1", "memory_failure", pfn=page.host_physical.pfn)
        await stop()
        await stage.touch(victim, op="read")
        outcome = await stage.finish(consumed_page.expectations(fault, page, victim, world))
    return outcome.judgement.verdict


ROWS: Final = (
    Row(
        name="wedges",
        promise="a part that stands still is named by an `error` within two steps' deadlines and 5 s",
        kinds=tuple(_PARTS),
        each=50,
        lanes=6,
        trial=_wedged,
        shares=a_template,
    ),
)
