# SPDX-License-Identifier: Apache-2.0
"""A row of docs/SPEC.md: a promise, and a trial that shows one time whether it is kept.

Each trial has its own dice, made of the seed, the row and its number, so that any one can be played again.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from seabus.errors import SeabusError

#: So often at most a trial is made again that did nothing.
_AGAIN: Final = 30

Shares = Callable[[Path], contextlib.AbstractAsyncContextManager[Any]]


@dataclass
class Trial:
    """One time.

    :param kind: of the row's kinds, the one that it is this trial's turn to try.
    :param folder: empty, its own; removed unless the promise was broken.
    :param shared: what all trials of the row share.
    :param notes: what is worth telling of it though nothing is broken, by how often it was so.
    """

    number: int
    kind: str
    dice: random.Random
    folder: Path
    shared: Any
    notes: Counter[str] = field(default_factory=Counter)


class NothingDoneError(Exception):
    """A trial came too late to do what it was to do; it shows nothing, and is made again."""


@contextlib.asynccontextmanager
async def nothing(folder: Path) -> AsyncIterator[None]:
    """What trials share that need nothing."""
    del folder
    yield None


@dataclass(frozen=True, kw_only=True)
class Row:
    """A promise.

    :param promise: in one sentence, as docs/SPEC.md has it.
    :param kinds: what is tried in turn, so that each is tried as often as the others.
    :param each: trials of each kind at full scale.
    :param lanes: trials at a time.
    :param trial: what was broken, empty if nothing was; an error is a broken promise, too.
        :class:`NothingDoneError` is neither.
    :param shares: made once for all trials.
    """

    name: str
    promise: str
    each: int
    trial: Callable[[Trial], Awaitable[str]]
    kinds: Sequence[str] = ("",)
    lanes: int = 1
    shares: Shares = nothing

    @property
    def count(self) -> int:
        """Trials at full scale."""
        return self.each * len(self.kinds)

    @property
    def times(self) -> str:
        """How many trials, and of how many kinds, for people."""
        return f"{len(self.kinds)} × {self.each}" if len(self.kinds) > 1 else str(self.each)

    @property
    def terms(self) -> dict[str, Any]:
        """What is promised, and how it is tried: a run under other terms shows nothing of this row."""
        return {"promise": self.promise, "kinds": list(self.kinds)}


@dataclass
class Result:
    """What the trials of a row came to."""

    name: str
    promise: str
    trials: int = 0
    seconds: float = 0.0
    broken: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)


def say(text: str) -> None:
    print(f"[soak] {text}", file=sys.stderr, flush=True)


async def play(row: Row, *, numbers: Sequence[int], seed: int, minutes: float = math.inf) -> Result:
    """Run trials of a row by their numbers.

    :param minutes: after which no other one is begun.
    """
    result = Result(name=row.name, promise=row.promise)
    root = Path(tempfile.mkdtemp(prefix=f"seabus-soak-{row.name}-"))
    waiting = list(numbers)
    started = time.monotonic()

    async def lane(shared: Any) -> None:  # noqa: ANN401 - the row's own
        while waiting and time.monotonic() - started < 60 * minutes:
            number = waiting.pop(0)
            dice = random.Random(f"{seed}/{row.name}/{number}")
            kind = row.kinds[number % len(row.kinds)]
            trial = Trial(number, kind, dice, root / str(number), shared)
            why = await _one(row, trial)
            result.trials += 1
            result.notes = dict(Counter(result.notes) + trial.notes)
            if why:
                result.broken.append({"number": number, "why": why, "artefacts": str(trial.folder)})
                again = f"ci/soak --seed {seed} --replay {row.name}:{number}"
                say(f"{row.name} {number}: {why}   (again: {again})")
            else:
                shutil.rmtree(trial.folder, ignore_errors=True)
            if result.trials % max(1, len(numbers) // 10) == 0:
                spent = time.monotonic() - started
                done = f"{result.trials} of {len(numbers)}, {len(result.broken)} broken"
                say(f"{row.name}: {done}, {spent:.0f} s")

    async with row.shares(root) as shared:
        await asyncio.gather(*(lane(shared) for _ in range(row.lanes)))
    result.seconds = round(time.monotonic() - started, 1)
    with contextlib.suppress(OSError):
        root.rmdir()  # noqa: ASYNC240 - nobody waits for it
    return result


async def _one(row: Row, trial: Trial) -> str:
    """What was broken; a trial that did nothing goes on with the same dice."""
    for _ in range(_AGAIN):
        shutil.rmtree(trial.folder, ignore_errors=True)
        trial.folder.mkdir()
        try:
            return await row.trial(trial)
        except NothingDoneError:
            continue
        except SeabusError as error:
            return f"{type(error).__name__}: {error.message}"
        except Exception as error:  # a mistake of the trial's own must not end the others
            return f"{error!r} {traceback.format_exc(limit=-2)}"
    return f"nothing was done in {_AGAIN} times"
