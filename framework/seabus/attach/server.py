# SPDX-License-Identifier: Apache-2.0
"""Serves a running world to other terminals of the same user."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Coroutine, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from seabus.attach import LINE_LIMIT, PROTOCOL, SOCKET, requests
from seabus.errors import MachineError, SeabusError, UsageError, of_system
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
    """Lets in by itself what :func:`asyncio.start_unix_server` forgets when it is closed meanwhile."""

    def __init__(self, world: Joinable) -> None:
        self._world = world
        self._listener = socket.socket(socket.AF_UNIX)
        self._attending: dict[asyncio.Task[None], socket.socket] = {}

    async def start(self) -> None:
        self._listener.setblocking(False)
        self._listener.bind(str(self._world.run_folder / SOCKET))
        self._listener.listen()
        asyncio.get_running_loop().add_reader(self._listener, self._let_in)

    async def end(self) -> None:
        """Nobody is attended to any more, and each hears that it is over: this world is no more."""
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        attending = dict(self._attending)
        for task in attending:
            task.cancel()
        await asyncio.gather(*attending, return_exceptions=True)
        for connection in attending.values():  # some tasks had not even begun
            connection.close()

    def _let_in(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _ = self._listener.accept()
            task = asyncio.ensure_future(self._attend(connection))
            self._attending[task] = connection
            task.add_done_callback(lambda done: self._attending.pop(done))

    async def _attend(self, connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionError):
            reader, writer = await asyncio.open_connection(sock=connection, limit=LINE_LIMIT)
            try:
                await self._answer(reader, writer)
            except asyncio.CancelledError:
                writer.transport.abort()  # not to wait for one who reads nothing
                raise
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
        except ConnectionError:
            raise  # of whoever asked
        except OSError as error:
            _write(writer, {"error": as_json(of_system(error))})
        except Exception as error:  # whoever asked must hear of it; the world goes on
            told = MachineError(f"internal error, please report it: {error!r}")
            _write(writer, {"error": as_json(told)})
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
