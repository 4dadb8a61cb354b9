# SPDX-License-Identifier: Apache-2.0
"""Files: read, write, follow and stop."""

from __future__ import annotations

import base64
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.conftest import Agent


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_of(message: dict[str, str]) -> bytes:
    return base64.b64decode(message["data"])


def test_read(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = os.urandom(300_000)
    path.write_bytes(content)
    first = agent.ok("read", path=str(path))
    assert (data_of(first), first["eof"]) == (content[:262144], False)
    rest = agent.ok("read", path=str(path), offset=262144)
    assert (data_of(rest), rest["eof"]) == (content[262144:], True)
    some = agent.ok("read", path=str(path), offset=1, length=5)
    assert (data_of(some), some["eof"]) == (content[1:6], False)
    beyond = agent.ok("read", path=str(path), offset=1 << 40)
    assert (data_of(beyond), beyond["eof"]) == (b"", True)
    assert b"Linux" in data_of(agent.ok("read", path="/proc/version"))


def test_read_never_waits(agent: Agent, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert agent.ok("read", path=str(fifo)) == {"data": "", "eof": True}
    writer = os.open(fifo, os.O_RDWR)
    try:
        os.write(writer, b"some")
        assert agent.ok("read", path=str(fifo)) == {"data": b64(b"some"), "eof": False}
    finally:
        os.close(writer)


def test_read_and_write_errors(agent: Agent, tmp_path: Path) -> None:
    for verb in ("read", "write"):
        error = agent.error(verb, path=str(tmp_path / "none" / "x"), data="")
        assert (error["kind"], error["errno"]) == ("os", errno.ENOENT)
    assert agent.error("read", path=str(tmp_path))["errno"] == errno.EISDIR
    assert agent.error("write", path="/dev/full", data="AAAA")["errno"] == errno.ENOSPC


def test_write(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "f\u00e9"
    missing = agent.error("write", path=str(path), data="", create=False)
    assert missing["errno"] == errno.ENOENT
    assert agent.ok("write", path=str(path), data=b64(b"one\0"), mode=0o666) == {"written": 4}
    assert path.stat().st_mode & 0o7777 == 0o666
    agent.ok("write", path=str(path), data=b64(b"two"), append=True)
    assert path.read_bytes() == b"one\0two"
    agent.ok("write", path=str(path), data=b64(b"3"))
    assert path.read_bytes() == b"3"


def test_a_path_may_hold_any_bytes(agent: Agent, tmp_path: Path) -> None:
    path = bytes(tmp_path) + b"/\xff"
    agent.send_bytes(b'{"id":99,"do":"write","data":"QQ==","path":"%s"}\n' % path)
    assert agent.reply(99)["ok"]["written"] == 1
    with open(path, "rb") as file:  # noqa: PTH123 - a bytes path
        assert file.read() == b"A"


def test_follow_to_the_end(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = os.urandom(2_000_000)
    path.write_bytes(content)
    number = agent.send("follow", path=str(path))
    got = b""
    while len(got) < len(content):
        chunk = data_of(agent.stream(number))
        assert 0 < len(chunk) <= 65536
        got += chunk
    assert got == content
    assert agent.reply(number)["ok"] == {"ended": "eof"}
    assert agent.kind("stop", stream=number) == "gone"


def test_follow_a_fifo(agent: Agent, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    number = agent.send("follow", path=str(fifo))
    agent.ok("clock")
    with fifo.open("wb", buffering=0) as writer:
        for text in (b"one", b"two"):
            writer.write(text)
            assert data_of(agent.stream(number)) == text
        stop = agent.send("stop", stream=number)
        seen = agent.receive(lambda message: message.get("id") in (number, stop))
        assert seen == {"id": number, "ok": {"ended": "stopped"}}
        assert agent.reply(stop)["ok"] == {}
        number = agent.send("follow", path=str(fifo))
        agent.ok("clock")
    assert agent.reply(number)["ok"] == {"ended": "eof"}


def test_follow_errors_and_limit(agent: Agent, tmp_path: Path) -> None:
    assert agent.error("follow", path=str(tmp_path / "none"))["errno"] == errno.ENOENT
    ended = agent.ok("follow", path=str(tmp_path))
    assert ended == {"ended": "error", "errno": errno.EISDIR}
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    numbers = [agent.send("follow", path=str(fifo)) for _ in range(16)]
    assert agent.kind("follow", path=str(fifo)) == "busy"
    for number in numbers:
        agent.ok("stop", stream=number)
        assert agent.reply(number)["ok"]["ended"] == "stopped"
    assert agent.ok("follow", path="/dev/null") == {"ended": "eof"}
