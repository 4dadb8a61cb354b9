# SPDX-License-Identifier: Apache-2.0
"""What SSH costs: benchmarks on one emulated lab host. Part of ``ci/bench``."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

from seabus.faults.poison import HardOffline
from seabus.images import guests
from seabus.images.store import Store
from seabus.judge.verdict import Verdict
from seabus.lab import inventory
from seabus.lab.embedded import EmbeddedLeases
from seabus.lab.emulated import EmulatedLab, clear
from seabus.lab.ssh import SshHost
from seabus.lab.tenancy import Tenancy
from seabus.lab.world import LabWorld, on_host
from seabus.machine.config import WorldConfig
from seabus.scenarios import consumed_page
from seabus.world import restore, template
from seabus.world.world import World


def lab_connect_s(folder: Path) -> list[float]:
    """TCP connection to authenticated SSH session."""

    async def measure() -> list[float]:
        found = []
        async with _tenancy(folder) as tenancy:
            for _ in range(20):
                started = time.monotonic()
                ssh = await SshHost.connect(tenancy.host)
                found.append(time.monotonic() - started)
                await ssh.close()
        return found

    return asyncio.run(measure())


def lab_exec_s(folder: Path) -> list[float]:
    """A command on the host that does nothing, to its exit status."""

    async def measure() -> list[float]:
        found = []
        async with _tenancy(folder) as tenancy:
            for _ in range(50):
                started = time.monotonic()
                await tenancy.ssh.run("true")
                found.append(time.monotonic() - started)
        return found

    return asyncio.run(measure())


def lab_event_s(folder: Path) -> list[float]:
    """A mark written into the host's trace by our agent, to its arrival as an event."""

    async def measure(world: LabWorld) -> list[float]:
        from seabus.session.stage import Stage

        found = []
        async with Stage.open(world) as stage:
            for _ in range(50):
                started = time.monotonic()
                await stage.witnesses["L1"].caught_up()
                found.append(time.monotonic() - started)
        return found

    async def play() -> list[float]:
        async with _tenancy(folder) as tenancy, _world(tenancy, folder) as world:
            return await measure(world)

    return asyncio.run(play())


def lab_world_ready_s(folder: Path) -> list[float]:
    """A guest of one's own on a host that has booted one before."""

    async def play() -> list[float]:
        found = []
        async with _tenancy(folder) as tenancy:
            async with _world(tenancy, folder):
                pass
            for _ in range(8):
                started = time.monotonic()
                async with _world(tenancy, folder):
                    found.append(time.monotonic() - started)
        return found

    return asyncio.run(play())


def lab_fault_to_verdict_s(folder: Path) -> list[float]:
    """The core scenario over SSH: injection to verdict."""

    async def play() -> list[float]:
        found = []
        async with _tenancy(folder) as tenancy:
            for _ in range(10):
                async with _world(tenancy, folder) as world:
                    outcome = await consumed_page.run(world)
                    if outcome.judgement.verdict is not Verdict.PASS:
                        raise RuntimeError(f"a fault ended in {outcome.judgement}: {folder}")
                    found.append(outcome.seconds["fault_to_verdict"])
        return found

    return asyncio.run(play())


def lab_over_emulated(folder: Path) -> list[float]:
    """Median over SSH divided by that of a clone beside it, of ten pages each taken off line, in turn."""
    frozen = template.ensure(WorldConfig(), store=Store(), artefacts=folder, say=lambda _: None)

    async def play() -> list[float]:
        found: dict[str, list[float]] = {"lab": [], "clone": []}
        async with _tenancy(folder) as tenancy:
            for _ in range(10):
                async with _world(tenancy, folder) as world:
                    found["lab"].append(await _offlined_s(world))
                async with restore.cloned(frozen, artefacts=folder, purpose="bench") as clone:
                    found["clone"].append(await _offlined_s(clone))
        return [statistics.median(found["lab"]) / statistics.median(found["clone"])]

    return asyncio.run(play())


async def _offlined_s(world: World) -> float:
    """The core scenario with a fault that both kinds of world can be given."""
    outcome = await consumed_page.run(world, fault_at=lambda page: HardOffline(address=page))
    if outcome.judgement.verdict is not Verdict.PASS:
        raise RuntimeError(f"a fault ended in {outcome.judgement}: {world.artefacts}")
    return outcome.seconds["fault_to_verdict"]


@contextlib.asynccontextmanager
async def _tenancy(folder: Path) -> AsyncIterator[Tenancy]:
    async with EmulatedLab.open(clear(folder / "lab"), ["lab1"], say=lambda _: None):
        lab = inventory.load(folder / "lab" / "lab.toml")
        images = guests.get(Store(), say=lambda _: None)
        leases = EmbeddedLeases(lab, folder=folder / "leases")
        tenancy = await Tenancy.begin(
            lab, leases, "lab1", images=images, config=WorldConfig(), say=lambda _: None
        )
        try:
            yield tenancy
        finally:
            await tenancy.give_back()


@contextlib.asynccontextmanager
async def _world(tenancy: Tenancy, folder: Path) -> AsyncIterator[LabWorld]:
    place = folder / f"world-{tenancy.worlds}"
    place.mkdir()
    async with on_host(tenancy, WorldConfig(), artefacts=place, say=lambda _: None) as world:
        yield world
