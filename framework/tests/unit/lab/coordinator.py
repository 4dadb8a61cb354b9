# SPDX-License-Identifier: Apache-2.0
"""labgrid's coordinator, and other processes as owners, for tests of leases."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from unittest import mock

from seabus.lab.lease import Owner

#: As it saves one, in YAML, of which JSON is a part.
_PLACE: Final[dict[str, Any]] = {"aliases": [], "comment": "", "tags": {}, "matches": []}


class Coordinator:
    """A real labgrid coordinator with some places, to be killed."""

    def __init__(self, folder: Path, places: Iterable[str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._folder = folder
        # Made by its client they would be forgotten by a kill in the first 15 s.
        (folder / "places.yaml").write_text(json.dumps(dict.fromkeys(places, _PLACE)))
        self.process = self.start()
        self.client("places")

    def start(self) -> subprocess.Popen[bytes]:
        program = Path(sys.executable).with_name("labgrid-coordinator")
        with (self._folder / "coordinator.log").open("ab") as log:
            return subprocess.Popen([program, "-l", self.address], cwd=self._folder, stdout=log, stderr=log)

    def client(self, *words: str) -> None:
        program = Path(sys.executable).with_name("labgrid-client")
        late = time.monotonic() + 60
        while True:
            done = subprocess.run(
                [program, "-x", self.address, *words], capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                return
            assert time.monotonic() < late, done.stderr
            time.sleep(0.2)

    def wait_saved(self, words: str = "") -> None:
        """Until the places themselves are in its file: labgrid saves every 15 s.

        :param words: that are to be in it.
        """
        late = time.monotonic() + 60
        file = self._folder / "places.yaml"
        while not file.exists() or words not in file.read_text():
            assert time.monotonic() < late
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def owner_of(process: subprocess.Popen[bytes]) -> Owner:
    """What a process that holds a lease says of itself."""
    with mock.patch("os.getpid", return_value=process.pid):
        return Owner.me()
