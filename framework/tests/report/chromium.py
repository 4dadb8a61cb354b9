# SPDX-License-Identifier: Apache-2.0
"""Chromium without a window, driven by the DevTools protocol over a pair of pipes: no port, no driver."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from seabus.patience import scale

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS: Final = (
    "--headless",
    "--no-sandbox",  # it is run by root in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
_DEADLINE: Final = 30.0


def program() -> str | None:
    """Chromium, if it is installed."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


class Chromium:
    """One browser with one page. Made by :meth:`started`.

    :ivar said: what went wrong in the page: its console's errors, exceptions, and what its policy refused.
    :ivar asked: the addresses of everything it has asked for.
    """

    def __init__(self, to: int, back: int) -> None:
        self._to = to
        self._back = back
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self._events: list[str] = []
        self.said: list[str] = []
        self.asked: list[str] = []

    @classmethod
    @contextlib.contextmanager
    def started(cls, profile: Path, *, width: int = 1280, height: int = 900) -> Iterator[Chromium]:
        """A browser with a profile of its own; it ends with the body."""
        found = program()
        assert found is not None
        read_by_it, to = os.pipe()
        back, written_by_it = os.pipe()

        def wired() -> None:  # the protocol's pipes are descriptors 3 and 4
            copies = [os.dup(read_by_it), os.dup(written_by_it)]
            for number, copy in zip((3, 4), copies, strict=True):
                os.dup2(copy, number)

        process = subprocess.Popen(
            [
                found,
                *_OPTIONS,
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                "about:blank",
            ],
            preexec_fn=wired,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(read_by_it)
        os.close(written_by_it)
        try:
            browser = cls(to, back)
            browser._attach(width, height)
            yield browser
        finally:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, 9)
            process.wait()
            os.close(to)
            os.close(back)

    def open(self, address: str) -> float:
        """Show a page; the seconds until all of it was there and laid out."""
        self._events.clear()
        begun = time.monotonic()
        self.do("Page.navigate", url=address)
        self._until("Page.loadEventFired")
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return time.monotonic() - begun

    def run(self, script: str) -> Any:  # noqa: ANN401 - whatever the script comes to
        """What a script in the page comes to; promises are awaited."""
        answer = self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def show_as(self, *, dark: bool = False, paper: bool = False) -> None:
        """How pages are shown from now on."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", media="print" if paper else "screen", features=[scheme])

    def picture(self, to: Path) -> Path:
        """What can be seen, as PNG."""
        to.write_bytes(base64.b64decode(self.do("Page.captureScreenshot", format="png")["data"]))
        return to

    def small_picture(self, to: Path, *, width: int, height: int) -> Path:
        """The same at a quarter of its size."""
        clip = {"x": 0, "y": self.run("scrollY"), "width": width, "height": height, "scale": 0.25}
        data = self.do("Page.captureScreenshot", format="png", clip=clip)["data"]
        to.write_bytes(base64.b64decode(data))
        return to

    def printed(self) -> bytes:
        """The page as PDF."""
        return base64.b64decode(self.do("Page.printToPDF", printBackground=True)["data"])

    def do(self, method: str, **parameters: Any) -> Any:  # noqa: ANN401 - the protocol's
        """One command of the protocol, and its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(method)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    # Inside

    def _attach(self, width: int, height: int) -> None:
        target = next(one for one in self.do("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self._session = self.do("Target.attachToTarget", targetId=target["targetId"], flatten=True)[
            "sessionId"
        ]
        self.do("Emulation.setFocusEmulationEnabled", enabled=True)
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility", "DOM"):
            self.do(f"{domain}.enable")
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def _until(self, event: str) -> None:
        while event not in self._events:
            self._next(event)

    def _next(self, what: str) -> dict[str, Any]:
        """The next message; what pages say of themselves is kept."""
        end = time.monotonic() + _DEADLINE * scale()
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._back], [], [], max(0.0, end - time.monotonic()))
            chunk = os.read(self._back, 1 << 20) if ready else b""
            assert chunk, f"Chromium did not answer: {what}"
            self._buffer += chunk
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        if method := message.get("method"):
            self._keep(method, message["params"])
        return message

    def _keep(self, method: str, told: dict[str, Any]) -> None:
        self._events.append(method)
        if method == "Runtime.exceptionThrown":
            self.said.append(str(told["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.said.append(f"{told['entry']['level']}: {told['entry']['text']}")
        elif method == "Runtime.consoleAPICalled":
            self.said.append(str(told["args"]))
        elif method == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])
