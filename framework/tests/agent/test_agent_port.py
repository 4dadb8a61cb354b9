# SPDX-License-Identifier: Apache-2.0
"""The port: found late, hung up, taken up again; what must outlast that, and what must not."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


class Port:
    """The host's side of the port: it may be connected to, or not."""

    def __init__(self, folder: Path) -> None:
        self._fifo = folder / "vport0p1"
        self._out = folder / "out"
        os.mkfifo(self._out)
        self._answers = os.open(self._out, os.O_RDWR | os.O_NONBLOCK)

    def plug(self, folder: Path) -> None:
        os.mkfifo(self._fifo)
        for name, text in (("vport0p0", "other\n"), ("vport0p1", "seabus\n")):
            port = folder / "virtio-ports" / name
            port.mkdir(parents=True)
            (port / "name").write_text(text)

    @contextmanager
    def connected(self) -> Iterator[PortClient]:
        client = PortClient(self._fifo, self._answers)
        try:
            yield client
        finally:
            client.close()

    def close(self) -> None:
        os.close(self._answers)


class PortClient:
    """Sends lines and waits for some text: the framing has its tests elsewhere."""

    def __init__(self, fifo: Path, answers: int) -> None:
        self._answers = answers
        self._requests = os.open(fifo, os.O_WRONLY)
        self.seen = b""

    def send(self, line: str) -> None:
        os.write(self._requests, line.encode())

    def wait(self, text: str) -> None:
        deadline = time.monotonic() + 10
        while text.encode() not in self.seen:
            assert time.monotonic() < deadline, self.seen
            try:
                self.seen += os.read(self._answers, 1 << 16)
            except BlockingIOError:
                time.sleep(0.002)

    def close(self) -> None:
        os.close(self._requests)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def process(port_agent_program: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    errors = tmp_path / "agent.stderr"
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(
            [port_agent_program, "--port", "seabus"],
            stderr=stderr,
            env={**os.environ, "SEABUS_PORT": str(tmp_path)},
        ) as running,
    ):
        yield running
        assert running.poll() is None
        running.kill()
    assert errors.read_text() == ""


@pytest.fixture
def port(process: subprocess.Popen[bytes], tmp_path: Path) -> Iterator[Port]:
    assert process.pid
    made = Port(tmp_path)
    yield made
    made.close()


def test_life_of_a_port(port: Port, process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    time.sleep(0.05)  # the agent starts before there is a port
    port.plug(tmp_path)
    with port.connected() as first:
        first.send('\n{"id":1,"do":"hello","nonce":"kept"}\n')
        first.wait('"nonce":"kept"')
        first.send('{"id":2,"do":"victim","kind":"anon","pages":1}\n')
        first.wait('"victim":1')
        first.send('{"id":3,"do":"exec","argv":["sleep","0.2"]}\n{"id":4,"do":"cl')
    time.sleep(0.05)
    with port.connected() as second:
        second.send('\n{"id":5,"do":"hello"}\n')
        second.wait('"nonce":"kept"')
        second.send('{"id":6,"do":"touch","victim":1,"offset":0,"op":"read","size":8}\n')
        second.wait('"id":6,"ok"')
        time.sleep(0.3)
        second.send('{"id":7,"do":"clock"}\n')
        second.wait('"id":7')
        assert b'"id":3' not in second.seen  # the first client's
        assert b"null" not in second.seen.replace(b'"nonce":null', b"")  # its half line is gone
    before, started = cpu_seconds(process.pid), time.monotonic()
    time.sleep(0.5)
    assert cpu_seconds(process.pid) - before < (time.monotonic() - started) / 4
    with port.connected() as third:
        third.send('{"id":8,"do":"clock"}\n')
        third.wait('"id":8')


def test_follow_ends_with_its_client(port: Port, tmp_path: Path) -> None:
    port.plug(tmp_path)
    fifo = tmp_path / "source"
    os.mkfifo(fifo)
    writer = os.open(fifo, os.O_RDWR)
    with port.connected() as first:
        first.send(json.dumps({"id": 1, "do": "follow", "path": str(fifo)}) + "\n")
        first.send('{"id":2,"do":"clock"}\n')
        first.wait('"id":2')
    time.sleep(0.05)
    os.write(writer, b"for nobody")
    with port.connected() as second:
        second.send('{"id":2,"do":"stop","stream":1}\n')
        second.wait('"gone"')
        assert b"stream" not in second.seen.replace(b"no such stream", b"")
    os.close(writer)
