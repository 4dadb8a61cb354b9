# SPDX-License-Identifier: Apache-2.0
"""The commands of the lab file end with us, however we end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from seabus.errors import HostError
from seabus.lab import power
from seabus.lab.inventory import LabHost

WORKER = """
import asyncio, sys
from pathlib import Path
from seabus.lab import power
from seabus.lab.inventory import LabHost
command = (sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(300)")
here = Path(sys.argv[2])
host = LabHost(name="h", address="a", host_key="k", console=command, power_cycle=("sh", str(here / "switch")))
(here / "switch").write_text(f"echo $$ >{here}/pid; exec sleep 300")
async def play():
    if sys.argv[1] == "console":
        async with power.console(host, here / "pid"):
            await asyncio.sleep(300)
    await power.cycle(host)
asyncio.run(play())
"""


def soon(true: Callable[[], bool]) -> bool:
    late = time.monotonic() + 10
    while not true() and time.monotonic() < late:
        time.sleep(0.02)
    return true()


@pytest.mark.parametrize("what", ["console", "cycle"])
def test_what_a_killed_worker_has_started_goes_with_it(tmp_path: Path, what: str) -> None:
    noted = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", WORKER, what, str(tmp_path)]) as worker:
        assert soon(lambda: noted.exists() and noted.read_text().endswith("\n"))
        pid = int(noted.read_text())
        assert psutil.pid_exists(pid)
        os.kill(worker.pid, signal.SIGKILL)
    try:
        assert soon(lambda: not psutil.pid_exists(pid))
    finally:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("key", ["console", "power-cycle"])
def test_a_program_that_is_not_there(tmp_path: Path, key: str) -> None:
    nothing = ("no-such-program", "x")
    host = LabHost(name="h", address="a", host_key="k", console=nothing, power_cycle=nothing)

    async def play() -> None:
        if key == "console":
            async with power.console(host, tmp_path / "log"):
                pass
        else:
            await power.cycle(host)

    with pytest.raises(HostError, match=f"h's {key} cannot be run: there is no program no-such-program"):
        asyncio.run(play())


def test_a_power_cycle_that_fails_is_told_with_its_words() -> None:
    host = LabHost(
        name="h", address="a", host_key="k", power_cycle=("sh", "-c", "echo no such outlet; exit 3")
    )
    with pytest.raises(HostError, match="ended with status 3") as caught:
        asyncio.run(power.cycle(host))
    assert caught.value.details["power-cycle"] == "no such outlet\n"


def test_a_console_is_recorded(tmp_path: Path) -> None:
    host = LabHost(name="h", address="a", host_key="k", console=("sh", "-c", "echo boot; exec sleep 100"))

    async def play() -> None:
        async with power.console(host, tmp_path / "log"):
            async with asyncio.timeout(10):
                while (tmp_path / "log").read_text() != "boot\n":  # noqa: ASYNC110 - a file sets no event
                    await asyncio.sleep(0.01)

    asyncio.run(play())
