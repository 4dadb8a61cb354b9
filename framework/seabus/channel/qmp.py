# SPDX-License-Identifier: Apache-2.0
"""QMP with a transcript: qemu.qmp's client, every message of which is kept in the run's artefacts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from pathlib import Path
from typing import Any

from qemu.qmp import ConnectError, EventListener, ExecInterruptedError, QMPClient, QMPError
from qemu.qmp.error import ProtocolError
from qemu.qmp.message import Message
from qemu.qmp.qmp_client import ExecuteError

from seabus.errors import ChannelError, MachineError
from seabus.machine.transcript import Transcript
from seabus.patience import ANSWER, deadline


class _RecordedClient(QMPClient):
    """The client with its two message callbacks tapped (qemu.qmp documents them as overridable)."""

    def __init__(self, name: str, transcript: Transcript | None) -> None:
        super().__init__(name)
        self._transcript = transcript

    def _cb_outbound(self, msg: Message) -> Message:
        self._keep(">", msg)
        return super()._cb_outbound(msg)

    def _cb_inbound(self, msg: Message) -> Message:
        self._keep("<", msg)
        return super()._cb_inbound(msg)

    def _keep(self, direction: str, msg: Message) -> None:
        if self._transcript is not None:
            line = {"t": round(time.time(), 6), "dir": direction, "qmp": dict(msg)}
            self._transcript.write(json.dumps(line).encode() + b"\n")


class Qmp:
    """A monitor of one level, over a connected socket.

    :param level: "L0" or "L2", for messages.
    :param transcript: the file that receives one JSON object per message, or None.
    """

    def __init__(self, level: str, *, transcript: Path | None = None) -> None:
        self.level = level
        self._transcript = Transcript(transcript) if transcript else None
        self._client = _RecordedClient(level, self._transcript)

    async def connect(self, sock: socket.socket, *, greeted: bool = False, within: float = ANSWER) -> None:
        """Attach to a monitor.

        :param within: seconds that a QEMU may still need to come up.
        :param greeted: the monitor was negotiated before the world was frozen; it says no greeting.
        """
        self._client.await_greeting = not greeted
        self._client.negotiate = not greeted
        try:
            async with deadline(within, f"{self.level}'s QMP greeting"):
                await self._client.connect(sock)
        except ConnectError as error:
            raise ChannelError(f"{self.level}'s monitor did not open: {error.exc}") from error

    def listen(self, *names: str) -> EventListener:
        """A listener to use as ``with qmp.listener(listen("STOP")) as l`` - subscribe, then act."""
        return EventListener(names or None)

    @property
    def client(self) -> QMPClient:
        return self._client

    async def execute(
        self, command: str, arguments: dict[str, object] | None = None, *, within: float = ANSWER
    ) -> Any:  # noqa: ANN401 - QMP's answers are whatever the schema of the command says
        """Run a command.

        :raises MachineError: QEMU refused it; its words are in the message.
        :raises ChannelError: the monitor closed.
        :raises DeadlineError: no answer.
        """
        try:
            async with deadline(within, f"{self.level}'s monitor to answer {command}"):
                return await self._client.execute(command, arguments)
        except ExecuteError as error:
            raise MachineError(f"{self.level} refused {command}: {error}") from error
        except (ExecInterruptedError, ProtocolError, QMPError) as error:
            raise ChannelError(f"{self.level}'s monitor closed during {command}") from error

    async def forget(self) -> None:
        """Hang up; another monitor may be connected then."""
        await self._hang_up()
        self._client = _RecordedClient(self.level, self._transcript)

    async def close(self) -> None:
        """Hang up for good.

        :raises DiskError: the transcript is not complete.
        """
        try:
            await self._hang_up()
        finally:
            if self._transcript:
                self._transcript.close()

    async def _hang_up(self) -> None:
        # The far side may be gone or killed in the middle of a message: nothing to learn from that here.
        with contextlib.suppress(QMPError, OSError, EOFError, TimeoutError):
            async with asyncio.timeout(2):
                await self._client.disconnect()
