# SPDX-License-Identifier: Apache-2.0
"""What a stage makes of what it is told: no receipt, no pass; and nobody is judged who is another."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from seabus.errors import ChannelError, CloneError
from seabus.faults.record import MemoryRecord
from seabus.guest.victim import Victim
from seabus.judge.verdict import NotAsExpectedError, Verdict
from seabus.observe.events import Level
from seabus.session import landing
from seabus.session import stage as stages
from seabus.session.outcome import Outcome
from seabus.session.session import Session
from seabus.session.stage import Stage
from seabus.world.world import World
from tests.unit.stand import (
    FAILED,
    PAGE,
    REBOOTED,
    SEEN,
    Planted,
    Stand,
    nothing,
    played,
    stand,
    strike,
    victim,
)

# No receipt, no pass.


def test_a_fault_that_was_reported_passes(tmp_path: Path) -> None:
    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            world.machine("L1").traces(FAILED)

        assert not stage.broke
        await stage.inject(Planted(effect=breaks))
        assert stage.broke

    outcome = played(tmp_path, play)
    assert outcome.judgement.verdict is Verdict.PASS, outcome.judgement
    assert len(outcome.receipts) == 1


def test_a_matching_story_without_an_injection_shows_nothing(tmp_path: Path) -> None:
    async def play(_: Stage, world: Stand) -> None:
        world.machine("L1").traces(FAILED)

    outcome = played(tmp_path, play)
    assert outcome.judgement.verdict is Verdict.UNKNOWN
    assert outcome.judgement.reason == "nothing was injected, so nothing can be shown"


def test_a_negative_control_that_passes_is_seen_to(tmp_path: Path) -> None:
    """It is the plugin's to say that this scenario cannot fail."""

    async def play(_: Stage, world: Stand) -> None:
        world.machine("L1").traces(FAILED)

    assert played(tmp_path, play, injecting=False).judgement.verdict is Verdict.PASS


def test_a_fault_whose_error_the_test_swallows_is_no_pass(tmp_path: Path) -> None:
    async def play(stage: Stage, world: Stand) -> None:
        async def fails() -> None:
            raise ChannelError("the channel broke")

        with pytest.raises(ChannelError):
            await stage.inject(Planted(effect=fails))
        world.machine("L1").traces(FAILED)

    judgement = played(tmp_path, play).judgement
    assert (judgement.verdict, judgement.reason) == (
        Verdict.ERROR,
        "injection lost: 1 of 1 faults left no receipt",
    )


@pytest.mark.parametrize(("dealt_with", "verdict"), [(1, Verdict.ERROR), (2, Verdict.PASS)])
def test_what_comes_late_of_one_fault_is_no_receipt_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dealt_with: int, verdict: Verdict
) -> None:
    """Both are of one page; what the kernel does to it for the first comes when the second is put in."""
    monkeypatch.setattr(landing, "STEP", 0.5)

    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            for _ in range(dealt_with):
                world.machine("L1").traces(FAILED)

        await stage.inject(Planted(effect=nothing, told=True))
        await stage.inject(Planted(effect=breaks))

    async def run() -> Outcome:
        async with Stage.open(world := stand(tmp_path)) as stage:
            await play(stage, world)
            again = dataclasses.replace(SEEN, name="again", optional=True)
            return await stage.finish([SEEN, again])

    judgement = asyncio.run(run()).judgement
    assert judgement.verdict is verdict, judgement


def test_a_guest_that_dies_of_a_deed_is_judged_by_its_test(tmp_path: Path) -> None:
    """Not at the injection, before the test could say what it expects."""

    async def dies() -> None:
        await session.stage.deaths.silent("L2")

    @contextlib.asynccontextmanager
    async def opening() -> AsyncIterator[World]:
        yield stand(tmp_path)

    with Session.over(opening()) as session:
        assert session.inject(Planted(effect=dies, level="L2")) is None
        with pytest.raises(NotAsExpectedError, match="the guest fell silent"):
            session.expect(SEEN)


