# SPDX-License-Identifier: Apache-2.0
"""One SSH connection to a lab host: commands, files, and programs whose standard streams are a socket here.

paramiko works in threads; each of its channels that we keep open is pumped into a socket pair, so that what
speaks over it (our agent's client, QMP) does not know the difference.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import select
import shlex
import socket
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import paramiko

from seabus.channel.interface import CommandResult
from seabus.errors import ChannelError, DeadlineError, DiskError, HostError, MachineError
from seabus.lab.inventory import LabHost
from seabus.lab.ssh_login import CONNECT, STEPS, log_in
from seabus.lab.ssh_watch import Watch
from seabus.patience import ANSWER, deadline, scale

_T = TypeVar("_T")

_BLOCK: Final = 1 << 16
#: Seconds between two beats of :meth:`SshHost.open`.
_BEAT: Final = 15.0
#: Channels are read by a thread each, two a command.
_THREADS: Final = 32


class SshHost:
    """A connected host. Made by :meth:`connect`; satisfies :class:`seabus.channel.interface.Commands`."""

    def __init__(self, host: LabHost, client: paramiko.SSHClient) -> None:
        self.host = host
        self.level = host.name
        self._client = client
        transport = client.get_transport()
        assert transport is not None  # connect() has made it
        self._transport = transport
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"ssh {host.name}")
        # Closing a channel may wait for a connection that takes nothing: never in the loop, nor behind
        # those who wait for that channel.
        self._closing = ThreadPoolExecutor(1, thread_name_prefix=f"ssh {host.name} closing")
        self._watch = Watch(transport, host.name)

    @classmethod
    async def connect(cls, host: LabHost) -> SshHost:
        """Connect, and know by its key that it is the host of the lab file.

        :raises HostError: it cannot be reached, has another key, or does not let us in.
        """
        working = asyncio.get_running_loop().run_in_executor(None, log_in, host)
        try:
            async with deadline(STEPS * CONNECT + 5, f"lab host {host.name} to let us in"):
                return cls(host, await asyncio.shield(working))
        except DeadlineError as error:
            working.add_done_callback(_hang_up)
            raise HostError(
                error.message, hint="it answers, and is slow: its resolver, or its PAM?"
            ) from None
        except asyncio.CancelledError:
            working.add_done_callback(_hang_up)
            raise

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return bool(self._transport.is_active())

    async def run(self, *argv: str, stdin: bytes | None = None, within: float = ANSWER) -> CommandResult:
        """Run a command to its end; both outputs are drained all the time.

        :raises ChannelError: the connection broke.
        :raises DeadlineError: it did not end in time.
        """
        command = shlex.join(argv)
        async with (
            deadline(within, f"{self.host.name}'s command `{command}`"),
            self._channel(command, within) as channel,
        ):
            output, errors, _ = await asyncio.gather(
                self._call(lambda: _drain(channel.recv)),
                self._call(lambda: _drain(channel.recv_stderr)),
                self._call(lambda: _feed(channel, stdin)),
            )
            status = await self._call(channel.recv_exit_status)
        if status < 0 and not self.alive:
            raise ChannelError(f"the connection to {self.host.name} was lost during `{argv[0]}`")
        # SSH tells of a signal in a message that paramiko does not keep: -1 says no more than that.
        return CommandResult(
            argv=argv,
            exit=status if status >= 0 else None,
            signal=None if status >= 0 else 0,
            stdout=output,
            stderr=errors,
        )

    async def spawn(self, *argv: str, output: str) -> int:
        """Start a command that goes on by itself; returns its pid."""
        script = f"setsid {shlex.join(argv)} >>{shlex.quote(output)} 2>&1 </dev/null & echo $!"
        return int(self.must_succeed(await self.run("sh", "-c", script)).text)

    async def read(self, path: str, *, offset: int = 0) -> bytes:
        """A file's content from ``offset`` to its end."""
        return (await self.run("tail", "-c", f"+{offset + 1}", path)).must_succeed().stdout

    async def write(
        self,
        path: str,
        data: bytes,
        *,
        mode: int = 0o644,
        append: bool = False,
        within: float = ANSWER,
    ) -> None:
        """Make or replace a file, or append to it."""
        quoted = shlex.quote(path)
        script = (
            f"cat >>{quoted}"
            if append
            else f"umask 077 && {{ cat >{quoted}.new && mv {quoted}.new {quoted} || "
            f"{{ rm -f {quoted}.new; false; }}; }}"
        )
        await self._write(f"{script} && chmod {mode:o} {quoted}", data, within)

    async def write_file(self, path: str, local: Path, *, mode: int = 0o644, within: float = 300) -> None:
        """Copy a file of ours there."""
        await self.write(path, await asyncio.to_thread(local.read_bytes), mode=mode, within=within)

    async def _write(self, script: str, data: bytes, within: float) -> None:
        self.must_succeed(await self.run("sh", "-c", script, stdin=data, within=within))

    def must_succeed(self, result: CommandResult) -> CommandResult:
        """The result of a command of this host.

        :raises DiskError: one of its disks is full.
        :raises MachineError: it failed in another way.
        """
        if result.exit != 0 and b"No space left" in result.stderr:
            raise DiskError(
                f"lab host {self.host.name} has no space left on a disk",
                hint=f"see what fills it (seabus lab ssh {self.host.name}), or name another `folder`",
                details={"stderr": result.stderr.decode(errors="backslashreplace").strip()},
            )
        return result.must_succeed()

    async def open(self, *argv: str, beat: bytes = b"") -> socket.socket:
        """A program on the host; what is sent goes to its standard input, its output comes back.

        Both ends close with the other; the program ends by end of file. Its errors are not kept.

        :param beat: sent between lines when nothing else was for a while, so that silence means an end.
        :raises ChannelError: the connection broke.
        :raises DeadlineError: it could not be started in time.
        """
        channel = await self._started(argv)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        _Pump(channel, theirs, beat)
        return ours

    async def record(self, keep: Path, *argv: str) -> None:
        """Append a program's output to a file of ours, until it ends or the connection does.

        :raises ChannelError: the connection broke.
        :raises DeadlineError: it could not be started in time.
        """
        channel = await self._started(argv)
        threading.Thread(target=_keep, args=(channel, keep), daemon=True).start()

    async def ended(self) -> int:
        """Wait for the end of the connection."""
        await asyncio.wrap_future(self._watch.over)
        return 1

    def ended_error(self) -> MachineError:
        """The error to raise when it is gone and should not be."""
        return ChannelError(
            f"the connection to lab host {self.host.name} was lost",
            hint=f"seabus lab check {self.host.name}; its console is in the artefacts",
        )

    async def close(self) -> None:
        await asyncio.to_thread(self._client.close)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._closing.shutdown(wait=False)

    async def _started(self, argv: tuple[str, ...]) -> paramiko.Channel:
        """The channel of a program that goes on; whoever gets it closes it."""
        command = f"exec {shlex.join(argv)} 2>/dev/null"
        async with (
            deadline(ANSWER, f"{self.host.name} to start `{shlex.join(argv)}`"),
            self._channel(command, ANSWER, stays=True) as channel,
        ):
            return channel

    @contextlib.asynccontextmanager
    async def _channel(
        self, command: str, within: float, *, stays: bool = False
    ) -> AsyncIterator[paramiko.Channel]:
        """A channel that runs a command, closed after the body: that ends all threads that wait for it.

        :param stays: it is closed only if something goes wrong.
        """
        # Its own limit comes after ours, and frees the thread.
        opening = self._submit(lambda: self._transport.open_session(timeout=within * scale() + 1))
        try:
            channel = await self._result(opening)
            await self._call(lambda: channel.exec_command(command))
            yield channel
        except BaseException:
            stays = False
            raise
        finally:
            if not stays:
                # It may be opened only later, when nobody waits for it any more.
                opening.add_done_callback(self._close)

    def _close(self, opening: Future[paramiko.Channel]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            with contextlib.suppress(RuntimeError):  # the connection is closed, and with it all channels
                self._closing.submit(opening.result().close)

    async def _call(self, work: Callable[[], _T]) -> _T:
        return await self._result(self._submit(work))

    def _submit(self, work: Callable[[], _T]) -> Future[_T]:
        try:
            return self._pool.submit(work)
        except RuntimeError as error:
            raise ChannelError(f"the connection to {self.host.name} is closed") from error

    async def _result(self, future: Future[_T]) -> _T:
        try:
            return await asyncio.wrap_future(future)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise ChannelError(f"the connection to {self.host.name} broke: {error!r}") from error


def _hang_up(late: asyncio.Future[paramiko.SSHClient]) -> None:
    """Nobody waits for this connection any more."""
    if not late.cancelled() and late.exception() is None:
        late.result().close()


def _drain(receive: Callable[[int], bytes]) -> bytes:
    taken = io.BytesIO()
    while block := receive(_BLOCK):
        taken.write(block)
    return taken.getvalue()


def _feed(channel: paramiko.Channel, data: bytes | None) -> None:
    # A command that does not read its input, and ends, closes the channel: no reason to fail.
    with contextlib.suppress(OSError):
        if data:
            channel.sendall(data)
        channel.shutdown_write()


def _close(channel: paramiko.Channel) -> None:
    """Its far side is told, if there is one still: the connection may be closed at this moment."""
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        channel.close()


class _Pump:
    """Carries a channel's bytes to a socket and back, by two threads; each ends the other."""

    def __init__(self, channel: paramiko.Channel, wire: socket.socket, beat: bytes) -> None:
        self._channel = channel
        self._wire = wire
        self._beat = beat
        self._ended = threading.Barrier(2)
        for work in (self._inwards, self._outwards):
            threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def _run(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            work()
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)
        _close(self._channel)
        # Only when neither thread uses it any more: its number may be given to somebody else.
        self._ended.wait()
        self._wire.close()

    def _inwards(self) -> None:
        while block := self._channel.recv(_BLOCK):
            self._wire.sendall(block)

    def _outwards(self) -> None:
        between_lines = True
        while True:
            ready, _, _ = select.select([self._wire], [], [], _BEAT if self._beat else None)
            if not ready and between_lines:
                self._channel.sendall(self._beat)
            elif ready:
                if not (block := self._wire.recv(_BLOCK)):
                    return
                self._channel.sendall(block)
                between_lines = block.endswith(b"\n")


def _keep(channel: paramiko.Channel, path: Path) -> None:
    with (
        contextlib.suppress(OSError, EOFError, paramiko.SSHException),
        path.open("ab", buffering=0) as file,
    ):
        while block := channel.recv(_BLOCK):
            file.write(block)
    _close(channel)
