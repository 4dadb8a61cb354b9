# SPDX-License-Identifier: Apache-2.0
"""However a run ends - killed, interrupted, starved - it leaves nothing, and says what it died of."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from seabus.errors import HostError
from seabus.images import emulator, guests
from seabus.images.store import Store
from soaks.row import Row, Trial, say
from soaks.victims import PYTEST, SEABUS, Scene, ended, scene
from soaks.worlds import a_template

_TEST: Final = "testcases/test_consumed_page.py"
#: A whole fault takes less than this; a builder boots for half a minute.
_RUN_S: Final = 4.0
_BUILD_S: Final = 45.0
#: What a run is sent, how often, and the exit status it owes.
_POLITE: Final[dict[str, tuple[signal.Signals, int, int]]] = {
    "SIGINT": (signal.SIGINT, 1, 130),
    "SIGINT twice": (signal.SIGINT, 2, 130),
    "SIGTERM": (signal.SIGTERM, 1, 143),
    "SIGHUP": (signal.SIGHUP, 1, 129),
}


async def _killed(trial: Trial) -> str:
    """kill -9 of a command, of pytest, of one of its workers, or of who builds a template."""
    whose = trial.kind
    cache = _a_cache(trial) if whose == "builder" else None
    with scene(trial.folder, cache=cache) as stage:
        process = await _begin(stage, whose)
        longest = _BUILD_S if whose == "builder" else _RUN_S
        await _for(process, trial.dice.uniform(0, longest))
        if whose == "worker":
            workers = [
                one for one in stage.processes() if one.ppid() == process.pid and "-c" in one.cmdline()
            ]
            if workers:
                trial.dice.choice(workers).kill()
            if await ended(process) is None:
                return "pytest did not end after one of its workers was killed"
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        return (left := await stage.left()) and f"{whose}: {left}"


async def _begin(stage: Scene, whose: str) -> asyncio.subprocess.Process:
    if whose in ("pytest", "worker"):
        return await stage.start(*PYTEST, "-n", "2", _TEST)
    more = (f"--l2-append=seabus.soak={stage.folder.name}",) if whose == "builder" else ()
    return await stage.start(*SEABUS, "run", "--artefacts", str(stage.folder / "run"), *more)


@contextlib.asynccontextmanager
async def _images(folder: Path) -> AsyncIterator[list[Path]]:
    """What builders need, so that they are killed while they boot, and not while they download."""
    async with a_template(folder):
        pass
    yield [image.entry.path for image in (emulator.get(Store(), say=say), guests.get(Store(), say=say))]


def _a_cache(trial: Trial) -> Path:
    """A cache with the images and no template."""
    cache = trial.folder / "cache"
    cache.mkdir()
    for path in trial.shared:
        (cache / path.name).symlink_to(path)
    return cache


async def _interrupted(trial: Trial) -> str:
    """SIGINT once or twice, SIGTERM, SIGHUP, at any moment."""
    number, times, owed = _POLITE[trial.kind]
    with scene(trial.folder) as stage:
        process = await stage.start(*SEABUS, "run", "--artefacts", str(trial.folder / "run"))
        await _for(process, trial.dice.uniform(0.3, 2.0))
        if process.returncode is not None:
            return ""  # it was through already
        begun = time.monotonic()
        for _ in range(times):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            await asyncio.sleep(0.05 if times > 1 else 0)
        code = await ended(process, within=60)
        spent = time.monotonic() - begun
        if code not in (owed, -number, 0):
            return f"{trial.kind}: exit status {code}: {stage.said()[-300:]}"
        if "Traceback" in stage.said() and times == 1:
            return f"{trial.kind}: a traceback: {stage.said()[-500:]}"
        if spent > 10:
            return f"{trial.kind}: took {spent:.1f} s to end"
        return await stage.left()


async def _starved(trial: Trial) -> str:
    """No descriptors left, no room left, or the emulator killed as the OOM killer does it."""
    what = trial.kind
    run = (*SEABUS, "run", "--artefacts", str(trial.folder / "run"))
    with scene(trial.folder) as stage:
        if what == "descriptors":
            limit = trial.dice.randint(12, 40)
            process = await stage.start("sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *run)
        elif what == "room":
            (trial.folder / "run").mkdir()
            size = trial.dice.choice((4, 16, 64, 128))
            mount = f'mount -t tmpfs -o size={size}k none "{trial.folder}/run" && exec "$@"'
            process = await stage.start("unshare", "-m", "sh", "-c", mount, "sh", *run)
        else:
            process = await stage.start(*run)
            await _kill_the_emulator(stage, process, trial.dice.uniform(0, 1.0))
        code = await ended(process, within=180)
        said = stage.said()
        if code == 0 and "PASS" in said:
            return await stage.left()  # it had enough, or was through
        if code != 3:
            return f"{what}: exit status {code}, not 3: {said[-400:]}"
        if "Traceback" in said or "internal error" in said:
            return f"{what}: not told as what it is: {said[-600:]}"
        return await stage.left()


async def _kill_the_emulator(stage: Scene, process: asyncio.subprocess.Process, after: float) -> None:
    while process.returncode is None:
        await asyncio.sleep(0.05)
        if found := stage.emulators():
            await asyncio.sleep(after)
            for one in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
            return


@contextlib.asynccontextmanager
async def _a_stepping_clock(folder: Path) -> AsyncIterator[Path]:
    """A library that steps the clock of the day of whoever has it preloaded."""
    async with a_template(folder):
        pass
    library = folder / "clock_step.so"
    source = Path(__file__).with_name("clock_step.c")
    compiler = await asyncio.create_subprocess_exec("cc", "-shared", "-fPIC", "-o", library, source)
    if await compiler.wait():
        raise HostError("the C compiler cannot make a shared library", hint="bash ci/test installs one")
    yield library


async def _clock_steps(trial: Trial) -> str:
    """A day forth or back, at any moment of a run; this computer's own clock stays as it is."""
    by = int(trial.kind)
    at = time.monotonic() + trial.dice.uniform(0.2, 2.5)
    stepped = {"LD_PRELOAD": str(trial.shared), "SOAK_STEP_AT": str(int(at * 1000)), "SOAK_STEP_BY": str(by)}
    with scene(trial.folder, more=stepped) as stage:
        process = await stage.start(*SEABUS, "run", "--artefacts", str(trial.folder / "run"))
        code = await ended(process)
        if code != 0 or "PASS" not in stage.said():
            return f"{by:+} s: exit status {code}: {stage.said()[-400:]}"
        return await stage.left()


