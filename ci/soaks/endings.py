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
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from seabus.errors import HostError
from seabus.images import emulator, guests
from seabus.images.store import Store
from soaks.row import NothingDoneError, Row, Trial, say
from soaks.victims import PATIENCE_S, PYTEST, SEABUS, Scene, ended, scene
from soaks.worlds import a_template

_TEST: Final = "testcases/test_consumed_page.py"
#: Within these whoever is to be killed is surely still at work, or nearly.
_LIVES_S: Final = {"command": 2.0, "pytest": 6.0, "worker": 6.0, "builder": 30.0}
#: Who is sent what, how often, and the exit statuses that are right then: pytest says 2 of an interruption,
#: and dies of what it does not know, and so does a command that has hardly begun.
_POLITE: Final[dict[str, tuple[str, signal.Signals, int, tuple[int, ...]]]] = {
    "SIGINT": ("command", signal.SIGINT, 1, (130, -signal.SIGINT)),
    "SIGINT twice": ("command", signal.SIGINT, 2, (130, -signal.SIGINT)),
    "SIGTERM": ("command", signal.SIGTERM, 1, (143, -signal.SIGTERM)),
    "SIGHUP": ("command", signal.SIGHUP, 1, (129, -signal.SIGHUP)),
    "SIGINT of pytest": ("pytest", signal.SIGINT, 1, (2, -signal.SIGINT)),
    "SIGTERM of pytest": ("pytest", signal.SIGTERM, 1, (-signal.SIGTERM,)),
}
#: So long an interrupted run may take to clear up.
_POLITE_S: Final = 5.0
_GLANCE_S: Final = 0.1
#: Before it a program has not taken its signals into its hands.
_AWAKE_S: Final = 0.3


async def _killed(trial: Trial) -> str:
    """kill -9 of a command, of pytest, of one of its workers, or of who builds a template."""
    whose = trial.kind
    cache = _a_cache(trial) if whose == "builder" else None
    with scene(trial.folder, cache=cache) as stage:
        process = await _begin(stage, whose)
        await _for(process, trial.dice.uniform(0, _LIVES_S[whose]))
        if whose == "worker":
            if left := await _orphans(await _kill_a_worker(trial, stage, process)):
                return f"left of a worker: {left}"
            if await ended(process) is None:
                return "pytest did not end after one of its workers was killed"
        else:
            await _kill(process)
        return (left := await stage.left()) and f"{whose}: {left}"


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        raise NothingDoneError
    process.kill()
    await process.wait()


@dataclass(frozen=True)
class _Killed:
    """A worker, and what it had started."""

    pid: int
    children: Sequence[psutil.Process]


async def _orphans(killed: _Killed) -> str:
    """What a worker had started and is still there some seconds later; others go on meanwhile."""
    left: list[psutil.Process] = []
    for _ in range(int(PATIENCE_S / _GLANCE_S)):
        left = [one for one in killed.children if _lives(one)]
        if not left:
            return ""
        await asyncio.sleep(_GLANCE_S)
    return ", ".join(f"process {one.pid}" for one in left)


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


async def _kill_a_worker(trial: Trial, stage: Scene, pytest: asyncio.subprocess.Process) -> _Killed:
    """One of the processes that xdist has started."""
    workers = []
    for one in stage.processes():
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if one.ppid() == pytest.pid and "-c" in one.cmdline():
                workers.append(one)
    if pytest.returncode is not None or not workers:
        raise NothingDoneError
    chosen = trial.dice.choice(workers)
    killed = _Killed(chosen.pid, chosen.children(recursive=True))
    chosen.kill()
    return killed


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
    whose, number, times, owed = _POLITE[trial.kind]
    with scene(trial.folder) as stage:
        process = await _begin(stage, whose)
        await _for(process, trial.dice.uniform(_AWAKE_S, _LIVES_S[whose]))
        if process.returncode is not None:
            raise NothingDoneError
        begun = time.monotonic()
        for _ in range(times):
            with contextlib.suppress(ProcessLookupError):
                if number == signal.SIGINT:
                    os.killpg(process.pid, number)  # a terminal sends it to all of the group
                else:
                    process.send_signal(number)
            await asyncio.sleep(0.05 if times > 1 else 0)
        code = await ended(process, within=60)
        spent = time.monotonic() - begun
        said = stage.said()
        if code == 0 and ("PASS" in said or " passed" in said):
            raise NothingDoneError  # it was through, and came first
        if code not in owed:
            return f"exit status {code}: {said[-300:]}"
        if "Traceback" in said and whose == "command":
            return f"a traceback: {said[-500:]}"
        if spent > _POLITE_S:
            return f"took {spent:.1f} s to end"
        return await stage.left()


