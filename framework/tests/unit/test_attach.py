# SPDX-License-Identifier: Apache-2.0
"""Who joins a world is served, told what went wrong, and told that it is over. No world is needed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from seabus.attach import PROTOCOL, SOCKET, client, requests
from seabus.attach.joinable import Joinable
from seabus.attach.server import serving
from seabus.errors import AgentError, ChannelError, DeadlineError
from seabus.interactive.loop import LoopThread
from seabus.machine.run_folder import Running
from seabus.observe.events import Event, Recorder

SECONDS = 10.0


class Told:
    """An agent that notes what it was asked, and whose commands end when they are told to."""

    level = "L1"

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.killed = threading.Event()
        self.begun = threading.Event()

    async def request(self, verb: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401
        self.asked.append((verb, arguments))
        self.begun.set()
        if arguments["argv"] == ["for-ever"]:
            await asyncio.Event().wait()
        return {"exit": 7, "signal": None, "stdout": b"out", "stderr": b""}

    async def run(self, *argv: str) -> None:
        self.asked.append(("run", {"argv": list(argv)}))
        self.killed.set()
        raise AgentError("a machine without a shell", kind="os")


class Lost:
    """A stage where a fault is lost."""

    def __init__(self, agent: Told) -> None:
        self.recorder = Recorder()
        self._agent = agent

    def agent(self, level: str) -> Told:
        del level
        return self._agent

    async def inject(self, fault: object) -> None:
        del fault

    async def finish(self, expectations: object) -> Any:  # noqa: ANN401 - an Outcome, as far as it is read
        del expectations
        return SimpleNamespace(judgement=SimpleNamespace(reason="injection lost: APEI is off"))


class World:
    """A fake, as far as the server looks at it."""

    def __init__(self, loop: LoopThread, folder: Path) -> None:
        self.loop = loop
        self.run_folder = folder
        self.agent = Told()
        self.stage = Lost(self.agent)
        self.session = SimpleNamespace(stage=self.stage)
        self.victims: list[object] = []

    def happens(self, text: str) -> None:
        event = Event(level="L1", witness="trace", kind="trouble", clock_ns=0, fields={"what": text})
        self.loop.loop.call_soon_threadsafe(self.stage.recorder.add, event)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with LoopThread() as loop:
        yield World(loop, tmp_path)


def served(world: World) -> Any:  # noqa: ANN401 - a context
    return serving(cast(Joinable, world))


class Asking:
    """A connection with one request."""

    def __init__(self, world: World, do: str, **arguments: object) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(SECONDS)
        self.connection.connect(str(world.run_folder / SOCKET))
        request = {"version": PROTOCOL, "do": do, **arguments}
        self.connection.sendall(json.dumps(request).encode() + b"\n")
        self._lines = self.connection.makefile("rb")

    def line(self) -> dict[str, Any] | None:
        told = self._lines.readline()
        return json.loads(told) if told else None

    def close(self) -> None:
        self._lines.close()
        self.connection.close()


def test_who_watches_hears_that_the_world_is_over(world: World) -> None:
    """As after a rewind: the process, and its loop, live on."""
    with served(world):
        watch = Asking(world, "watch", all=True)
        world.happens("first")
        told = watch.line()
        assert told is not None
        assert told["event"]["fields"] == {"what": "first"}
        silent = socket.socket(socket.AF_UNIX)
        silent.settimeout(SECONDS)
        silent.connect(str(world.run_folder / SOCKET))
    assert watch.line() is None
    with contextlib.suppress(ConnectionResetError):
        assert silent.recv(1) == b""
    assert world.stage.recorder.listeners == []
    watch.close()
    silent.close()


def test_a_command_ends_with_who_asked_for_it(world: World) -> None:
    with served(world):
        done = Asking(world, "exec", level="l1", argv=["true"])
        assert done.line() == {"ok": {"exit": 7, "signal": None, "stdout": "b3V0", "stderr": ""}}
        done.close()
        world.agent.begun.clear()
        asking = Asking(world, "exec", level="l1", argv=["for-ever"])
        assert world.agent.begun.wait(SECONDS)
        asking.close()
        assert world.agent.killed.wait(SECONDS)
    (_, _), (verb, asked), (_, kill) = world.agent.asked
    assert verb == "exec"
    (mark,) = asked["env"].items()
    assert kill["argv"][-1] == "=".join(mark)


def test_a_lost_injection_is_an_error_of_the_machine(world: World) -> None:
    with served(world):
        asking = Asking(world, "inject", address="0x40000000")
        told = asking.line()
        asking.close()
    assert told is not None
    assert told["error"]["class"] == "MachineError"
    assert told["error"]["message"] == "injection lost: APEI is off"
    assert told["error"]["hint"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device", "record.cper"), "No space left on device: record.cper"),
        (RuntimeError("oops"), "internal error, please report it: RuntimeError('oops')"),
    ],
    ids=["full", "ours"],
)
def test_what_nobody_foresaw_is_told_too(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    async def fails(_: object) -> None:
        raise error

    monkeypatch.setattr(world.stage, "inject", fails)
    with served(world):
        for _ in range(2):  # the world goes on
            asking = Asking(world, "inject", address="0x40000000")
            told = asking.line()
            asking.close()
            assert told is not None
            assert told["error"]["message"] == message


def running(folder: Path) -> Running:
    return Running(
        name="1-ab",
        folder=folder,
        owner_pid=1,
        emulator_pid=None,
        purpose="up",
        started=0.0,
        artefacts="",
        until=None,
    )


@pytest.mark.parametrize("do", ["touch", "exec", "watch"])
def test_a_world_that_stands_still_is_not_awaited_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, do: str
) -> None:
    """The kernel still lets in whoever comes."""
    monkeypatch.setattr(client, "_ANSWER_S", 0.2)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET))
        listener.listen()
        with pytest.raises(DeadlineError, match="for 1-ab to answer"):
            list(client.stream(running(tmp_path), do)) if do == "watch" else client.ask(running(tmp_path), do)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (b"", "1-ab ended before it answered touch"),
        (b'{"ok": {"outc', "1-ab ended before it answered touch"),
        (b"what?\n", "1-ab answers what makes no sense: b'what"),
    ],
)
def test_a_world_that_ends_in_the_middle_of_a_word(tmp_path: Path, said: bytes, message: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                lines.readline()
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ChannelError) as caught:
            client.ask(running(tmp_path), "touch")
        thread.join()
    assert caught.value.message.startswith(message)


def test_a_request_that_makes_no_sense(world: World) -> None:
    with served(world):
        for do, arguments in (
            ("dance", {}),
            ("exec", {"level": "l0", "argv": []}),
            ("inject", {"address": "x"}),
        ):
            asking = Asking(world, do, **arguments)
            told = asking.line()
            asking.close()
            assert told is not None
            assert told["error"]["class"] == "UsageError"


def test_a_command_and_its_children_are_found_by_their_mark() -> None:
    """What the agent is told to run, run here."""
    mark = uuid.uuid4().hex
    argv = ["sh", "-c", "sleep 600 & wait"]
    with subprocess.Popen(argv, env={"PATH": os.environ["PATH"], requests._MARK: mark}) as command:
        with subprocess.Popen(["sleep", "600"]) as another:
            children: list[psutil.Process] = []
            while not children:
                children = psutil.Process(command.pid).children()
            subprocess.run(["sh", "-c", requests._KILL, "sh", f"{requests._MARK}={mark}"], check=True)
            assert command.wait(SECONDS) == -9
            psutil.wait_procs(children, timeout=SECONDS)
            assert another.poll() is None
            another.kill()
        assert not any(child.is_running() and child.status() != "zombie" for child in children)
