# SPDX-License-Identifier: Apache-2.0
"""The keeper: a small process that an emulator belongs to, so that it can outlive the run that started it.

An emulator dies with its parent. Where a world may have to stay up, its parent is a keeper. A socket ties the
keeper to the run: when it closes without a word, however the run ended, the keeper ends the emulator. After
``keep`` it holds the emulator and the lock of the run folder by itself, until it is told to end (SIGTERM),
its time is up, or the emulator ends. With that word may come the run's ends of the channels: once the run has
let go of them, a server beside the emulator takes them up.

Run as ``python -m seabus.machine.keeper``; its first process stays with the run, and ends as the emulator
does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

_ENDED_BY_US: Final = 0
#: Of a word; it is one line, and sent at once.
_WORD_BYTES: Final = 1 << 16
_MOST_DESCRIPTORS: Final = 16


@dataclass(frozen=True)
class Beside:
    """A server to be run beside an emulator that is kept.

    :param argv: the numbers of its descriptors, in their order, are added as its last word: ``5,6,7``.
    :param descriptors: the run's ends of the emulator's channels.
    """

    argv: Sequence[str]
    descriptors: Sequence[int]


def keep(run: socket.socket, seconds: float, beside: Beside | None = None) -> None:
    """Say the word.

    :param run: the run's end of the socket that ties the keeper to it; until it is closed, the channels are
        the run's.
    """
    word = {"keep": seconds, "beside": list(beside.argv) if beside else None}
    descriptors = list(beside.descriptors) if beside else []
    run.setblocking(True)
    socket.send_fds(run, [json.dumps(word).encode() + b"\n"], descriptors)


def command(
    argv: Sequence[str], *, control: int, lock: int, folder: Path, descriptors: Sequence[int]
) -> list[str]:
    """The argv of a keeper.

    :param argv: of the emulator.
    :param control: the keeper's end of the socket that ties it to the run.
    :param lock: the locked file that says that the owner of the run folder lives.
    :param descriptors: what the emulator inherits.
    """
    return [
        *(sys.executable, "-m", __name__, "--control", str(control), "--lock", str(lock)),
        *("--folder", str(folder), "--pass", ",".join(map(str, descriptors)), "--", *argv),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="seabus.machine.keeper")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--lock", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pass", dest="descriptors", default="")
    parser.add_argument("argv", nargs="+")
    options = parser.parse_args()
    descriptors = [int(number) for number in options.descriptors.split(",") if number]
    told, tell = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        os.setsid()
        os.close(told)
        run = socket.socket(fileno=options.control)
        os._exit(_keep(run, tell, options.folder, options.argv, descriptors))
    for descriptor in (tell, options.control, options.lock, *descriptors):
        os.close(descriptor)
    if os.read(told, 1):
        return 0  # it goes on without us
    code = os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _keep(run: socket.socket, tell: int, folder: Path, argv: list[str], descriptors: list[int]) -> int:
    """Until the end of the emulator; its exit status, or death by the same signal."""
    waking, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    emulator = subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=descriptors, restore_signals=False)
    for descriptor in descriptors:
        os.close(descriptor)
    run.sendall(f"{emulator.pid}\n".encode())
    until, kept, beside = None, False, _Nobody()
    with selectors.DefaultSelector() as selector:
        selector.register(run, selectors.EVENT_READ)
        selector.register(waking, selectors.EVENT_READ)
        selector.register(os.pidfd_open(emulator.pid), selectors.EVENT_READ)
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            ready = [key.fileobj for key, _ in selector.select(left)]
            if run in ready and kept:
                selector.unregister(run)
                run.close()
                beside.start()
            elif run in ready and (word := _Word.heard(run)):
                until, kept, beside = time.monotonic() + word.seconds, True, word.beside
                os.write(tell, b"k")
                os.close(tell)
            elif ready != [] or (until is not None and time.monotonic() >= until):
                break
    ours = emulator.poll() is None
    emulator.kill()
    code = emulator.wait()
    beside.end()
    if kept:
        from seabus.machine.run_folder import bury

        bury(folder)
    if ours:
        return _ENDED_BY_US
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


class _Nobody:
    """Runs beside an emulator whose run had nobody to leave there."""

    def start(self) -> None:
        pass

    def end(self) -> None:
        pass


class _Server(_Nobody):
    """Ends with us, however we end. That it fails is its own matter: the emulator goes on."""

    def __init__(self, argv: Sequence[str], descriptors: Sequence[int]) -> None:
        self._argv = argv
        self._descriptors = descriptors
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = ["setpriv", "--pdeathsig", "KILL", *self._argv, ",".join(map(str, self._descriptors))]
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, pass_fds=self._descriptors, restore_signals=False
            )
        for descriptor in self._descriptors:
            os.close(descriptor)

    def end(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()


@dataclass(frozen=True)
class _Word:
    seconds: float
    beside: _Nobody

    @classmethod
    def heard(cls, run: socket.socket) -> Self | None:
        """The word that the run says; None if it ended without one."""
        try:
            line, descriptors, _, _ = socket.recv_fds(run, _WORD_BYTES, _MOST_DESCRIPTORS)
        except OSError:
            return None
        if not line:
            return None
        word: dict[str, Any] = json.loads(line)
        return cls(word["keep"], _Server(word["beside"], descriptors) if word["beside"] else _Nobody())


if __name__ == "__main__":
    sys.exit(main())
