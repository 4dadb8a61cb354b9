# SPDX-License-Identifier: Apache-2.0
"""The screen shows what happened and what was done; its keys do what they say. No world is needed."""

from __future__ import annotations

import asyncio
import html
import os
import re
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, RichLog

from seabus.errors import UsageError
from seabus.interactive.playground import OnEvent
from seabus.observe.events import Event, Kind, Level
from seabus.tui.app import Screen
from seabus.tui.deeds import Step

GOLDEN = Path(__file__).parent / "golden" / "tui.txt"
DRAWN = GOLDEN.with_suffix(".svg")
SIZE = (110, 26)
TEXT = re.compile(r'<text [^>]*clip-path="url\(#[^"]*line-(\d+)\)"[^>]*>(.*?)</text>')


class Played:
    """Deeds as they would be told; the events are those of a real run."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.may_end = threading.Event()
        self.may_end.set()
        self.fails: Exception | None = None
        self.on_event: OnEvent = lambda *_: None

    def watch(self, on_event: OnEvent) -> None:
        self.on_event = on_event

    def new_victim(self) -> str:
        self.done.append("victim")
        return "victim 0: process 113 of L2, at 0xffff9033f000"

    def inject(self) -> str:
        if "victim" not in self.done:
            raise UsageError("there is no victim yet", hint="v makes one")
        self.done.append("inject")
        self._happens("L0", "monitor", "inject", {"kind": "memory-record", "address": "0x6431e000"})
        self._happens(
            "L1",
            "kernel-log",
            "ghes",
            {"source": 1, "severity": "recoverable", "physical_address": 0x6431E000, "fru_id": None},
        )
        return "receipt: L1 kernel-log"

    def touch(self, op: str) -> str:
        if self.fails:
            raise self.fails
        assert self.may_end.wait(10)
        self.done.append(op)
        self._happens("L2", "kprobe", "sea", {"esr": 0x92000410, "far": 0, "tid": 113})
        self._happens("L2", "kernel-log", "trouble", {"what": "oops"}, "Internal error \x1b[31mred")
        return "SIGBUS BUS_MCEERR_AR"

    def rewind(self) -> str:
        self.done.clear()
        return "a fresh world"

    def memory_map(self) -> list[Step]:
        if "victim" not in self.done:
            return []
        return [
            ("L2 virtual (victim)", "0xffff9033f000", "the victim's own mapping"),
            ("L1 physical", "0x6431e000", "pagemap"),
        ]

    def _happens(
        self, level: Level, witness: str, kind: Kind, fields: dict[str, object], text: str = ""
    ) -> None:
        event = Event(level=level, witness=witness, kind=kind, clock_ns=0, fields=fields, text=text)
        self.on_event(None, event)


def play(scene: Callable[[Pilot[None], Played], Awaitable[None]]) -> None:
    async def run() -> None:
        played = Played()
        async with Screen(played).run_test(size=SIZE) as pilot:
            await scene(pilot, played)

    asyncio.run(run())


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()


def shown(pilot: Pilot[None]) -> str:
    """The screen as text."""
    lines: dict[str, str] = {}
    for line, text in re.findall(
        r'<text [^>]*clip-path="url\(#[^"]*line-(\d+)\)"[^>]*>(.*?)</text>', pilot.app.export_screenshot()
    ):
        lines[line] = lines.get(line, "") + html.unescape(text).replace("\xa0", " ")
    return "\n".join(lines[line].rstrip() for line in sorted(lines, key=int)) + "\n"


def test_keys_do_what_they_say() -> None:
    async def scene(pilot: Pilot[None], played: Played) -> None:
        await press(pilot, "v", "i", "t", "w")
        assert played.done == ["victim", "inject", "read", "write"]
        assert pilot.app.query_one(DataTable).row_count == 2
        await press(pilot, "r")
        assert played.done == []
        assert pilot.app.query_one(DataTable).row_count == 0

    play(scene)


def test_a_mistake_is_told_on_the_screen() -> None:
    async def scene(pilot: Pilot[None], played: Played) -> None:
        await press(pilot, "i")
        assert played.done == []
        text = shown(pilot)
        assert "there is no victim yet" in text
        assert "try: v makes one" in text

    play(scene)


def drawn(pilot: Pilot[None]) -> str:
    """The screen as a picture, whose names are numbered in the order in which they come."""
    picture = pilot.app.export_screenshot()
    for number, name in enumerate(dict.fromkeys(re.findall(r"terminal-\d+", picture))):
        picture = picture.replace(name, f"screen-{number}")
    return re.sub(r"[ \t]+$", "", picture, flags=re.MULTILINE)


def test_what_it_looks_like() -> None:
    """The golden screen; SEABUS_GOLDEN=1 draws it anew, to be looked at before it is committed."""

    async def scene(pilot: Pilot[None], _: Played) -> None:
        await press(pilot, "v", "i", "t")
        text, picture = shown(pilot), drawn(pilot)
        if os.environ.get("SEABUS_GOLDEN"):
            GOLDEN.write_text(text)
            DRAWN.write_text(picture)
        assert "\x1b" not in text
        assert text == GOLDEN.read_text()
        assert picture == DRAWN.read_text()

    play(scene)


def words(pilot: Pilot[None], level: str) -> list[str]:
    return " ".join(line.text.strip() for line in pilot.app.query_one(f"#{level}", RichLog).lines).split()


def test_lines_are_broken_to_the_width_of_their_column() -> None:
    async def scene(pilot: Pilot[None], _: Played) -> None:
        await press(pilot, "v", "i", "t")
        for size in (SIZE, (70, 26), (200, 26)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            for log in pilot.app.query(RichLog):
                assert max((line.cell_length for line in log.lines), default=0) <= log.content_size.width
            for level in ("L0", "L1"):
                assert "".join(words(pilot, level)).endswith("0x6431e000")
        assert len(pilot.app.query_one("#L1", RichLog).lines) == 1

    play(scene)


def test_a_key_while_something_is_under_way() -> None:
    """It is said, and nothing is forgotten; afterwards the key works."""

    async def scene(pilot: Pilot[None], played: Played) -> None:
        await press(pilot, "v", "i")
        played.may_end.clear()
        await pilot.press("t")
        await pilot.press("r")
        await pilot.pause()
        assert "not yet" in shown(pilot)
        assert words(pilot, "L1")
        played.may_end.set()
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        assert played.done == ["victim", "inject", "read"]
        await press(pilot, "r")
        assert played.done == []
        assert not words(pilot, "L1")

    play(scene)


def test_a_mistake_of_ours_is_shown() -> None:
    async def scene(pilot: Pilot[None], played: Played) -> None:
        played.fails = ZeroDivisionError("by zero")
        await press(pilot, "t")
        assert "ZeroDivisionError('by zero')" in shown(pilot)
        played.fails = None
        await press(pilot, "v")
        assert played.done == ["victim"]

    play(scene)


def test_events_wait_for_nobody() -> None:
    """Who tells them is the world's loop: a screen that is slow, or gone, must not stop it."""
    played, told = Played(), threading.Event()

    def happens() -> None:
        for _ in range(1000):
            played._happens("L1", "trace", "trouble", {"what": "oops"})
        told.set()

    async def run() -> None:
        async with Screen(played).run_test(size=SIZE) as pilot:
            teller = threading.Thread(target=happens)
            teller.start()
            assert told.wait(10)  # though the screen's own loop does nothing meanwhile
            teller.join()
            await pilot.press("q")
        played._happens("L1", "trace", "trouble", {"what": "late"})

    asyncio.run(run())
    played._happens("L1", "trace", "trouble", {"what": "later"})


@pytest.mark.parametrize("size", [(40, 12), (200, 60)])
def test_any_size(size: tuple[int, int]) -> None:
    async def run() -> None:
        async with Screen(Played()).run_test(size=size) as pilot:
            await press(pilot, "v", "i")

    asyncio.run(run())
