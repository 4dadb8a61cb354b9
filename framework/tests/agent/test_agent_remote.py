# SPDX-License-Identifier: Apache-2.0
"""An agent behind SSH ends with its connection, takes what is tied to it along, and relays sockets."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.agent.conftest import HARMLESS, PATIENCE, assert_no_report

if TYPE_CHECKING:
    from tests.agent.conftest import Agent


def gone(pid: int) -> bool:
    late = time.monotonic() + PATIENCE
    while time.monotonic() < late:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("tied", [True, False])
def test_what_is_tied_ends_with_the_agent(agent_program: Path, tied: bool) -> None:
    with subprocess.Popen(
        [*HARMLESS, agent_program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        request = {"id": 1, "do": "exec", "argv": ["sleep", "1000"], "detach": True, "tied": tied}
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        pid = json.loads(process.stdout.readline())["ok"]["pid"]
        process.kill()
    if tied:
        assert gone(pid)
    else:
        os.kill(pid, 9)


def test_only_what_is_detached_can_be_tied(agent: Agent) -> None:
    assert agent.kind("exec", argv=["true"], tied=True) == "usage"


def test_it_ends_when_it_hears_nothing(agent_program: Path) -> None:
    started = time.monotonic()
    with subprocess.Popen(
        [*HARMLESS, agent_program, "--stdio", "--idle", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.wait(PATIENCE) == 1
    assert time.monotonic() - started > 0.9


@pytest.mark.parametrize("words", [["--idle"], ["--idle", "0"], ["--idle", "x"], ["--never"]])
def test_wrong_options(agent_program: Path, words: list[str]) -> None:
    done = subprocess.run([agent_program, "--stdio", *words], stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 2
    assert b"usage:" in done.stderr


def test_relay(agent_program: Path, tmp_path: Path) -> None:
    """Everything goes both ways, in order, and the end of one side is the end of the relay."""
    path = tmp_path / "s"
    sent = os.urandom(3 << 20)
    relay = subprocess.Popen(
        [agent_program, "--connect", path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert relay.stdin is not None
    assert relay.stdout is not None
    time.sleep(0.1)  # it must wait for whoever starts to listen late
    with relay, socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        peer, _ = server.accept()
        writing = threading.Thread(target=lambda: (relay.stdin.write(sent), relay.stdin.flush()))  # type: ignore[union-attr]
        writing.start()
        with peer:
            got = b""
            while len(got) < len(sent):
                got += peer.recv(1 << 20)
            assert got == sent
            peer.sendall(b"back\n")
            assert relay.stdout.readline() == b"back\n"
        writing.join()
        assert relay.wait(PATIENCE) == 0
        assert relay.stderr is not None
        assert_no_report(relay.stderr.read().decode())


def test_relay_to_nowhere(agent_program: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [agent_program, "--connect", tmp_path / ("x" * 200)], stdin=subprocess.DEVNULL, capture_output=True
    )
    assert done.returncode == 1
    assert b"cannot connect" in done.stderr