async def _starved(trial: Trial) -> str:
    """No descriptors left, no room left, no memory left, or the emulator killed as the OOM killer does it."""
    what = trial.kind
    # Room in the cache is taken by who builds.
    cache = _a_cache(trial) if what == "room in the cache" else None
    with scene(trial.folder, cache=cache) as stage:
        run = (*SEABUS, "run", "--artefacts", str(trial.folder / "run"))
        match what:
            case "descriptors":
                process = await _limited(stage, run, f"ulimit -n {trial.dice.randint(12, 40)}")
            case "memory":
                process = await _limited(stage, run, f"ulimit -v {trial.dice.randint(100, 6000) << 10}")
            case "room for artefacts":
                (trial.folder / "run").mkdir()
                size = trial.dice.choice((4, 16, 64, 128))
                process = await _limited(stage, run, _small(trial.folder / "run", size))
            case "room for sockets":
                size = trial.dice.choice((4, 8, 12, 16))
                look = f"{stage.runtime}/seabus-*/*"
                process = await _limited(stage, run, _small(stage.runtime, size), look=look)
            case "room in the cache":
                assert cache is not None
                size = trial.dice.choice((1, 64, 256)) << 10
                limit = f"{_small(cache, size)} && {_links(trial, cache)}"
                process = await _limited(stage, run, limit, look=f"{cache}/.[!.]* {cache}/..?*")
            case _:
                process = await stage.start(*run)
                await _kill_the_emulator(stage, process, trial.dice.uniform(0, 1.0))
        code = await ended(process, within=180)
        said = stage.said()
        if _LEFT in said:
            return f"{what}: {said[said.index(_LEFT) :]}"
        if code == 0 and "PASS" in said:
            trial.notes[f"had enough {what}"] += 1
            return await stage.left()
        if code != 3:
            return f"{what}: exit status {code}, not 3: {said[-400:]}"
        if "Traceback" in said or "internal error" in said:
            return f"{what}: not told as what it is: {said[-600:]}"
        return await stage.left()


async def _limited(
    stage: Scene, run: Sequence[str], limit: str, *, look: str = ""
) -> asyncio.subprocess.Process:
    """A run that is limited by some words of the shell; what is mounted is its own.

    :param look: what must not be there in the end, where nobody else sees what is mounted.
    """
    looking = _LOOKING.format(look=look, count=int(PATIENCE_S / _GLANCE_S), glance=_GLANCE_S)
    play = looking if look else 'exec "$@"'
    words = ("sh", "-c", f"{limit} && {play}", "sh", *run)
    return await stage.start("unshare", "-m", *words) if "mount" in limit else await stage.start(*words)


_LEFT: Final = "LEFT BEHIND:"
_LOOKING: Final = f"""{{{{
    "$@"
    code=$?
    count={{count}}
    while left=$(ls -d {{look}} 2>/dev/null); [ -n "$left" ] && [ $count -gt 0 ]; do
        sleep {{glance}}
        count=$((count - 1))
    done
    [ -z "$left" ] || echo "{_LEFT} $left"
    exit $code
}}}}"""


def _small(folder: Path, kib: int) -> str:
    return f'mount -t tmpfs -o mode=0700,size={kib}k none "{folder}"'


