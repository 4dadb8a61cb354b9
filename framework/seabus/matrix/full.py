# SPDX-License-Identifier: Apache-2.0
"""The matrix in a world: all that a host alone can answer, poison, and the other witnesses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from seabus.kvmprobe.probe import Probe
from seabus.matrix.judge import Answer
from seabus.matrix.linux_guest import ask_linux
from seabus.matrix.nested import ask_nested
from seabus.matrix.poisonings import ask_poisonings
from seabus.matrix.run import MatrixRun, Say, ask
from seabus.matrix.table import GROUPS
from seabus.matrix.witnesses import Testimony, hear
from seabus.world.world import World

#: Groups that need machines of their own.
MORE: Final = ("nested", "linux", "poison", "firmware")


@dataclass(frozen=True, kw_only=True)
class FullRun:
    """A matrix with its witnesses; ``testimony`` is ``None`` if they were not asked."""

    matrix: MatrixRun
    testimony: Testimony | None


async def ask_world(
    world: World,
    probe: Probe,
    *,
    mode: str,
    groups: Sequence[str],
    witnesses: bool,
    artefacts: Path,
    say: Say,
) -> FullRun:
    """Ask a world's host.

    :param groups: of :data:`seabus.matrix.table.GROUPS` and :data:`MORE`.
    :param artefacts: receives what the witnesses wrote.
    :raises SeabusError: the probe or a witness could not do its work.
    """
    kernel = world.notes["versions"]["l1_kernel"]
    begun = time.monotonic()
    matrix = await ask(
        probe, mode=mode, kernel=kernel, groups=[group for group in groups if group in GROUPS], say=say
    )
    answers: list[Answer] = []
    if "nested" in groups:
        answers += await ask_nested(probe)
    if "linux" in groups:
        say(f"{mode}: a Linux guest as receiver")
        answers += await ask_linux(world, probe, artefacts=artefacts)
    if "poison" in groups:
        say(f"{mode}: poison of every backing")
        answers += await ask_poisonings(probe, world.l1)
    matrix = replace(
        matrix,
        answers=[*matrix.answers, *answers],
        asked=matrix.asked + sum(bool(answer.seen) for answer in answers),
        seconds=time.monotonic() - begun,
    )
    testimony = None
    if witnesses and {"access", "walk"} & set(groups):
        say(f"{mode}: the core cells before three witnesses")
        testimony = await hear(world, probe, mode=mode, kernel=kernel, artefacts=artefacts)
    return FullRun(matrix=matrix, testimony=testimony)
