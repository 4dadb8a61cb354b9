# SPDX-License-Identifier: Apache-2.0
"""Faults, their negative controls, and clones: in this process, each in a world of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import psutil

from seabus.errors import CloneError
from seabus.images.store import Store
from seabus.machine.config import WorldConfig
from seabus.scenarios import consumed_page
from seabus.world import restore, template
from seabus.world.freeze import Frozen
from soaks.row import Row, Trial, say

#: A timer that was lost in the restore shows only after a while.
_IDLE_S: Final = (0.0, 0.2, 1.0, 3.0)
_MORE_MIB: Final = 5.0
#: Clones one after the other, and rewinds at one prompt; the first ten fill caches, and are not counted.
CLONES = 510
REWINDS = 100
_FIRST: Final = 10
#: Of so many clones one may be refused, beside the first: more would be a template that cannot be used.
_REFUSED_OF: Final = 100


@contextlib.asynccontextmanager
async def a_template(folder: Path) -> AsyncIterator[Frozen]:
    """The default world's, built if it is not there."""
    yield await asyncio.to_thread(
        template.ensure, WorldConfig(), store=Store(), artefacts=folder / "template", say=say
    )


async def _fault(trial: Trial, *, inject: bool, owed: str) -> str:
    async with restore.cloned(trial.shared, artefacts=trial.folder, purpose="soak") as world:
        await asyncio.sleep(trial.dice.choice(_IDLE_S))
        outcome = await consumed_page.run(world, inject=inject)
    verdict = outcome.judgement.verdict
    return "" if verdict == owed else f"{verdict}: {outcome.judgement.reason}"


async def _consumed(trial: Trial) -> str:
    return await _fault(trial, inject=True, owed="pass")


async def _control(trial: Trial) -> str:
    return await _fault(trial, inject=False, owed="fail")


async def _clone(trial: Trial) -> str:
    """One that is handed out answers, at both levels, after a while as well; few are refused."""
    frozen, drawn, tried, refused = trial.shared
    tried.append(trial.number)
    try:
        async with restore.cloned(frozen, artefacts=trial.folder, purpose="soak") as world:
            await asyncio.sleep(trial.dice.choice(_IDLE_S) / 2)
            for agent in (world.l1, world.l2):
                (await agent.run("sleep", "0.01")).must_succeed()
                random = (await agent.run("head", "-c", "16", "/dev/urandom")).must_succeed().stdout
                if random in drawn:
                    return f"{agent.level} drew the same random bytes as another clone: {random.hex()}"
                drawn.add(random)
    except CloneError as error:
        say(f"clone {trial.number} was refused: {error.message}")
        trial.notes["refused"] += 1
        refused.append(trial.number)
        if len(refused) > 1 + len(tried) // _REFUSED_OF:
            return f"{len(refused)} of {len(tried)} clones were refused, the last since {error.message}"
    return ""


@contextlib.asynccontextmanager
async def _own_places(folder: Path) -> AsyncIterator[Frozen]:
    """A template, and places for temporary files and sockets that nobody else uses."""
    with tempfile.TemporaryDirectory(prefix="sb-") as place:  # short, since the paths of sockets are
        before = {name: os.environ.get(name) for name in ("TMPDIR", "XDG_RUNTIME_DIR")}
        os.environ.update(dict.fromkeys(before, place))
        tempfile.tempdir = None
        try:
            async with a_template(folder) as frozen:
                yield frozen
        finally:
            tempfile.tempdir = None
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


@contextlib.asynccontextmanager
async def _clones(folder: Path) -> AsyncIterator[tuple[Frozen, set[bytes], list[int], list[int]]]:
    """The template, what was drawn of it, the trials, and those that were refused."""
    async with a_template(folder) as frozen:
        yield frozen, set(), [], []


def _held() -> dict[str, float]:
    gc.collect()
    process = psutil.Process()
    return {
        "descriptors": process.num_fds(),
        "threads": threading.active_count(),
        "children": len(process.children(recursive=True)),
        "temporary files": sum(1 for _ in Path(tempfile.gettempdir()).rglob("*")),
        "MiB": process.memory_info().rss / (1 << 20),
    }


async def _generation(trial: Trial) -> str:
    """Clones one after the other."""
    before: dict[str, float] = {}
    for number in range(CLONES):
        folder = trial.folder / str(number)
        folder.mkdir()
        async with restore.cloned(trial.shared, artefacts=folder, purpose="soak"):
            pass
        if number == _FIRST - 1:
            before = _held()
    after = _held()
    grown = {name: after[name] - before[name] for name in after if after[name] > before[name]}
    if grown.get("MiB", 0) <= _MORE_MIB:
        grown.pop("MiB", None)
    return ", ".join(f"{more:g} more {name}" for name, more in grown.items())


async def _rewound(trial: Trial) -> str:
    """Faults at one prompt, each followed by a rewind."""
    script = trial.folder / "rewinds.py"
    script.write_text(_SCRIPT.format(more=_MORE_MIB, count=REWINDS, first=_FIRST - 1))
    with script.open("rb") as stdin:
        shell = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "seabus", "shell", "--quiet"),
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await shell.communicate()
    status = f"exit status {shell.returncode}: {said.decode(errors='replace')[-500:]}"
    return "" if shell.returncode == 0 else status


_SCRIPT: Final = """
import gc, psutil
me, held = psutil.Process(), []
for number in range({count}):
    v = victim()
    inject(MemoryRecord(address=v.page.host_physical))
    world.until("L1", "memory_failure")
    v.touch("read")
    world.rewind()
    gc.collect()
    held.append((me.memory_full_info().uss >> 20, me.num_fds()))
assert held[-1][0] - held[{first}][0] <= {more}, held
assert held[-1][1] <= held[{first}][1], held
"""

ROWS: Final = (
    Row(
        name="faults",
        promise="a consumed memory error is judged `pass`, two at a time, whatever a clone idled before",
        each=1000,
        lanes=2,
        trial=_consumed,
        shares=a_template,
    ),
    Row(
        name="controls",
        promise="the same steps without the injection are judged `fail`",
        each=300,
        lanes=2,
        trial=_control,
        shares=a_template,
    ),
    Row(
        name="clones",
        promise="a clone is verified alive at both levels, or, one of a hundred at most, refused; no two draw"
        " the same random bytes",
        each=2000,
        lanes=2,
        trial=_clone,
        shares=_clones,
    ),
    Row(
        name="rewinds",
        promise="a hundred faults and rewinds at one prompt take no descriptor, and 5 MiB at most",
        each=3,
        trial=_rewound,
        shares=a_template,
    ),
    Row(
        name="growth",
        promise="500 clones in a process leave no descriptor, thread, child or file, and 5 MiB at most",
        each=1,
        trial=_generation,
        shares=_own_places,
    ),
)
