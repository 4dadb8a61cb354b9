# SPDX-License-Identifier: Apache-2.0
"""Leave to break a host is asked where it is broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from seabus.errors import CapabilityError, MachineError
from seabus.faults.einj import Einj
from seabus.faults.fault import Fault
from seabus.faults.poison import HardOffline, HwpoisonInject, SoftOffline
from seabus.guest.victim import Victim
from seabus.observe.events import Level
from seabus.session import stuck
from seabus.session.stage import Stage
from tests.unit.stand import (
    PAGE,
    Stand,
    stand,
    strike,
    victim,
)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (HardOffline(address=PAGE), "hard-offline"),
        (HwpoisonInject(address=PAGE), "hwpoison-inject"),
        (SoftOffline(address=PAGE), "soft-offline"),
        (Einj(address=PAGE, trigger=False), "einj"),
    ],
)
def test_a_host_that_must_not_be_broken_is_not(tmp_path: Path, fault: Fault, kind: str) -> None:
    """Neither through a stage nor without one."""

    async def run(allowed: tuple[str, ...]) -> Stand:
        world = stand(tmp_path, allowed)
        await fault.put_in(world)
        return world

    async def refused() -> None:
        world = stand(tmp_path, ())
        with pytest.raises(CapabilityError, match=f"does not allow {kind}"):
            await fault.put_in(world)
        async with Stage.open(world) as stage:
            with pytest.raises(CapabilityError, match=f"does not allow {kind}"):
                await stage.inject(fault)
            assert not stage.broke
        assert world.machine("L1").written() == []

    asyncio.run(refused())
    world = asyncio.run(run((kind,)))
    assert world.permitted == [(kind, PAGE.pfn)]
    assert world.machine("L1").written() != []
    assert world.broke


@pytest.mark.parametrize("make", [HardOffline, HwpoisonInject, SoftOffline, Einj])
def test_nobody_says_that_a_page_of_the_host_is_elsewhere(make: Callable[..., Fault]) -> None:
    with pytest.raises(TypeError, match="level"):
        make(address=PAGE, level="L0")


@pytest.mark.parametrize("advice", ["hwpoison", "soft-offline"])
@pytest.mark.parametrize("how", ["strike", "touch", "gets stuck"])
def test_a_deed_that_breaks_the_host_needs_leave(tmp_path: Path, how: str, advice: str) -> None:
    async def deed(stage: Stage, of: Victim) -> None:
        if how == "strike":
            await stage.inject(strike(stage, of))
        elif how == "touch":
            await stage.touch(of, op="madvise", advice=advice)
        else:
            await stuck.gets_stuck(stage, of, op="madvise", advice=advice)

    async def run() -> None:
        for level, allowed in (("L1", ()), ("L1", ("madvise",)), ("L2", ())):
            world = stand(tmp_path, allowed)
            async with Stage.open(world) as stage:
                of = victim(world, cast(Level, level))
                if level == "L1" and not allowed:
                    with pytest.raises(CapabilityError, match="does not allow madvise"):
                        await deed(stage, of)
                    assert (world.machine("L1").written(), stage.broke) == ([], False)
                else:
                    await deed(stage, of)
                    assert (world.machine(cast(Level, level)).written(), stage.broke) == (["touch"], True)
            assert world.permitted == ([("madvise", None)] if level == "L1" else [])

    asyncio.run(run())


@pytest.mark.parametrize("errno", [1, 22])
def test_advice_that_was_refused_is_no_injection(tmp_path: Path, errno: int) -> None:
    async def run() -> None:
        world = stand(tmp_path, ())
        world.machine("L2").touched = {"errno": errno}
        async with Stage.open(world) as stage:
            with pytest.raises(MachineError, match="nothing was injected: L2's kernel refused"):
                await stage.inject(strike(stage, victim(world, "L2")))

    asyncio.run(run())


def test_a_load_needs_no_leave(tmp_path: Path) -> None:
    async def run() -> None:
        world = stand(tmp_path, ())
        async with Stage.open(world) as stage:
            await stage.touch(victim(world, "L1"), op="read")
            await stuck.gets_stuck(stage, victim(world, "L1"), op="read")
            assert not stage.broke
        assert world.permitted == []

    asyncio.run(run())
