# SPDX-License-Identifier: Apache-2.0
"""A connection to a lab host never hangs: not by those who gave up waiting, nor by a mute host."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import paramiko
import pytest

from seabus.errors import ChannelError, DeadlineError, HostError, SeabusError, UsageError
from seabus.lab import ssh, ssh_watch
from seabus.lab.inventory import LabHost
from seabus.lab.keys import new_key_pair
from seabus.lab.ssh import SshHost
from seabus.lab.ssh_login import is_silence

HOST = LabHost(name="h1", address="a", host_key="k")


class FakeChannel:
    """Of a command that prints ``done``; one called ``mute`` is never answered, not even its start."""

    def __init__(self, transport: FakeTransport) -> None:
        self._transport = transport
        self._closed = threading.Event()
        self._left = [b"done\n"]

    def exec_command(self, command: str) -> None:
        if "mute" in command:
            self._closed.wait()
            raise paramiko.SSHException("Channel closed.")

    def recv(self, _: int) -> bytes:
        return self._left.pop() if self._left else b""

    def recv_stderr(self, _: int) -> bytes:
        return b""

    def shutdown_write(self) -> None:
        pass

    def recv_exit_status(self) -> int:
        return 0

    def close(self) -> None:
        self._closed.set()
        self._transport.closed_channels += 1


class FakeTransport:
    """A connection that stands, with a host that answers what it is asked."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.closed_channels = 0
        #: Set: channels are not opened.
        self.deaf = threading.Event()

    def is_active(self) -> bool:
        return not self.over.is_set()

    def join(self, timeout: float | None = None) -> None:
        self.over.wait(timeout)

    def open_session(self, timeout: float | None = None) -> FakeChannel:
        if self.deaf.is_set():
            self.over.wait(timeout)
            raise paramiko.SSHException("Timeout opening channel.")
        return FakeChannel(self)

    def global_request(self, *_: object, **__: object) -> None:
        return None

    def close(self) -> None:
        self.over.set()


class FakeClient:
    def __init__(self, transport: object) -> None:
        self.transport = transport

    def get_transport(self) -> object:
        return self.transport

    def close(self) -> None:
        cast(FakeTransport, self.transport).close()


@contextlib.contextmanager
def connected() -> Iterator[tuple[SshHost, FakeTransport]]:
    transport = FakeTransport()
    host = SshHost(HOST, cast(paramiko.SSHClient, FakeClient(transport)))
    yield host, transport
    asyncio.run(host.close())


