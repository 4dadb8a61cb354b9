# SPDX-License-Identifier: Apache-2.0
"""A panic has two witnesses, and a machine that stays silent a console."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from seabus.errors import ChannelError, MachineError
from seabus.judge.verdict import Verdict
from seabus.observe import last_words
from seabus.observe.events import Level
from seabus.session.stage import Stage
from tests.unit.stand import END, FAILED, PANIC, Planted, Stand, dead, played, victim


@pytest.mark.parametrize(
    ("text", "status", "believed"),
    [
        (PANIC, 0, True),  # it restarts, and its emulator ends
        (PANIC, -9, False),  # somebody killed the emulator; a process had written that
        (PANIC, None, False),  # the channel broke, for reasons of ours
        (PANIC + END, None, True),  # it stays where it panicked
        (PANIC + END.replace("[   12.500000] ", ""), None, False),  # no printk() wrote that
        ("", 0, False),
    ],
    ids=["restarts", "killed", "runs", "stays", "forged", "says nothing"],
)
def test_the_hosts_panic_has_a_second_witness(
    tmp_path: Path, text: str, status: int | None, believed: bool
) -> None:
    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            world.console("L1", text)
            world.machine("L1").traces(FAILED)
            world.machine("L1").broken = ChannelError("L1's agent channel was closed by the far side")
            if status is not None:
                world.emulator().ends(status)

        await stage.inject(Planted(effect=breaks, told=True))

    if believed:
        outcome = played(tmp_path, play)
        assert outcome.judgement.verdict is Verdict.FAIL
        assert [finding.text for finding in dead(outcome)] == [
            "the host panicked: Kernel panic - not syncing: Fatal hardware error"
        ]
    else:
        with pytest.raises(ChannelError, match="closed by the far side"):
            played(tmp_path, play)


@pytest.mark.parametrize(
    ("text", "exit", "signal", "told"),
    [
        (PANIC, 0, None, "the guest panicked: Kernel panic - not syncing: Fatal hardware error"),
        (PANIC, None, 6, "the VMM died: without a word"),
        (PANIC, 1, None, "the VMM died: without a word"),
        (PANIC, None, None, "the VMM died: without a word"),
        ("", 0, None, "the VMM died: without a word"),
    ],
    ids=["restarts", "aborts", "gives up", "unknown", "says nothing"],
)
def test_the_guests_panic_has_a_second_witness(
    tmp_path: Path,
    text: str,
    exit: int | None,  # noqa: A002 - the agent's word
    signal: int | None,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEABUS_PATIENCE", "0.1")

    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            world.console("L2", text)
            ended = {"exit": exit, "signal": signal}
            world.machine("L1").vmm = {
                "alive": False,
                **{name: value for name, value in ended.items() if value is not None},
            }
            world.machine("L1").traces(FAILED)

        await stage.inject(Planted(effect=breaks, told=True))

    assert [finding.text for finding in dead(played(tmp_path, play))] == [told]


@pytest.mark.parametrize("level", ["L1", "L2"])
def test_what_a_console_showed_before_is_of_another_time(tmp_path: Path, level: Level) -> None:
    """A console server begins with what it has kept."""
    with (tmp_path / f"console-{level.lower()}.log").open("w") as file:
        file.write(PANIC + END)

    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            world.machine("L1").traces(FAILED)
            if level == "L1":
                world.machine("L1").broken = ChannelError("closed")
                world.emulator().ends(0)
            else:
                world.machine("L1").vmm = {"alive": False, "exit": 0}

        await stage.inject(Planted(effect=breaks, told=True))

    if level == "L1":
        with pytest.raises(ChannelError):
            played(tmp_path, play)
    else:
        assert [finding.text for finding in dead(played(tmp_path, play))] == ["the VMM died: without a word"]


@pytest.mark.parametrize("when", ["while it is injected", "afterwards"])
@pytest.mark.parametrize("panics", [True, False])
def test_a_host_that_stays_silent_has_a_console(
    tmp_path: Path, when: str, panics: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With panic=0 nothing ends: the agent does not answer, and no receipt comes."""
    monkeypatch.setenv("SEABUS_PATIENCE", "0.1")

    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            world.machine("L1").silent = True
            if panics:
                world.console("L1", PANIC + END)
            if when == "while it is injected":
                raise MachineError("waited for L1's agent to answer write")

        assert await stage.inject(Planted(effect=breaks)) is None

    if not panics and when == "while it is injected":
        with pytest.raises(MachineError, match="to answer write"):
            played(tmp_path, play)
        return
    outcome = played(tmp_path, play)
    if panics:
        assert outcome.judgement.verdict is Verdict.FAIL
        assert [finding.subject for finding in dead(outcome)] == ["host"]
    else:
        assert outcome.judgement.verdict is Verdict.ERROR
        assert "injection lost" in outcome.judgement.reason


