# SPDX-License-Identifier: Apache-2.0
"""Serves a running world to other terminals of the same user."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from seabus.attach import LINE_LIMIT, PROTOCOL, SOCKET, requests
from seabus.errors import SeabusError, UsageError
from seabus.report.complaint import as_json

if TYPE_CHECKING:
    from seabus.attach.joinable import Joinable


@contextlib.contextmanager
def serving(world: Joinable) -> Iterator[None]:
    """Others may attach to this world while the body runs."""
    loop = world.loop
    server = loop.run(_Server(world).start())
    try:
        yield
    finally:
        server.close()


class _Server:
    def __init__(self, world: Joinable) -> None:
        self._world = world

    async def start(self) -> asyncio.Server:
        path = self._world.run_folder / SOCKET
        return await asyncio.start_unix_server(self._attend, path=path, limit=LINE_LIMIT)

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

        telling = asyncio.ensure_future(tell())
        gone = asyncio.ensure_future(reader.read())
        try:
            await asyncio.wait({telling, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (telling, gone):
                task.cancel()
            await asyncio.gather(telling, gone, return_exceptions=True)


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
