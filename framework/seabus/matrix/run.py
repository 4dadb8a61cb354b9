# SPDX-License-Identifier: Apache-2.0
"""Asks the matrix of a host: in batches, each in a VM of its own."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from seabus.arch.expected_abort import KvmInjection, kvm_injection
from seabus.errors import ProbeError
from seabus.kvmprobe import layout
from seabus.kvmprobe.cell import Result
from seabus.kvmprobe.probe import BATCH, Probe
from seabus.kvmprobe.vm import Slot, Vm, vm_request
from seabus.matrix.judge import Answer, Status, judge
from seabus.matrix.places import BAD
from seabus.matrix.question import Question
from seabus.matrix.table import GROUPS, questions

#: Between devices and PCI of QEMU's virt machine nothing answers (QEMU hw/arm/virt.c, base_memmap).
NOBODY_BEHIND: Final = 0x0F00_0000
_KVM_CAP_ARM_SEA_TO_USER: Final = 245
_UNIT: Final = 0x10000

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class MatrixRun:
    """A matrix that was asked.

    :param mode: which KVM the host runs.
    :param seconds: for the cells, machines included.
    :param asked: cells that ran; the others are unreachable without trying.
    """

    mode: str
    answers: Sequence[Answer]
    results: Mapping[int, Result]
    seconds: float
    asked: int
    vm: Vm

    def of(self, status: Status) -> list[Answer]:
        """The answers with that status."""
        return [answer for answer in self.answers if answer.status is status]


def machine(
    *, poisoned: bool = True, sea_to_user: bool = True, harmless: bool = False
) -> list[dict[str, Any]]:
    """The requests that make the VM of the matrix.

    :param poisoned: make :data:`seabus.kvmprobe.layout.POISON` bad.
    :param sea_to_user: enable KVM_CAP_ARM_SEA_TO_USER.
    :param harmless: the VM has nothing of the host's but good memory.
    """
    slots = [Slot(address=int(layout.POISON), size=2 << 20)]
    if not harmless:
        slots.append(Slot(address=int(layout.NOBODY), size=_UNIT, backing="physical", physical=NOBODY_BEHIND))
    requests = [vm_request(Probe.payload(), slots=slots, bad=list(BAD.values()))]
    if sea_to_user:
        requests.append({"do": "enable", "number": _KVM_CAP_ARM_SEA_TO_USER})
    if poisoned and not harmless:
        requests.append({"do": "poison", "address": str(layout.POISON)})
    return requests


async def ask(
    probe: Probe,
    *,
    mode: str,
    kernel: str,
    groups: Iterable[str] = GROUPS,
    say: Say = lambda _: None,
    choose: Callable[[Question], bool] = lambda _: True,
    change: Callable[[Question], Question] = lambda question: question,
    mark: str | None = None,
    harmless: bool = False,
) -> MatrixRun:
    """Ask these groups of the host.

    :param kernel: the host's release, as of uname.
    :param choose: which questions of them.
    :param change: what becomes of each before it is asked.
    :param mark: a file of the host in which each cell is noted (:mod:`seabus.matrix.witnesses`).
    :param harmless: leave out what makes a page of the host bad, and what reads where no device answers: on
        hardware that is an error of the host's own.
    :raises SeabusError: the probe could not do its work; a wrong answer is no error.
    """
    begun = time.monotonic()
    can_exit = await probe.capability(_KVM_CAP_ARM_SEA_TO_USER) > 0
    vm = Vm.of((await probe.ask(machine(poisoned=False, sea_to_user=False, harmless=harmless)))[0])
    table = questions(vm, injection(kernel), groups)
    table = (question for question in table if not harmless or _is_harmless(question))
    asked = [change(question) for question in table if choose(question)]
    results: dict[int, Result] = {}
    numbers = [n for n, question in enumerate(asked) if question.cell is not None]
    for start in range(0, len(numbers), BATCH):
        batch = numbers[start : start + BATCH]
        cells = [cell for n in batch if (cell := asked[n].cell) is not None]
        told = await probe.cells(
            machine(sea_to_user=can_exit, harmless=harmless), cells, mark=mark, first=start
        )
        results |= dict(zip(batch, told, strict=True))
        say(f"{mode}: {start + len(batch)} of {len(numbers)} cells")
    return MatrixRun(
        mode=mode,
        answers=[judge(question, results.get(n)) for n, question in enumerate(asked)],
        results=results,
        seconds=time.monotonic() - begun,
        asked=len(numbers),
        vm=vm,
    )


def _is_harmless(question: Question) -> bool:
    """Whether it meets a page without a slot, if any that is bad."""
    return question.at.get("page", "hole") == "hole"


def injection(kernel: str) -> KvmInjection:
    """What the KVM of that release can do.

    :raises ProbeError: that is no release.
    """
    found = re.match(r"(\d+)\.(\d+)", kernel)
    if found is None:
        raise ProbeError(f"{kernel!r} is no kernel release", kind="protocol")
    return kvm_injection((int(found[1]), int(found[2])))