def test_a_guest_that_stays_where_it_panicked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody touches anything after the fault: only the round before the verdict finds it."""
    monkeypatch.setenv("SEABUS_PATIENCE", "0.1")

    async def play(stage: Stage, world: Stand) -> None:
        async def breaks() -> None:
            world.machine("L1").traces(FAILED)
            world.machine("L2").silent = True
            world.console("L2", PANIC + END)

        await stage.inject(Planted(effect=breaks, told=True))

    outcome = played(tmp_path, play)
    assert outcome.judgement.verdict is Verdict.FAIL
    assert [finding.subject for finding in dead(outcome)] == ["guest"]


@pytest.mark.parametrize("when", ["touched", "asked"])
@pytest.mark.parametrize(
    ("last", "exit"), [([PANIC, END], None), ([PANIC], 0), ([], None)], ids=["stays", "restarts", "hangs"]
)
def test_a_guest_that_dies_slowly_is_heard_out(
    tmp_path: Path,
    last: list[str],
    exit: int | None,  # noqa: A002 - the agent's word
    when: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a busy machine its console still writes when its agent has long been silent."""
    monkeypatch.setenv("SEABUS_PATIENCE", "0.1")
    monkeypatch.setattr("seabus.world.standstill.of", no_standstill)

    async def play(stage: Stage, world: Stand) -> None:
        async def dies() -> None:
            for number in range(40):  # its agent is given 1.5 s, and its console as much after that
                world.console("L2", f"[   12.{number:06}] x{number} : 0\r\n")
                await asyncio.sleep(0.05)
            for text in last:
                world.console("L2", text)
                await asyncio.sleep(0.05)
            if exit is not None:
                world.machine("L1").vmm = {"alive": False, "exit": exit}

        async def breaks() -> None:
            world.machine("L1").traces(FAILED)
            world.machine("L2").silent = True
            dying.append(asyncio.ensure_future(dies()))

        dying: list[asyncio.Future[None]] = []
        await stage.inject(Planted(effect=breaks, told=True))
        if when == "touched":
            assert await stage.perform(victim(world, "L2")) is None

    if when == "asked" and not last:
        with pytest.raises(MachineError, match="to answer hello"):
            played(tmp_path, play)
        return
    outcome = played(tmp_path, play)
    assert outcome.judgement.verdict is Verdict.FAIL
    panicked = "the guest panicked: Kernel panic - not syncing: Fatal hardware error"
    fell_silent = "the guest fell silent; see its console"
    assert [finding.text for finding in dead(outcome)] == [panicked if last else fell_silent]


async def no_standstill(_: object) -> None:
    pass


def test_a_record_without_an_address_is_among_the_last_words(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    console.write_text(
        "[   12.1] {1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 1\r\n"
        "[   12.2] {1}[Hardware Error]: event severity: fatal\r\n"
        "[   12.3] Kernel panic - not syncing: GHES: Fatal hardware error\r\n"
    )
    (record,) = last_words.records_of(console)
    assert (record.source, record.severity) == (1, "fatal")