async def _worker_dies(trial: Trial) -> str:
    """Exactly the test that a killed worker was in is told as an error; every other one passes.

    One that was killed while the world of its test ended has told that the test itself passed.
    """
    suite = trial.folder / "test_ten.py"
    suite.write_text(_TEN)
    with scene(trial.folder) as stage:
        process = await stage.start(*PYTEST, "-n", "2", "-rA", str(suite))
        await _for(process, trial.dice.uniform(1.5, 8.0))
        workers = [one for one in stage.processes() if one.ppid() == process.pid and "-c" in one.cmdline()]
        if not workers:
            return ""
        trial.dice.choice(workers).kill()
        code = await ended(process)
        told = {"PASSED": set(), "FAILED": set(), "ERROR": set()}  # type: dict[str, set[str]]
        for line in stage.said().splitlines():
            if (word := line.split(" ", 1)[0]) in told and (test := _TEST_OF_TEN.search(line)):
                told[word].add(test[0])
        bad = told["FAILED"] | told["ERROR"]
        if len(bad) > 1 or len(bad | told["PASSED"]) != _TESTS or code != (1 if bad else 0):
            return f"{len(told['PASSED'])} passed, {bad} did not, exit status {code}: {stage.said()[-1500:]}"
        return await stage.left()


_TESTS: Final = 10
_TEST_OF_TEN: Final = re.compile(r"test_one\[\d+\]")
_TEN: Final = """
import pytest
@pytest.mark.parametrize("number", range(10))
def test_one(world, number):
    assert world.guest.run("sleep", "0.4").exit == 0
"""


async def _for(process: asyncio.subprocess.Process, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(process.wait()), seconds)


ROWS: Final = (
    Row(
        name="kills",
        promise="kill -9 of a command, pytest, a worker or a builder leaves no process, lock, socket or"
        " folder after 5 s",
        kinds=("command", "pytest", "worker", "builder"),
        each=50,
        lanes=2,
        trial=_killed,
        shares=_images,
    ),
    Row(
        name="interruptions",
        promise="SIGINT once or twice, SIGTERM and SIGHUP end a run in 10 s, with 128+N, and leave nothing",
        kinds=tuple(_POLITE),
        each=20,
        trial=_interrupted,
        shares=a_template,
    ),
    Row(
        name="starvation",
        promise="no descriptors, no room or no memory left is an `error` told in a line, and leaves nothing",
        kinds=("descriptors", "room", "memory"),
        each=20,
        trial=_starved,
        shares=a_template,
    ),
    Row(
        name="clock",
        promise="a run whose clock of the day steps by a day is judged `pass`, and leaves nothing",
        kinds=("86400", "-86400"),
        each=20,
        trial=_clock_steps,
        shares=_a_stepping_clock,
    ),
    Row(
        name="workers",
        promise="of a killed worker exactly the one test it was in is an error",
        each=50,
        trial=_worker_dies,
        shares=a_template,
    ),
)

assert sys.platform == "linux"
