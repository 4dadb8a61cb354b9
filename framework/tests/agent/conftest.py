# SPDX-License-Identifier: Apache-2.0
"""The agent, compiled for this machine under the sanitizers, and a client for it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]
SOURCES = sorted((ROOT / "images" / "agent").glob("*.c"))
SANITIZE = ["-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:")
#: This machine must never be poisoned. The agent refuses by itself; here it has not the means either.
HARMLESS = ["setpriv", "--bounding-set", "-sys_admin,-sys_rawio"] if os.geteuid() == 0 else []
PATIENCE = 20.0  # seconds for anything that should come at once

Json = dict[str, Any]


class Agent:
    """Speaks the agent protocol synchronously: one line out, then lines in until the reply."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests = requests
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._kept: list[Json] = []
        self._last_id = 0
        self._reader = threading.Thread(target=self._read, args=(answers,), daemon=True)
        self._reader.start()

    def _read(self, answers: IO[bytes]) -> None:
        with contextlib.suppress(ValueError, OSError):
            for line in answers:
                self._lines.put(line)
        self._lines.put(b"")

    def join(self) -> None:
        self._reader.join(PATIENCE)

    def send_bytes(self, data: bytes) -> None:
        self._requests.write(data)
        self._requests.flush()

    def send(self, verb: str, **arguments: object) -> int:
        self._last_id += 1
        request = {"id": self._last_id, "do": verb, **arguments}
        self.send_bytes(json.dumps(request).encode() + b"\n")
        return self._last_id

    def receive(self, wanted: Callable[[Json], bool]) -> Json:
        """The first message that is wanted, others being kept for later."""
        for message in self._kept:
            if wanted(message):
                self._kept.remove(message)
                return message
        deadline = time.monotonic() + PATIENCE
        while True:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            assert line, "the agent has ended"
            message = json.loads(line.decode("utf-8", "strict"))
            assert isinstance(message, dict)
            if wanted(message):
                return message
            self._kept.append(message)

    def reply(self, number: int) -> Json:
        return self.receive(lambda message: message.get("id") == number)

    def stream(self, number: int) -> Json:
        return self.receive(lambda message: message.get("stream") == number)

    def refusal(self) -> str:
        """The kind of the next error that is no request's."""
        message = self.receive(lambda message: "id" in message and message["id"] is None)
        return str(message["error"]["kind"])

    def ok(self, verb: str, **arguments: object) -> Json:
        reply = self.reply(self.send(verb, **arguments))
        assert "ok" in reply, reply
        result = reply["ok"]
        assert isinstance(result, dict)
        return result

    def error(self, verb: str, **arguments: object) -> Json:
        reply = self.reply(self.send(verb, **arguments))
        assert "error" in reply, reply
        error = reply["error"]
        assert isinstance(error, dict)
        assert isinstance(error["message"], str)
        return error

    def kind(self, verb: str, **arguments: object) -> str:
        return str(self.error(verb, **arguments)["kind"])


def build(output: Path, *more: str) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.fail("no C compiler: bash ci/test installs one")
    subprocess.run(
        [compiler, "-std=gnu11", *SANITIZE, "-o", str(output), *map(str, SOURCES), *more],
        check=True,
    )
    return output


@pytest.fixture(scope="session")
def agent_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("agent") / "seabus-agent")


@pytest.fixture(scope="session")
def port_agent_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wrapped = [f"-Wl,--wrap={name}" for name in ("open", "opendir", "fopen", "write", "poll")]
    shim = Path(__file__).with_name("port_shim.c")
    return build(tmp_path_factory.mktemp("agent") / "seabus-agent", str(shim), *wrapped)


def assert_no_report(stderr: str) -> None:
    assert not any(report in stderr for report in REPORTS), stderr


@pytest.fixture
def agent(agent_program: Path, tmp_path: Path) -> Iterator[Agent]:
    """An agent on --stdio. At the end it must leave with 0, and nothing for a sanitizer."""
    errors = tmp_path / "agent.stderr"
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(
            [*HARMLESS, agent_program, "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "LSAN_OPTIONS": "exitcode=66"},
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        client = Agent(process.stdin, process.stdout)
        try:
            yield client
            process.stdin.close()
            status = process.wait(PATIENCE)
            client.join()
        finally:
            process.kill()
    assert_no_report(errors.read_text(errors="replace"))
    assert status == 0
