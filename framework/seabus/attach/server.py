# SPDX-License-Identifier: Apache-2.0
"""Serves a running world to other terminals of the same user."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Coroutine, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from seabus.attach import LINE_LIMIT, PROTOCOL, SOCKET, requests
from seabus.errors import SeabusError, UsageError
from seabus.report.complaint import as_json

if TYPE_CHECKING:
    from seabus.attach.joinable import Joinable

_T = TypeVar("_T")


@contextlib.contextmanager
def serving(world: Joinable) -> Iterator[None]:
    """Others may attach to this world while the body runs."""
    server = _Server(world)
    world.loop.run(server.start())
    try:
        yield
    finally:
        world.loop.run(server.end())


class _Server:
    def __init__(self, world: Joinable) -> None:
        self._world = world
        self._listening: asyncio.Server | None = None
        self._attending: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._over = False

    async def start(self) -> None:
        path = self._world.run_folder / SOCKET
        self._listening = await asyncio.start_unix_server(self._greet, path=path, limit=LINE_LIMIT)

    async def end(self) -> None:
        """Nobody is attended to any more, and each hears that it is over: this world is no more."""
        self._over = True
        if self._listening is not None:
            self._listening.close()
        attending = dict(self._attending)
        for task in attending:
            task.cancel()
        await asyncio.gather(*attending, return_exceptions=True)
        for writer in attending.values():
            writer.close()

    def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._over:  # it had been let in already
            writer.close()
            return
        task = asyncio.ensure_future(self._attend(reader, writer))
        self._attending[task] = writer
        task.add_done_callback(lambda done: self._attending.pop(done))

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                await self._answer(reader, writer)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = _read(await reader.readline())
            if asked["do"] in requests.STREAMED:
                await self._stream(asked, reader, writer)
                return
            if asked["do"] in requests.ABANDONED:
                answered = await _unless_gone(self._ask(asked), reader)
                if answered is None:
                    return
                answer = answered
            else:
                answer = await self._ask(asked)
            _write(writer, {"ok": answer})
        except SeabusError as error:
            _write(writer, {"error": as_json(error)})
        except (KeyError, TypeError, ValueError) as error:
            wrong = UsageError(f"a request that makes no sense: {error!r}", hint="the versions may differ")
            _write(writer, {"error": as_json(wrong)})
        await writer.drain()

    async def _ask(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked["do"] not in requests.ANSWERED:
            raise UsageError(f"this world cannot be asked to {asked['do']!r}", hint="the versions may differ")
        return await requests.ANSWERED[asked["do"]](self._world, asked)

    async def _stream(
        self, asked: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Until whoever asked hangs up."""

        async def tell() -> None:
            async for event in requests.STREAMED[asked["do"]](self._world, asked):
                _write(writer, {"event": event})
                await writer.drain()

        with contextlib.suppress(ConnectionError):
            await _unless_gone(tell(), reader)


async def _unless_gone(doing: Coroutine[Any, Any, _T], reader: asyncio.StreamReader) -> _T | None:
    """What comes of it; None if whoever asked hung up before."""
    task = asyncio.ensure_future(doing)
    gone = asyncio.ensure_future(reader.read())
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


def _read(line: bytes) -> dict[str, Any]:
    asked = json.loads(line)
    if not isinstance(asked, dict) or not isinstance(asked.get("do"), str):
        raise TypeError("no request")
    if asked.get("version") != PROTOCOL:
        raise UsageError(
            f"this world is asked in version {PROTOCOL}, and not in {asked.get('version')}",
            hint="use the seabus that started it",
        )
    return asked


def _write(writer: asyncio.StreamWriter, answer: Mapping[str, Any]) -> None:
    writer.write(json.dumps(answer, default=str).encode() + b"\n")
