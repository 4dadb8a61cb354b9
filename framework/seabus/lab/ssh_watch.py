# SPDX-License-Identifier: Apache-2.0
"""When an SSH connection is over: it says so, or its other side is silent for too long."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import Future
from typing import Final

import paramiko

from seabus.patience import scale

#: Seconds between signs of life that we ask for.
_KEEPALIVE: Final = 5.0
#: So many that are not answered end the connection (as sshd's ClientAliveCountMax).
_UNANSWERED: Final = 3


class Watch:
    """Knows when a connection is over, and ends one whose other side has fallen silent.

    TCP alone notices nothing when a host hangs or its cable is pulled, and paramiko's keepalive asks for no
    answer. Here each sign of life wants one.
    """

    def __init__(self, transport: paramiko.Transport, name: str) -> None:
        #: Done when the connection is over. One for all who wait: it cannot be cancelled by one of them.
        self.over: Future[None] = Future()
        self.over.set_running_or_notify_cancel()
        self._transport = transport
        self._asked_at: float | None = None
        self._end = threading.Event()
        for work in (self._ask, self._look):
            threading.Thread(target=work, name=f"ssh {name} watch", daemon=True).start()

    def _ask(self) -> None:
        # paramiko waits for an answer as long as the connection lasts: hence a thread of its own.
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            while not self._end.wait(_KEEPALIVE):
                self._asked_at = time.monotonic()
                self._transport.global_request("keepalive@openssh.com", wait=True)
                self._asked_at = None

    def _look(self) -> None:
        try:
            while self._transport.is_active():
                asked_at = self._asked_at
                if asked_at is not None and time.monotonic() - asked_at > _KEEPALIVE * _UNANSWERED * scale():
                    self._transport.close()
                    break
                self._transport.join(_KEEPALIVE / 5)
        finally:
            self._end.set()
            self.over.set_result(None)
