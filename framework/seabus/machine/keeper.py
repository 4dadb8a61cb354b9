# SPDX-License-Identifier: Apache-2.0
"""The keeper: a small process that an emulator belongs to, so that it can outlive the run that started it.

An emulator dies with its parent. Where a world may have to stay up, its parent is a keeper. A socket ties the
keeper to the run: when it closes without a word, however the run ended, the keeper ends the emulator. After
``keep`` it holds the emulator and the lock of the run folder by itself, until it is told to end (SIGTERM),
its time is up, or the emulator ends.

Run as ``python -m seabus.machine.keeper``; its first process stays with the run, and ends as the emulator
does.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

KEEP: Final = b"keep"
_ENDED_BY_US: Final = 0


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
    until, kept = None, False
    with selectors.DefaultSelector() as selector:
        selector.register(run, selectors.EVENT_READ)
        selector.register(waking, selectors.EVENT_READ)
        selector.register(os.pidfd_open(emulator.pid), selectors.EVENT_READ)
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            ready = [key.fileobj for key, _ in selector.select(left)]
            if run in ready and (word := _word(run)).startswith(KEEP):
                until, kept = time.monotonic() + float(word.split()[1]), True
                selector.unregister(run)
                run.close()
                os.write(tell, b"k")
                os.close(tell)
            elif ready != [] or (until is not None and time.monotonic() >= until):
                break
    ours = emulator.poll() is None
    emulator.kill()
    code = emulator.wait()
    if kept:
        from seabus.machine.run_folder import bury

        bury(folder)
    if ours:
        return _ENDED_BY_US
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _word(run: socket.socket) -> bytes:
    with contextlib.suppress(OSError):
        return run.recv(64)
    return b""


if __name__ == "__main__":
    sys.exit(main())
