# SPDX-License-Identifier: Apache-2.0
"""The client of our own guest agent (``docs/reference/agent-protocol.md``)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from seabus.channel import replies
from seabus.channel.interface import CommandResult
from seabus.errors import AgentError, ChannelError, DeadlineError
from seabus.patience import ANSWER, deadline

LINE_LIMIT: Final = 5 << 20  # the agent sends lines of up to 4 MiB
_CHUNK: Final = 192 * 1024  # raw bytes a read or write carries; base64 makes 256 KiB of it

OnData = Callable[[Mapping[str, Any]], None]


@dataclass
class _Pending:
    verb: str
    reply: asyncio.Future[Mapping[str, Any]]
    on_stream: OnData | None = None


@dataclass
class Agent:
    """One agent of one level, over a connected socket.

    Requests run concurrently; replies find their request by id. Once the channel broke every request,
    pending or new, raises the same first cause.

    :param level: "L1" or "L2", for messages.
    """

    level: str
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None
    _task: asyncio.Task[None] | None = None
    _ids: Any = field(default_factory=lambda: itertools.count(1))
    _pending: dict[int, _Pending] = field(default_factory=dict)
    _broken: ChannelError | None = None
    #: Lines that were not the protocol's: a sign of a second speaker on the port.
    garbled: int = 0

    async def connect(self, sock: socket.socket, *, first_id: int = 1) -> None:
        """Start speaking; returns at once, whether or not the agent is there yet.

        :param first_id: ids of an earlier conversation (before a freeze) must not be reused.
        """
        self._ids = itertools.count(first_id)
        self._reader, self._writer = await asyncio.open_connection(sock=sock, limit=LINE_LIMIT)
        self._task = asyncio.create_task(self._read(), name=f"{self.level} agent")
        self._writer.write(b"\n")  # ends whatever a predecessor left half-sent

    @property
    def connected(self) -> bool:
        """Whether there is a channel, as far as is known."""
        return self._writer is not None and self._broken is None

    async def request(
        self,
        verb: str,
        *,
        within: float = ANSWER,
        on_stream: OnData | None = None,
        **arguments: object,
    ) -> Mapping[str, Any]:
        """Ask and await the reply, its bytes decoded (:mod:`seabus.channel.replies`).

        :param within: seconds, scaled.
        :param on_stream: called with each stream message of this request, in order.
        :raises AgentError: the agent answered with an error.
        :raises ChannelError: the channel broke, or the reply is not what the verb is answered by.
        :raises DeadlineError: no reply in time.
        """
        number, pending = self._send(verb, on_stream, arguments)
        try:
            async with deadline(within, f"{self.level}'s agent to answer {verb}"):
                return await pending.reply
        finally:
            self._pending.pop(number, None)

    def send(self, verb: str, **arguments: object) -> None:
        """Ask and never look at the reply: for what answers only in another life of the machine."""
        number, _ = self._send(verb, None, arguments)
        self._pending.pop(number)

    @contextlib.asynccontextmanager
    async def following(self, path: str, on_bytes: Callable[[bytes], None]) -> AsyncIterator[None]:
        """While the body runs, ``on_bytes`` gets what appears in a file such as ``trace_pipe``."""
        number, pending = self._send("follow", lambda message: on_bytes(message["data"]), {"path": path})
        # A stream that cannot start says so in its reply, which else comes only at the end.
        pending.reply.add_done_callback(lambda reply: reply.cancelled() or reply.exception())
        try:
            yield
        finally:
            if not pending.reply.done() and self._broken is None:
                with contextlib.suppress(ChannelError, DeadlineError):
                    await self.request("stop", stream=number, within=2)
            self._pending.pop(number, None)

    async def run(self, *argv: str, stdin: bytes | None = None, within: float = ANSWER) -> CommandResult:
        """Run a command to its end; see :class:`seabus.channel.interface.Commands`."""
        fed = None if stdin is None else base64.b64encode(stdin).decode()
        reply = await self.request("exec", argv=list(argv), within=within, stdin=fed)
        return CommandResult(
            argv=argv,
            exit=reply.get("exit"),
            signal=reply.get("signal"),
            stdout=reply["stdout"],
            stderr=reply["stderr"],
            truncated=bool(reply.get("truncated")),
        )

    async def spawn(self, *argv: str, output: str, tied: bool = False) -> int:
        """Start a command that goes on by itself; returns its pid.

        :param tied: it is killed when the agent ends.
        """
        reply = await self.request("exec", argv=list(argv), detach=True, tied=tied, output=output)
        return int(reply["pid"])

    async def read(self, path: str, *, offset: int = 0, most: int = 64 << 20) -> bytes:
        """A file's content from ``offset`` to its end, or ``most`` bytes of it."""
        parts: list[bytes] = []
        end = offset + most
        while True:
            reply = await self.request("read", path=path, offset=offset, length=_CHUNK)
            part = reply["data"]
            parts.append(part)
            offset += len(part)
            if reply["eof"] or not part or offset >= end:
                return b"".join(parts)

    async def write(self, path: str, data: bytes, *, mode: int = 0o644, append: bool = False) -> None:
        """Make or replace a file (or append to it)."""
        for start in range(0, max(len(data), 1), _CHUNK):
            await self.request(
                "write",
                path=path,
                data=base64.b64encode(data[start : start + _CHUNK]).decode(),
                append=append or start > 0,
                mode=mode,
            )

    async def close(self) -> None:
        self._break(ChannelError(f"{self.level}'s agent channel was closed"))
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._writer:
            self._writer.close()

    # Inside

    def _send(
        self, verb: str, on_stream: OnData | None, arguments: Mapping[str, object]
    ) -> tuple[int, _Pending]:
        if self._broken is not None:
            raise self._broken
        assert self._writer is not None, "connect() first"
        number = next(self._ids)
        shape = "exec detached" if verb == "exec" and arguments.get("detach") else verb
        pending = _Pending(shape, asyncio.get_running_loop().create_future(), on_stream)
        self._pending[number] = pending
        line = json.dumps({"id": number, "do": verb, **arguments}, separators=(",", ":"))
        self._writer.write(line.encode() + b"\n")
        return number, pending

    async def _read(self) -> None:
        assert self._reader is not None
        try:
            while line := await self._reader.readline():
                self._take(line)
            self._break(ChannelError(f"{self.level}'s agent channel was closed by the far side"))
        except Exception as error:  # whatever a guest managed to send: the channel is broken, not we
            self._break(ChannelError(f"{self.level}'s agent channel broke: {error!r}"))

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
            number = message["stream"] if "stream" in message else message["id"]
        except (ValueError, KeyError, TypeError, RecursionError):
            self.garbled += bool(line.strip())
            return
        if not isinstance(message, dict) or not isinstance(number, int):
            self.garbled += 1
            return
        pending = self._pending.get(number)
        if pending is None:
            return  # an answer to a request that was given up, or of a life before the freeze
        if pending.reply.done():
            return
        try:
            told = replies.read_stream(pending.verb, message) if "stream" in message else None
            answer = replies.read(pending.verb, message["ok"]) if "ok" in message else None
        except ValueError as error:
            wrong = f"{self.level}'s agent answers {pending.verb} with what is no answer: {error}"
            pending.reply.set_exception(ChannelError(wrong))
            return
        if told is not None:
            if pending.on_stream:
                pending.on_stream(told)
        elif answer is not None:
            pending.reply.set_result(answer)
        else:
            pending.reply.set_exception(self._error(message.get("error")))

    def _error(self, error: object) -> AgentError:
        facts = error if isinstance(error, dict) else {}
        errno = facts.get("errno")
        return AgentError(
            f"{self.level}'s agent: {facts.get('message', 'no reason given')}",
            kind=str(facts.get("kind", "protocol")),
            errno=errno if isinstance(errno, int) else None,
        )

    def _break(self, cause: ChannelError) -> None:
        self._broken = self._broken or cause
        for pending in self._pending.values():
            if not pending.reply.done():
                pending.reply.set_exception(self._broken)
                pending.reply.exception()  # nobody may be waiting: not an error of asyncio's
        self._pending.clear()