class Talker(paramiko.ServerInterface):
    """A real server that counts what it is told."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.names.append(username)
        return paramiko.AUTH_FAILED  # type: ignore[attr-defined,no-any-return]


@contextlib.contextmanager
def talker(**offers: tuple[str, ...]) -> Iterator[tuple[LabHost, Talker]]:
    """A server with the key of the lab file that agrees to these algorithms only."""
    pair, talks = new_key_pair(), Talker()
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            line, _ = door.accept()
            transport = paramiko.Transport(line)
            transport.add_server_key(paramiko.Ed25519Key.from_private_key(io.StringIO(pair.private)))
            for name, values in offers.items():
                setattr(transport.get_security_options(), name, values)
            with contextlib.suppress(paramiko.SSHException, EOFError):
                transport.start_server(server=talks)
            transport.join(30)

        thread = threading.Thread(target=serve)
        thread.start()
        yield LabHost(name="h1", address="127.0.0.1", port=door.getsockname()[1], host_key=pair.public), talks
        thread.join()


@pytest.mark.parametrize(
    "offers", [{"ciphers": ("3des-cbc", "aes128-cbc")}, {"digests": ("hmac-md5", "hmac-sha1")}], ids=str
)
def test_nobody_talks_us_down(offers: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    """Somebody in between may take the good algorithms off the list: then not even a name is told."""
    (tmp_path / "id").write_text(new_key_pair().private)
    with talker(**offers) as (host, talks), pytest.raises(HostError, match="offers nothing that is safe"):
        asyncio.run(SshHost.connect(dataclasses.replace(host, identity=tmp_path / "id")))
    assert talks.names == []


def test_the_same_host_with_good_ones_is_talked_to(tmp_path: Path) -> None:
    (tmp_path / "id").write_text(new_key_pair().private)
    with talker(ciphers=("aes128-ctr",)) as (host, talks), pytest.raises(HostError, match="not let us in"):
        asyncio.run(SshHost.connect(dataclasses.replace(host, identity=tmp_path / "id")))
    assert talks.names == ["root"]


def test_a_host_that_is_slow_to_let_us_in_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its power is none of our business; and a connection that comes late is closed."""
    monkeypatch.setattr(ssh, "CONNECT", -5 / 3 + 0.05)
    late = FakeTransport()

    def slow(_: LabHost) -> FakeClient:
        time.sleep(0.5)
        return FakeClient(late)

    monkeypatch.setattr(ssh, "log_in", slow)
    with pytest.raises(HostError, match="lab host h1 to let us in") as caught:
        asyncio.run(SshHost.connect(HOST))
    assert not is_silence(caught.value)
    assert late.over.wait(5)


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "\udcff"])
def test_a_key_that_is_none_is_nothing_of_the_hosts(tmp_path: Path, text: str) -> None:
    (tmp_path / "id").write_text(text, errors="surrogateescape")
    host = dataclasses.replace(HOST, address="127.0.0.1", host_key=new_key_pair().public)
    with pytest.raises(UsageError, match=f"{tmp_path / 'id'} cannot be used as the identity"):
        asyncio.run(SshHost.connect(dataclasses.replace(host, identity=tmp_path / "id")))


@pytest.mark.parametrize("address", ["altra-1..lab", "x" * 64 + ".lab"])
def test_an_address_that_is_none(address: str) -> None:
    host = dataclasses.replace(HOST, address=address, host_key=new_key_pair().public)
    with pytest.raises(HostError, match="that is no host name"):
        asyncio.run(SshHost.connect(host))


def test_who_gives_up_waiting_for_the_end_leaves_nothing() -> None:
    """As each injection does: the stage races the end of the ground against what it waits for."""
    with connected() as (host, transport):

        async def play() -> None:
            before = threading.active_count()
            for _ in range(100):
                ending = asyncio.ensure_future(host.ended())
                await asyncio.sleep(0)
                ending.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await ending
            assert threading.active_count() == before
            async with asyncio.timeout(5):
                assert (await host.run("true")).stdout == b"done\n"
            both = asyncio.gather(host.ended(), host.ended())
            transport.over.set()
            async with asyncio.timeout(5):
                assert list(await both) == [1, 1]

        asyncio.run(play())


def test_a_connection_is_awaited_in_one_loop_after_another() -> None:
    with connected() as (host, transport):
        for _ in range(3):
            with pytest.raises(TimeoutError):
                asyncio.run(asyncio.wait_for(host.ended(), 0.05))
        transport.over.set()
        assert asyncio.run(asyncio.wait_for(host.ended(), 5)) == 1


