# SPDX-License-Identifier: Apache-2.0
"""A trace becomes events; a mark of ours that falls into a record still being printed does not cut it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest

from seabus.channel.agent import Agent
from seabus.errors import DeadlineError
from seabus.observe.events import Event, Recorder
from seabus.observe.witness import TraceWitness

# As seen: the worker on CPU 0 prints on while the agent on CPU 1 writes the mark.
BEGUN = """\
 kworker/0:1-11 [000] d..1. 53.242499: console: {1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 1
 kworker/0:1-11 [000] d..1. 53.245341: console: {1}[Hardware Error]: event severity: recoverable
 kworker/0:1-11 [000] d..1. 53.245547: console: {1}[Hardware Error]:  Error 0, type: recoverable
 kworker/0:1-11 [000] d..1. 53.245932: console: {1}[Hardware Error]:   section_type: memory error
"""  # noqa: E501
ADDRESS = """\
 kworker/0:1-11 [000] d..1. 53.279064: console: {1}[Hardware Error]:   physical_address: 0x000000006333d000
"""
MARK = " seabus-agent-139 [001] ...1. %s: tracing_mark_write: %s\n"


class Kernel:
    """Its trace, and what the n-th mark finds printed since the last one.

    :param prints: by mark: the text before it, and the mark's time.
    """

    def __init__(self, prints: list[tuple[str, str]]) -> None:
        self._prints = iter(prints)
        self._take: Callable[[bytes], None] | None = None

    @contextlib.asynccontextmanager
    async def following(self, _path: str, take: Callable[[bytes], None]) -> AsyncIterator[None]:
        self._take = take
        yield

    async def write(self, _path: str, data: bytes, *, append: bool) -> None:
        assert append
        assert self._take
        text, time = next(self._prints)
        self._take((text + MARK % (time, data.decode().strip())).encode())


def every_event_of(prints: list[tuple[str, str]], where: Path) -> list[Event]:
    async def play() -> list[Event]:
        recorder = Recorder()
        witness = TraceWitness("L1", cast(Agent, Kernel(prints)), recorder, where / "trace.txt")
        async with witness.watching():
            await witness.caught_up()
        return [event for event in recorder.events if event.witness != "seabus"]

    return asyncio.run(play())


def events_of(prints: list[tuple[str, str]], where: Path) -> list[Event]:
    return [event for event in every_event_of(prints, where) if event.kind == "ghes"]


def test_mark_in_the_midst_of_a_record(tmp_path: Path) -> None:
    (record,) = events_of([(BEGUN, "53.255582"), (ADDRESS, "53.380000")], tmp_path)
    assert record.fields["physical_address"] == 0x6333D000


def test_record_that_says_no_more(tmp_path: Path) -> None:
    (record,) = events_of([(BEGUN, "53.255582"), ("", "53.400000"), ("", "53.755582")], tmp_path)
    assert record.fields["physical_address"] is None


def test_no_record_is_not_waited_for(tmp_path: Path) -> None:
    assert not events_of([("", "53.255582")], tmp_path)


def test_record_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEABUS_PATIENCE", "0.1")
    never = [(BEGUN, "53.250000")] * 100
    with pytest.raises(DeadlineError, match="L1's kernel to end a record"):
        events_of(never, tmp_path)


HARM = [
    "Memory failure: 0x1234: forcibly killing postgres:321 because of failure to unmap corrupted page",
    "Memory failure: 0x1234: Cannot send advisory machine check signal to vhostd:77",
    "Memory failure: Error sending signal to vhostd:77: -3",
    "Memory failure: buffer overflow when queuing memory failure at 0x1234",
    "Out of memory: Killed process 321 (postgres) total-vm:1kB, anon-rss:1kB",
]
NOTES = [
    "Memory failure: 0x1234: recovery action for dirty LRU page: Recovered",
    "Memory failure: 0x1234: Sending SIGBUS to qemu-system-aar:119 due to hardware memory corruption",
    "Memory failure: 0x1234: already hardware poisoned",
]


@pytest.mark.parametrize(
    ("said", "kind"), [*((said, "trouble") for said in HARM), *((said, "note") for said in NOTES)]
)
def test_who_was_killed_without_a_signal_of_ours_is_seen(said: str, kind: str, tmp_path: Path) -> None:
    """SIGKILL is not traced, and a queue that is full signals nobody: only the log tells."""
    line = f" kworker/0:1-11 [000] d..1. 53.242499: console: {said}\n"
    (found,) = every_event_of([(line, "53.255582")], tmp_path)
    assert (found.kind, found.witness) == (kind, "kernel-log")
    assert said in found.text
