# SPDX-License-Identifier: Apache-2.0
"""QEMU's guest agent as a second channel: enough to bring our own agent into a machine.

It speaks QMP's wire format without greeting and negotiation (qemu.qmp documents this use), one request
at a time. See QEMU ``qga/qapi-schema.json``.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import socket
from typing import Any, Final

from qemu.qmp import QMPClient, QMPError
from qemu.qmp.qmp_client import ExecuteError

from seabus.channel.interface import CommandResult
from seabus.errors import AgentError, ChannelError
from seabus.patience import ANSWER, deadline

_CHUNK: Final = 48 * 1024
_FIRST_POLL: Final = 0.02


class Qga:
    """The guest agent of one level. It is connected at its first use.

    :param level: "L1" or "L2", for messages.
    """

    def __init__(self, level: str) -> None:
        self.level = level
        self._socket: socket.socket | None = None
        self._client: QMPClient | None = None
        self._in_step = False
        self._turn = asyncio.Lock()

    def attach(self, sock: socket.socket) -> None:
        """Say which socket to use; nothing is sent yet."""
        self._socket = sock

    async def execute(
        self, command: str, arguments: dict[str, object] | None = None, *, within: float = ANSWER
    ) -> Any:  # noqa: ANN401 - the answer's form is the command's
        """Run one of the agent's commands.

        :raises AgentError: it refused.
        :raises ChannelError: the channel broke, or it does not answer to its name.
        :raises DeadlineError: no answer.
        """
        async with self._turn, deadline(within, f"{self.level}'s QEMU guest agent: {command}"):
            try:
                client = await self._open()
                return await client.execute(command, arguments)
            except ExecuteError as error:
                raise AgentError(
                    f"{self.level}'s QEMU guest agent refused {command}: {error}", kind="os"
                ) from error
            except (QMPError, OSError, AssertionError) as error:
                raise ChannelError(f"{self.level}'s QEMU guest agent closed: {error!r}") from error

    async def run(self, *argv: str, stdin: bytes | None = None, within: float = ANSWER) -> CommandResult:
        """Run a command to its end; see :class:`seabus.channel.interface.Commands`."""
        arguments: dict[str, object] = {
            "path": argv[0],
            "arg": list(argv[1:]),
            "capture-output": True,
        }
        if stdin is not None:
            arguments["input-data"] = base64.b64encode(stdin).decode()
        pid = (await self.execute("guest-exec", arguments))["pid"]
        async with deadline(within, f"{self.level}'s command `{' '.join(argv)}`"):
            pause = _FIRST_POLL
            while not (status := await self.execute("guest-exec-status", {"pid": pid}))["exited"]:
                await asyncio.sleep(pause)  # the agent has no event for the end of a command
                pause = min(2 * pause, 1.0)
        return CommandResult(
            argv=argv,
            exit=status.get("exitcode"),
            signal=status.get("signal"),
            stdout=base64.b64decode(status.get("out-data", "")),
            stderr=base64.b64decode(status.get("err-data", "")),
            truncated=bool(status.get("out-truncated") or status.get("err-truncated")),
        )

    async def spawn(self, *argv: str, output: str) -> int:
        """Start a command that goes on by itself; returns its pid."""
        script = 'out=$1; shift; exec setsid "$@" >>"$out" 2>&1 </dev/null'
        arguments: dict[str, object] = {"path": "sh", "arg": ["-c", script, "sh", output, *argv]}
        return int((await self.execute("guest-exec", arguments))["pid"])

    async def read(self, path: str, *, offset: int = 0) -> bytes:
        """A file's content from ``offset`` to its end."""
        handle = await self.execute("guest-file-open", {"path": path, "mode": "r"})
        try:
            if offset:
                await self.execute("guest-file-seek", {"handle": handle, "offset": offset, "whence": "set"})
            parts = []
            while True:
                part = await self.execute("guest-file-read", {"handle": handle, "count": _CHUNK})
                parts.append(base64.b64decode(part["buf-b64"]))
                if part["eof"] or not part["count"]:
                    return b"".join(parts)
        finally:
            await self.execute("guest-file-close", {"handle": handle})

    async def write(self, path: str, data: bytes, *, mode: int = 0o644, append: bool = False) -> None:
        """Make or replace a file, or append to it."""
        handle = await self.execute("guest-file-open", {"path": path, "mode": "a" if append else "w"})
        try:
            for start in range(0, len(data), _CHUNK):
                text = base64.b64encode(data[start : start + _CHUNK]).decode()
                await self.execute("guest-file-write", {"handle": handle, "buf-b64": text})
        finally:
            await self.execute("guest-file-close", {"handle": handle})
        (await self.run("chmod", f"{mode:o}", path)).must_succeed()

    async def close(self) -> None:
        if self._client is not None:
            try:
                async with asyncio.timeout(2):
                    await self._client.disconnect()
            except (QMPError, OSError, EOFError, TimeoutError):
                pass

    async def _open(self) -> QMPClient:
        if self._socket is None:
            raise ChannelError(f"{self.level} has no QEMU guest agent port")
        if self._client is None:
            client = QMPClient(f"{self.level} qga")
            client.await_greeting = False
            client.negotiate = False
            await client.connect(self._socket)
            self._client = client
        if not self._in_step:
            # An earlier conversation may have left an answer behind; this one names itself.
            token = secrets.randbelow(1 << 31)
            if await self._client.execute("guest-sync", {"id": token}) != token:
                raise ChannelError(f"{self.level}'s QEMU guest agent answers somebody else")
            self._in_step = True
        return self._client