def test_a_command_whose_start_is_never_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends by its deadline, each time: no thread stays behind with it."""
    monkeypatch.setattr(ssh, "ANSWER", 0.05)
    with connected() as (host, transport):

        async def play() -> None:
            for _ in range(40):
                with pytest.raises(DeadlineError, match="h1's command `mute`"):
                    await asyncio.wait_for(host.run("mute", within=0.02), 5)
            with pytest.raises(DeadlineError, match="h1 to start `mute`"):
                await asyncio.wait_for(host.open("mute"), 5)
            assert (await asyncio.wait_for(host.run("true"), 5)).stdout == b"done\n"

        asyncio.run(play())
        late = time.monotonic() + 5
        while transport.closed_channels < 42 and time.monotonic() < late:
            time.sleep(0.01)
        assert transport.closed_channels == 42


def test_a_host_that_opens_no_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    with connected() as (host, transport):
        transport.deaf.set()
        with pytest.raises(DeadlineError, match="h1's command `true`"):
            asyncio.run(asyncio.wait_for(host.run("true", within=0.05), 5))


def test_a_connection_that_was_closed() -> None:
    with connected() as (host, _):
        asyncio.run(host.close())
        with pytest.raises(ChannelError, match="connection to h1 is closed"):
            asyncio.run(host.run("true"))


class Server(paramiko.ServerInterface):
    """Answers signs of life, until it is hung."""

    def __init__(self) -> None:
        self.hung = threading.Event()
        self.release = threading.Event()
        self.asked = 0

    def check_auth_none(self, username: str) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_global_request(self, kind: str, msg: paramiko.Message) -> bool:
        self.asked += 1
        if self.hung.is_set():
            self.release.wait(30)  # in the server's only thread: from now on nothing is answered
        return False


def test_a_host_that_falls_silent_ends_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its TCP connection stands, and its sshd says nothing any more."""
    monkeypatch.setattr(ssh_watch, "_KEEPALIVE", 0.1)
    ours, theirs = socket.socketpair()
    server, there = Server(), paramiko.Transport(theirs)
    there.add_server_key(paramiko.ECDSAKey.generate())
    there.start_server(event=threading.Event(), server=server)
    here = paramiko.Transport(ours)
    here.start_client(timeout=10)
    here.auth_none("root")
    host = SshHost(HOST, cast(paramiko.SSHClient, FakeClient(here)))
    try:
        late = time.monotonic() + 10
        while server.asked < 10 and time.monotonic() < late:
            time.sleep(0.01)
        assert server.asked >= 10
        assert here.is_active()  # a host that answers keeps its connection
        server.hung.set()
        asyncio.run(asyncio.wait_for(host.ended(), 10))
        assert not here.is_active()
        with pytest.raises(ChannelError):
            asyncio.run(host.run("true"))
    finally:
        server.release.set()
        asyncio.run(host.close())
        there.close()


@pytest.mark.parametrize(
    ("answers", "silent"),
    [("nothing listens", True), ("hangs up", True), ("has another key", False), ("no such name", False)],
)
def test_who_is_off_and_who_is_not(answers: str, silent: bool) -> None:
    """Only a host that does not answer is rebooted for it: never for a mistake on our side."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        host = dataclasses.replace(
            HOST,
            address="no-such-host.invalid" if answers == "no such name" else "127.0.0.1",
            port=server.getsockname()[1],
            host_key=new_key_pair().public,
        )

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                server.accept()[0].close()

        if answers == "hangs up":
            server.listen()
            threading.Thread(target=hang_up, daemon=True).start()
        if answers == "has another key":
            server.listen()

            def serve() -> None:
                with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                    one = paramiko.Transport(server.accept()[0])
                    one.add_server_key(paramiko.ECDSAKey.generate())
                    one.start_server(event=threading.Event(), server=Server())

            threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(SeabusError) as caught:
            asyncio.run(SshHost.connect(host))
        assert is_silence(caught.value) is silent


class Closing:
    """A channel whose connection is closed at the moment."""

    def recv(self, _: int) -> bytes:
        return b""

    def close(self) -> None:
        raise EOFError


def test_a_program_ends_while_its_connection_is_closed(tmp_path: Path) -> None:
    """Neither a thread nor the socket is left: the two that carry its bytes wait for one another."""
    others = set(threading.enumerate())
    ours, theirs = socket.socketpair()
    with ours:
        ssh._Pump(cast(paramiko.Channel, Closing()), theirs, b"")
        ours.settimeout(5)
        assert ours.recv(1) == b""
        late = time.monotonic() + 5
        while (set(threading.enumerate()) - others or theirs.fileno() >= 0) and time.monotonic() < late:
            time.sleep(0.01)
    assert (set(threading.enumerate()) - others, theirs.fileno()) == (set(), -1)
    kept = tmp_path / "kept"
    ssh._keep(cast(paramiko.Channel, Closing()), kept)
    assert kept.read_bytes() == b""
