# SPDX-License-Identifier: Apache-2.0
"""The core cells, asked again before three witnesses: the payload, KVM's trace, the emulator's log.

The payload itself tells every fourth cell twice, in its record and over the serial line.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seabus.kvmprobe.cell import Result
from seabus.kvmprobe.probe import Probe
from seabus.matrix import kvm_trace, l0_log
from seabus.matrix.judge import Status
from seabus.matrix.question import Question
from seabus.matrix.run import MatrixRun, ask
from seabus.world.world import World


@dataclass(frozen=True, kw_only=True)
class Testimony:
    """What the witnesses said.

    :param cells: how many they were asked about.
    :param complaints: each contradiction, with its cell.
    """

    cells: int
    complaints: Sequence[tuple[Question, str]]


async def hear(world: World, probe: Probe, *, mode: str, kernel: str, artefacts: Path) -> Testimony:
    """Ask the core cells while everybody watches.

    :param artefacts: receives the trace and the log.
    :raises CapabilityError: the host's KVM cannot be observed.
    :raises NoVerdictError: a witness lost events.
    """
    log = artefacts / f"l0-exceptions-{mode}.log"
    async with kvm_trace.tracing(world.l1):
        async with l0_log.logging(world.firmware(), log):
            run = await ask(
                probe,
                mode=mode,
                kernel=kernel,
                groups=("access", "walk"),
                choose=lambda question: question.core,
                mark=kvm_trace.MARKER,
                change=_aloud(),
            )
        trace = await kvm_trace.read(world.l1)
    (artefacts / f"kvm-trace-{mode}.txt").write_bytes(trace)
    complaints = [(answer.question, f"the payload: {answer.reason}") for answer in run.of(Status.UNEXPLAINED)]
    asked = _reported(run)
    for number, told in kvm_trace.all_contradictions(asked, trace).items():
        complaints += [(asked[number][0], f"KVM's trace: {words}") for words in told]
    lines, at = l0_log.read(log), 0
    for question, result in asked.values():
        at, words = l0_log.contradictions(question, result, lines, at)
        complaints += [(question, f"L0's log: {word}") for word in words]
    return Testimony(cells=len(asked), complaints=complaints)


def _aloud() -> Callable[[Question], Question]:
    """Every fourth cell tells its record over the serial line, too: each character is an exit."""
    numbers = itertools.count()

    def change(question: Question) -> Question:
        serial = next(numbers) % 4 == 0
        return replace(question, cell=replace(question.cell, serial=serial) if question.cell else None)

    return change


def _reported(run: MatrixRun) -> Mapping[int, tuple[Question, Result]]:
    """By number of the cell, as they were asked; those whose payload was silent have one, too."""
    return {
        number: (run.answers[n].question, result)
        for number, (n, result) in enumerate(run.results.items())
        if result.records
    }
