# SPDX-License-Identifier: Apache-2.0
"""Clones are alive, themselves, and alone; their channels work; nothing of them stays behind."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import psutil
import pytest

from seabus.channel.agent import Agent
from seabus.channel.interface import Commands
from seabus.errors import AgentError, BootError, CloneError, DeadlineError, MachineError
from seabus.guest.victim import Victim
from seabus.machine import run_folder
from seabus.machine.config import WorldConfig
from seabus.observe import clock
from seabus.observe.events import Recorder
from seabus.observe.witness import TraceWitness
from seabus.plugin import Worlds
from seabus.session.stage import Stage
from seabus.world import restore
from seabus.world.world import EmulatedWorld
from tests.conformance import must_conform

pytestmark = pytest.mark.emulated


def test_two_clones_share_nothing(seabus_worlds: Worlds) -> None:
    """Random numbers differ, and what one writes the other does not see."""
    template = seabus_worlds.template()
    before = template.ram.stat()

    async def play() -> None:
        async with (
            restore.cloned(template, artefacts=seabus_worlds.artefacts, purpose="pytest") as one,
            restore.cloned(template, artefacts=seabus_worlds.artefacts, purpose="pytest") as two,
        ):
            for first, second in ((one.l1, two.l1), (one.l2, two.l2)):
                random = [
                    (await agent.run("head", "-c", "16", "/dev/urandom")).stdout for agent in (first, second)
                ]
                assert random[0] != random[1]
                await first.write("/run/mark", b"mine")
                with pytest.raises(AgentError) as missing:
                    await second.read("/run/mark")
                assert missing.value.errno == 2

    asyncio.run(play())
    after = template.ram.stat()
    assert (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)


@pytest.mark.parametrize("level", ["l1", "l2"])
@pytest.mark.parametrize("channel", ["agent", "qga"])
def test_both_channels_do_the_same(seabus_worlds: Worlds, level: str, channel: str) -> None:
    async def play(world: EmulatedWorld) -> None:
        commands: Commands = getattr(world, level if channel == "agent" else f"{level}_qga")
        await must_conform(commands)

    seabus_worlds.run(play)


def test_the_guest_agent_of_qemu_brings_ours_in(seabus_worlds: Worlds) -> None:
    """A guest that a user brought has only QEMU's agent: enough to install and start ours."""

    async def play(world: EmulatedWorld) -> None:
        program = await world.l2.read("/usr/bin/seabus-agent")
        await world.l2_qga.write("/run/brought-agent", program, mode=0o755)
        hello = b'{"id": 1, "do": "hello"}\n'
        answer = await world.l2_qga.run("/run/brought-agent", "--stdio", stdin=hello)
        assert b'"agent":"seabus"' in answer.stdout.replace(b" ", b"")

    seabus_worlds.run(play)


def test_an_agent_that_dies_comes_back(seabus_worlds: Worlds) -> None:
    async def play(world: EmulatedWorld) -> None:
        before = int((await world.l2.request("hello"))["pid"])
        await world.l2_qga.run("kill", "-9", str(before))

        async def another() -> int:
            """Asked until somebody new answers; a request in between reaches nobody."""
            while True:
                with contextlib.suppress(DeadlineError):
                    pid = int((await world.l2.request("hello", within=1))["pid"])
                    if pid != before:
                        return pid

        assert await asyncio.wait_for(another(), 30)

    seabus_worlds.run(play)


def test_victims_own_their_pages(seabus_worlds: Worlds) -> None:
    async def play(world: EmulatedWorld) -> None:
        victim = await Victim.make(world.l2, pages=3)
        assert victim.length == 3 * 4096
        for offset, size in ((0, 8), (4095, 1), (8192, 4)):
            assert (await victim.touch(offset=offset, size=size)).intact
        assert (await victim.touch(op="write")).intact
        assert (await victim.touch()).intact
        beyond = await Victim.make(world.l2, kind="beyond-eof")
        signal = (await beyond.touch()).signal
        assert signal is not None
        assert (signal.signo, signal.code, signal.address) == (7, 2, int(beyond.address))

    seabus_worlds.run(play)


def test_clocks_are_aligned_to_milliseconds(seabus_worlds: Worlds) -> None:
    async def play(world: EmulatedWorld) -> None:
        for agent in (world.l1, world.l2):
            first = await clock.align(agent, exchanges=8)
            second = await clock.align(agent, exchanges=8)
            assert first.error_ns < 50_000_000
            apart = abs(first.offset_ns - second.offset_ns)
            assert apart <= first.error_ns + second.error_ns

    seabus_worlds.run(play)


@pytest.mark.parametrize("level", ["l1", "l2"])
@pytest.mark.parametrize("what", ["boot_id", "nonce"])
def test_another_machine_at_the_end_gets_no_verdict(seabus_worlds: Worlds, level: str, what: str) -> None:
    """It is the same one in truth: what was noted of it is changed."""

    async def play(world: EmulatedWorld) -> None:
        async with Stage.open(world) as stage:
            await stage.finish([])
            world.notes[level] |= {what: "another"}
            await stage.finish([])

    with pytest.raises(CloneError, match=rf"{level.upper()} (rebooted before the verdict|is another clone)"):
        seabus_worlds.run(play)


@pytest.mark.parametrize("level", ["L1", "L2"])
def test_a_kernels_complaint_is_seen_as_trouble(seabus_worlds: Worlds, level: str) -> None:
    """The judge's "no oops" rests on this: a planted one must arrive."""

    async def play(world: EmulatedWorld) -> None:
        agent: Agent = world.l1 if level == "L1" else world.l2
        recorder = Recorder()
        witness = TraceWitness(level, agent, recorder, world.artefacts / "trace")  # type: ignore[arg-type]
        async with witness.watching():
            await agent.write("/dev/kmsg", b"<0>BUG: unable to handle planted fault\n")
            await witness.caught_up()
        assert [event.kind for event in recorder.events if event.kind != "note"] == ["trouble"]

    seabus_worlds.run(play)


def test_an_emulator_that_dies_is_named(seabus_worlds: Worlds) -> None:
    async def play(world: EmulatedWorld) -> None:
        psutil.Process(world.process.pid).kill()
        await world.process.ended()
        await world.l2.request("clock", within=5)

    with pytest.raises(MachineError, match="emulator ended by itself"):
        seabus_worlds.run(play)


def test_a_kernel_that_does_not_boot(
    seabus_worlds: Worlds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a kernel's header and nothing else: the milestone is named, the console quoted."""
    broken = tmp_path / "Image"
    broken.write_bytes(bytes(56) + b"ARM\x64" + bytes(1 << 20))
    monkeypatch.setenv("SEABUS_PATIENCE", "0.3")
    with pytest.raises(BootError, match=r"L1 did not reach the milestone `kernel`") as caught:
        seabus_worlds.template(WorldConfig(l1_kernel=broken))
    assert "UEFI firmware" in caught.value.details["L1 console"]


def test_nothing_is_left(seabus_worlds: Worlds) -> None:
    pids = []

    async def play(world: EmulatedWorld) -> None:
        pids.append((world.process.pid, world.run_folder))
        raise RuntimeError("a test that fails")

    with pytest.raises(RuntimeError, match="a test that fails"):
        seabus_worlds.run(play)
    ((pid, folder),) = pids
    assert not psutil.pid_exists(pid)
    assert not folder.exists()
    assert all(run.folder != folder for run in run_folder.running())
