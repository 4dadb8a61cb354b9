# SPDX-License-Identifier: Apache-2.0
"""What has happened, once nothing more is to come of what was done."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

from seabus.errors import DeadlineError
from seabus.observe.events import UNJUDGED, Kind, Level
from seabus.patience import STEP, scale
from seabus.session.stage import Stage

#: Seconds within which a kernel does what it put off: memory_failure() runs after the record is reported.
_QUIET_S: Final = 1.0


async def kinds(stage: Stage, like: Mapping[Level, Sequence[Kind]] | None) -> dict[Level, list[Kind]]:
    """See :meth:`seabus.session.session.Session.happened`."""
    if like is None:
        await _until_quiet(stage)
    elif stage.broke:
        wanted = {level: len(some) for level, some in like.items()}
        with contextlib.suppress(DeadlineError):
            await stage.recorder.until(
                lambda _: all(len(_seen(stage).get(level, ())) >= many for level, many in wanted.items()),
                within=STEP,
                what="what happened before",
            )
    await _caught_up(stage)
    return _seen(stage)


async def _until_quiet(stage: Stage) -> None:
    before = None
    while before != (now := _seen(stage)):
        before = now
        await stage.settle(_QUIET_S * scale())
        await _caught_up(stage)


async def _caught_up(stage: Stage) -> None:
    """Everything that has happened is an event then, and whoever should be well was asked."""
    await stage.finish(())


def _seen(stage: Stage) -> dict[Level, list[Kind]]:
    seen: dict[Level, list[Kind]] = {}
    for event in stage.story().events:
        if event.kind not in UNJUDGED:
            seen.setdefault(event.level, []).append(event.kind)
    return seen
