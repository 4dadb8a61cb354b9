# SPDX-License-Identifier: Apache-2.0
"""A level that panics in the middle of a fault has failed, and the verdict quotes it."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

import psutil
import pytest

from seabus.errors import MachineError
from seabus.guest.victim import Victim
from seabus.judge.verdict import Verdict
from seabus.plugin import Worlds
from seabus.scenarios import consumed_page
from seabus.session.outcome import Outcome
from seabus.session.stage import Stage
from seabus.world.world import EmulatedWorld, World

pytestmark = pytest.mark.emulated


@pytest.mark.parametrize(("level", "subject"), [("l1", "host"), ("l2", "guest")])
def test_a_panic_is_a_failure_of_that_level(
    seabus_worlds: Worlds, monkeypatch: pytest.MonkeyPatch, level: str, subject: str
) -> None:
    """The panic is planted at the moment the page is touched; how it is found out is real."""
    touch = Stage.touch

    async def crash_and_touch(stage: Stage, victim: Victim, **access: object) -> object:
        getattr(stage.world, level).send(
            "write", path="/proc/sysrq-trigger", data=base64.b64encode(b"c").decode(), create=False
        )
        return await touch(stage, victim, **access)

    monkeypatch.setattr(Stage, "touch", crash_and_touch)
    outcome = seabus_worlds.run(consumed_page.run)
    assert outcome.judgement.verdict is Verdict.FAIL
    assert outcome.receipts
    dead = [finding for finding in outcome.judgement.findings if finding.kind == "dead"]
    assert [finding.subject for finding in dead] == [subject]
    assert "Kernel panic - not syncing" in dead[0].text


def _as_it_is_touched(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, plant: Callable[[World], Awaitable[object]]
) -> Outcome:
    """The main job, in which something is planted at the moment the page is touched."""
    touch = Stage.touch

    async def plant_and_touch(stage: Stage, victim: Victim, **access: object) -> object:
        await plant(stage.world)
        return await touch(stage, victim, **access)

    monkeypatch.setattr(Stage, "touch", plant_and_touch)
    return worlds.run(consumed_page.run)


def test_a_host_that_stays_where_it_panicked(seabus_worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """With panic=0 nothing ends and nobody answers: its console has both lines of the kernel's."""
    monkeypatch.setenv("SEABUS_PATIENCE", "0.5")

    async def crash(world: World) -> None:
        await world.l1.write("/proc/sys/kernel/panic", b"0")
        world.l1.send("write", path="/proc/sysrq-trigger", data=base64.b64encode(b"c").decode(), create=False)

    outcome = _as_it_is_touched(seabus_worlds, monkeypatch, crash)
    assert outcome.judgement.verdict is Verdict.FAIL
    dead = [finding for finding in outcome.judgement.findings if finding.kind == "dead"]
    assert [finding.subject for finding in dead] == ["host"]
    assert "Kernel panic - not syncing" in dead[0].text


_FORGED = b"\n[   99.000000] Kernel panic - not syncing: so it says\n"


def test_a_guest_that_only_says_it_panicked(seabus_worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forge(world: World) -> None:
        await world.l2.write("/dev/ttyAMA0", _FORGED)
        await world.l1.request("kill", pid=world.vmm_pid, signo=9)

    outcome = _as_it_is_touched(seabus_worlds, monkeypatch, forge)
    dead = [finding.text for finding in outcome.judgement.findings if finding.kind == "dead"]
    assert len(dead) == 1
    assert dead[0].startswith("the VMM died")


def test_an_emulator_that_was_killed_is_no_panic(
    seabus_worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forge(world: World) -> None:
        assert isinstance(world, EmulatedWorld)
        await world.l1.write("/dev/ttyAMA0", _FORGED)
        psutil.Process(world.process.pid).kill()

    with pytest.raises(MachineError, match="emulator ended by itself"):
        _as_it_is_touched(seabus_worlds, monkeypatch, forge)
