# SPDX-License-Identifier: Apache-2.0
"""Who listens to a world, and fails, ends neither the world nor who waits for it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from seabus.errors import SeabusError
from seabus.interactive.live import Teller
from seabus.interactive.loop import LoopThread
from seabus.observe.events import Event, Recorder

EVENT = Event(level="L1", witness="trace", kind="trouble", clock_ns=7, text="oops")


@pytest.mark.parametrize("failure", [ValueError("wrong"), SystemExit(1), BrokenPipeError()])
def test_a_listener_that_fails_is_dropped_and_noted(failure: BaseException) -> None:
    recorder = Recorder()
    told: list[Event] = []

    def fails(event: Event) -> None:
        raise failure

    recorder.listeners += [fails, told.append]
    recorder.add(EVENT)
    recorder.add(EVENT)
    note = recorder.events[1]
    assert (note.kind, note.clock_ns) == ("note", 7)
    assert repr(failure) in note.text
    assert [event.kind for event in recorder.events] == ["trouble", "note", "trouble"]
    assert [event.kind for event in told] == ["note", "trouble", "trouble"]


def test_a_teller_whose_reader_is_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    recorder = Recorder()
    teller = Teller(color=False)
    recorder.listeners.append(lambda event: teller(None, event))

    async def happens() -> int:
        recorder.add(EVENT)
        return len(recorder.events)

    with os.fdopen(write, "w") as closed:
        monkeypatch.setattr("sys.stdout", closed)
        with LoopThread() as loop:
            assert loop.run(happens()) == 2
        monkeypatch.undo()
        with pytest.raises(BrokenPipeError):
            closed.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), closed.fileno())
    assert "BrokenPipeError" in recorder.events[1].text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_thread_that_has_ended(tmp_path: Path) -> None:
    async def ends() -> None:
        asyncio.get_running_loop().stop()
        await asyncio.Event().wait()

    async def nothing() -> None:
        pass

    with LoopThread() as loop:
        for coroutine in (ends(), nothing()):
            with pytest.raises(SeabusError, match="has ended"):
                loop.run(coroutine)