def _links(trial: Trial, cache: Path) -> str:
    """The images, in a cache that was just mounted."""
    return " && ".join(f'ln -s "{path}" "{cache}/{path.name}"' for path in trial.shared)


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
    at = time.monotonic() + trial.dice.uniform(0.2, 2.2)
    mark = trial.folder / "stepped"
    stepped = {
        "LD_PRELOAD": str(trial.shared),
        "SOAK_STEP_AT": str(int(at * 1000)),
        "SOAK_STEP_BY": str(by),
        "SOAK_STEP_MARK": str(mark),
    }
    with scene(trial.folder, more=stepped) as stage:
        process = await stage.start(*SEABUS, "run", "--artefacts", str(trial.folder / "run"))
        code = await ended(process)
        if code != 0 or "PASS" not in stage.said():
            return f"{by:+} s: exit status {code}: {stage.said()[-400:]}"
        if not mark.exists():
            raise NothingDoneError  # it was through before
        return await stage.left()


async def _worker_dies(trial: Trial) -> str:
    """Exactly the test that a killed worker was in is told as an error; every other one passes.

    One that was killed while the world of its test ended may have told that it passed; and between two tests
    it was in neither: pytest-xdist then blames the next one, which had not got a world yet.
    """
    suite = trial.folder / "test_ten.py"
    suite.write_text(_TEN)
    with scene(trial.folder, more={_DIARY: str(trial.folder / "diary")}) as stage:
        process = await stage.start(*PYTEST, "-n", "2", "-rA", str(suite))
        await _for(process, trial.dice.uniform(1.5, 6.0))
        killed = await _kill_a_worker(trial, stage, process)
        code = await ended(process)
        told: dict[str, set[str]] = {"PASSED": set(), "FAILED": set(), "ERROR": set()}
        for line in stage.said().splitlines():
            if (word := line.split(" ", 1)[0]) in told and (test := _TEST_OF_TEN.search(line)):
                told[word].add(test[0])
        bad = told["FAILED"] | told["ERROR"]
        if len(bad | told["PASSED"]) != _TESTS or code != (1 if bad else 0):
            return f"{len(told['PASSED'])} passed, {bad} did not, exit status {code}: {stage.said()[-1500:]}"
        diary = [tuple(line.split(" ", 1)) for line in _read(trial.folder / "diary").splitlines()]
        own = [word for pid, word in diary if pid == str(killed.pid)]
        begun = {word for _, word in diary}
        if own and own[-1] != _OVER:
            right = (told["ERROR"], told["FAILED"]) == ({own[-1]}, set())
        else:
            right = len(bad) <= 1 and not bad & (begun - set(own[-2:]))
        if not right:
            return f"{told['FAILED']} failed, {told['ERROR']} erred, and the worker did {own}: {diary}"
        return await stage.left()


def _read(diary: Path) -> str:
    """Empty where no test had begun yet."""
    return diary.read_text() if diary.exists() else ""


_TESTS: Final = 10
_TEST_OF_TEN: Final = re.compile(r"test_one\[\d+\]")
_DIARY: Final = "SEABUS_SOAK_DIARY"
_OVER: Final = "over"
_TEN: Final = f"""
import os
import pytest

def write(word):
    with open(os.environ["{_DIARY}"], "a") as diary:
        diary.write(f"{{os.getpid()}} {{word}}\\n")

@pytest.mark.parametrize("number", range(10))
def test_one(world, number):
    write(f"test_one[{{number}}]")
    assert world.guest.run("sleep", "0.4").exit == 0
    write("{_OVER}")
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
        promise="SIGINT once or twice, SIGTERM and SIGHUP end a run in 5 s, with 128+N, and pytest as pytest"
        " does, and leave nothing",
        kinds=tuple(_POLITE),
        each=20,
        trial=_interrupted,
        shares=a_template,
    ),
    Row(
        name="starvation",
        promise="no descriptors, no room or no memory left is an `error` told in a line, and leaves nothing",
        kinds=(
            *("descriptors", "memory", "room for artefacts", "room for sockets", "room in the cache"),
            "memory for the emulator",
        ),
        each=20,
        trial=_starved,
        shares=_images,
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
