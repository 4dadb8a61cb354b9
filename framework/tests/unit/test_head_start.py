# SPDX-License-Identifier: Apache-2.0
"""What was begun before anybody waited for it ends, however it goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from seabus.interactive.head_start import HeadStart
from seabus.interactive.loop import LoopThread


class Door:
    """Opens when it is let, and knows what became of it."""

    def __init__(self, loop: LoopThread) -> None:
        self.loop = loop
        self.let = asyncio.Event()
        self.did: list[str] = []

    @contextlib.asynccontextmanager
    async def opening(self) -> AsyncIterator[str]:
        try:
            await self.let.wait()
            self.did.append("opened")
            yield "open"
        except asyncio.CancelledError:
            self.did.append("cancelled")
            raise
        finally:
            self.did.append("closed")

    def open(self) -> None:
        self.loop.loop.call_soon_threadsafe(self.let.set)


async def enter(start: HeadStart[str]) -> str:
    async with start as value:
        return value


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_it_is_waited_for() -> None:
    with LoopThread() as loop:
        door = Door(loop)
        start = HeadStart(loop, door.opening())
        door.open()
        assert loop.run(enter(start)) == "open"
        assert door.did == ["opened", "closed"]


def test_it_is_opened_before_anybody_waits() -> None:
    with LoopThread() as loop:
        door = Door(loop)
        start = HeadStart(loop, door.opening())
        door.open()
        loop.run(turns())
        assert door.did == ["opened"]
        loop.run(start.abandon())
        assert door.did == ["opened", "closed"]


def test_it_is_abandoned_half_way() -> None:
    with LoopThread() as loop:
        door = Door(loop)
        start = HeadStart(loop, door.opening())
        loop.run(turns())
        loop.run(start.abandon())
        loop.run(turns())
        assert door.did == ["cancelled", "closed"]


def test_it_fails() -> None:
    @contextlib.asynccontextmanager
    async def jammed() -> AsyncIterator[None]:
        raise OSError("jammed")
        yield  # type: ignore[unreachable]  # it makes this a generator

    with LoopThread() as loop:
        start = HeadStart(loop, jammed())
        loop.run(turns())
        loop.run(start.abandon())
        with pytest.raises(OSError, match="jammed"):
            loop.run(start.__aenter__())