def test_a_guest_that_dies_of_a_deed_is_judged(tmp_path: Path) -> None:
    """Nobody is left to say that it was done: what is seen of the death is no lost injection."""

    async def play(stage: Stage, world: Stand) -> None:
        async def dies() -> None:
            await stage.deaths.silent("L2")

        started = time.monotonic()
        await stage.inject(Planted(effect=dies, level="L2"))
        assert time.monotonic() - started < 4  # one rest of its console

    judgement = played(tmp_path, play).judgement
    assert judgement.verdict is Verdict.FAIL, judgement
    assert judgement.findings[0].kind == "dead"


def test_a_loop_that_no_signal_ends_is_stopped_and_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "STEP", 0.1)
    tasks: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def looping(self: Victim, **_: object) -> AsyncIterator[SimpleNamespace]:
        tasks.append(asyncio.create_task(asyncio.sleep(3600)))
        yield SimpleNamespace(victim=self, task=tasks[-1])

    monkeypatch.setattr(Victim, "looping", looping)

    async def play(stage: Stage, world: Stand) -> None:
        await stage.inject(Planted(effect=nothing, told=True))
        async with stage.looping([victim(world, "L2")]):
            pass

    assert played(tmp_path, play).judgement.findings[0].kind == "missing"
    assert tasks[0].cancelled()


def test_a_deed_is_an_injection_with_its_own_receipt(tmp_path: Path) -> None:
    async def run() -> Outcome:
        world = stand(tmp_path)
        async with Stage.open(world) as stage:
            await stage.inject(strike(stage, victim(world, "L2")))
            world.machine("L1").traces(FAILED)
            return await stage.finish([SEEN])

    outcome = asyncio.run(run())
    assert outcome.judgement.verdict is Verdict.PASS, outcome.judgement
    assert [str(receipt) for receipt in outcome.receipts] == ["L2 victim reports hwpoison went through"]


# Nobody is judged who is another than was handed out.


@pytest.mark.parametrize("level", ["L1", "L2"])
def test_a_machine_that_rebooted_gets_no_verdict(tmp_path: Path, level: Level) -> None:
    async def play(_: Stage, world: Stand) -> None:
        world.machine(level).hello = REBOOTED

    with pytest.raises(CloneError, match=f"{level} rebooted before the verdict"):
        played(tmp_path, play)


def test_each_machine_is_asked_once(tmp_path: Path) -> None:
    async def run() -> None:
        world = stand(tmp_path)
        async with Stage.open(world) as stage:
            await stage.finish([])
        levels: tuple[Level, ...] = ("L1", "L2")
        for level in levels:
            asked = [asked for verb, asked in world.machine(level).asked if verb == "hello"]
            assert asked == [{}]

    asyncio.run(run())


# Chance has a seed.


def test_the_same_seed_draws_the_same_records(tmp_path: Path) -> None:
    async def drawn(seed: int | None) -> tuple[int | None, list[str]]:
        async with Stage.open(stand(tmp_path), seed=seed) as stage:
            nonces = [str(MemoryRecord(address=PAGE).nonce) for _ in range(3)]
            return (await stage.finish([])).seed, nonces

    seed, nonces = asyncio.run(drawn(None))
    assert seed is not None
    assert len(set(nonces)) == 3
    assert asyncio.run(drawn(seed)) == (seed, nonces)
    assert asyncio.run(drawn(seed + 1))[1] != nonces


def test_a_session_hands_its_seed_to_its_own_thread(tmp_path: Path) -> None:
    @contextlib.asynccontextmanager
    async def opening() -> AsyncIterator[World]:
        yield stand(tmp_path)

    def drawn() -> list[str]:
        with Session.over(opening(), seed=7) as session:
            assert session.seed == 7
            made = [str(MemoryRecord(address=PAGE).nonce)]

            async def in_its_loop() -> str:
                return str(MemoryRecord(address=PAGE).nonce)

            return [*made, session.run(in_its_loop())]

    first = drawn()
    assert len(set(first)) == 2  # one source, whichever thread or task draws
    assert drawn() == first
