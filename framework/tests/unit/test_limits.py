# SPDX-License-Identifier: Apache-2.0
"""What a machine may take of this computer, and what a run may keep of it, has an end (docs/SPEC.md)."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
from pathlib import Path

import psutil
import pytest

from seabus.channel.agent import LINE_LIMIT, Agent
from seabus.errors import ChannelError
from seabus.machine import process
from seabus.machine.process import EmulatorProcess
from seabus.report import artefacts

#: No process: beyond the largest number that Linux gives (include/linux/threads.h PID_MAX_LIMIT).
_NOBODY = 1 << 23


def test_an_agent_that_never_ends_its_line_is_left() -> None:
    async def play() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        agent = Agent("L2")
        await agent.connect(ours)
        asked = asyncio.create_task(agent.request("hello"))
        loop = asyncio.get_running_loop()
        block = b"x" * (1 << 20)
        for _ in range(LINE_LIMIT // len(block) + 2):
            try:
                await loop.sock_sendall(theirs, block)
            except ConnectionError:
                break
        with pytest.raises(ChannelError):
            await asked
        await agent.close()
        theirs.close()

    asyncio.run(asyncio.wait_for(play(), 60))


def test_an_emulator_is_limited(tmp_path: Path) -> None:
    async def limits() -> dict[int, tuple[int, int]]:
        sleeping = [sys.executable, "-c", "import time; time.sleep(300)"]
        emulator = await EmulatorProcess.start(
            sleeping, descriptors=(), stderr=tmp_path / "log", memory_mib=1024, file_mib=64
        )
        kinds = (psutil.RLIMIT_FSIZE, psutil.RLIMIT_NOFILE, psutil.RLIMIT_CORE, psutil.RLIMIT_AS)
        found = {kind: psutil.Process(emulator.pid).rlimit(kind) for kind in kinds}
        await emulator.kill()
        return found

    found = asyncio.run(limits())
    assert found[psutil.RLIMIT_FSIZE] == (64 << 20, 64 << 20)
    descriptors = process.MOST_DESCRIPTORS
    assert found[psutil.RLIMIT_NOFILE] == (descriptors, descriptors)
    assert found[psutil.RLIMIT_CORE] == (0, 0)
    most = (1024 + process.OWN_MIB) << 20
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    assert found[psutil.RLIMIT_AS][1] == (most if hard == resource.RLIM_INFINITY else min(most, hard))


def test_the_newest_folders_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEABUS_ARTEFACTS", str(tmp_path))
    for number in range(artefacts.KEEP + 5):
        (tmp_path / f"20200101-{number:06}-{_NOBODY}-00ff").mkdir()
    still_runs = tmp_path / f"20190101-000000-{os.getpid()}-00ff"
    others = [tmp_path / name for name in ("20190101", "20190101-000000", "results-2019")]
    for folder in (still_runs, *others):
        folder.mkdir()
    newest = artefacts.new()
    kept = {path.name for path in tmp_path.iterdir()} - {folder.name for folder in others}
    assert all(folder.is_dir() for folder in others)
    assert {still_runs.name, newest.name} < kept
    assert sorted(kept)[1] == f"20200101-000006-{_NOBODY}-00ff"
    assert len(kept - {still_runs.name}) == artefacts.KEEP
