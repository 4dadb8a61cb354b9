# SPDX-License-Identifier: Apache-2.0
"""KVM's own reaction to poison: which signal comes to which thread, when the page is lost and when it is met.

Source: Linux mm/memory-failure.c, collect_procs(), kill_proc(); arch/arm64/kvm/mmu.c,
kvm_send_hwpoison_signal(); Documentation/mm/hwpoison.rst.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from seabus.channel.interface import Commands
from seabus.errors import ProbeError
from seabus.kvmprobe import layout
from seabus.kvmprobe.cell import BusError, Cell, Result
from seabus.kvmprobe.probe import CELL_DEADLINE, Probe
from seabus.kvmprobe.vm import Backing, Slot, Vm, vm_request
from seabus.matrix.judge import Answer, Status
from seabus.matrix.question import Question

_AR: Final = "BUS_MCEERR_AR"
_AO: Final = "BUS_MCEERR_AO"
_CODES: Final = {4: _AR, 5: _AO}
_BACKINGS: Final = tuple(backing for backing in get_args(Backing) if backing != "physical")
_RESERVE: Final = b"16"
_KILLS: Final = ("early", "late", "default")
_WITHIN: Final = 30.0
_ACCESSES: Final = ("ldr", "str", "fetch")


def poisonings() -> Iterator[Question]:
    """Each backing, by each way of poisoning, with each setting of PR_MCE_KILL."""
    for backing, by, kill in itertools.product(_BACKINGS, ("madvise", "offline"), _KILLS):
        yield Question(group="poison", at={"backing": backing, "by": by, "kill": kill})


async def ask_poisonings(probe: Probe, commands: Commands) -> list[Answer]:
    """Ask all of them; the host loses a page by each.

    :param commands: of the host, where huge pages are set aside.
    :raises SeabusError: the probe could not do its work.
    """
    await commands.write("/proc/sys/vm/nr_hugepages", _RESERVE)
    asked = list(poisonings())
    answers: dict[int, Answer] = {}
    for kill in _KILLS:
        # The threads of a process keep the setting that they were born with: one process for each.
        common = [
            n for n, question in enumerate(asked) if question.at["kill"] == kill and not _rare(question)
        ]
        answers |= dict(zip(common, await _ask(probe, [asked[n] for n in common]), strict=True))
    for number, question in enumerate(asked):
        if _rare(question):
            answers[number] = await _ask_rare(probe, question)
    return [answers[number] for number in range(len(asked))]


def _rare(question: Question) -> bool:
    """Whether hosts seldom have such memory."""
    return question.at["backing"] == "hugetlb-1G"


async def _ask_rare(probe: Probe, question: Question) -> Answer:
    try:
        return (await _ask(probe, [question]))[0]
    except ProbeError as error:
        if error.errno != errno.ENOMEM:
            raise
        reason = f"the host has no huge pages of that size set aside ({error.message})"
        return Answer(question=question, status=Status.UNREACHABLE, reason=reason)


async def _ask(probe: Probe, questions: Sequence[Question]) -> list[Answer]:
    """Several in one process, each in a VM of its own."""
    requests = [request for question in questions for request in _requests(question)]
    told = await probe.ask([{"do": "hello"}, *requests], within=_WITHIN + len(questions))
    pid = told[0]["pid"]
    return [_judge(question, pid, told[1 + 3 * n : 4 + 3 * n]) for n, question in enumerate(questions)]


def _requests(question: Question) -> list[dict[str, Any]]:
    slot = Slot(address=int(layout.POISON), size=_size(question), backing=question.at["backing"])  # type: ignore[arg-type]
    cells = [
        Cell(access=access, address=int(layout.POISON), vcpu=vcpu, path="events").request(number)
        for number, (access, vcpu) in enumerate(itertools.product(_ACCESSES, (0, 1)))
    ]
    by = {"by": question.at["by"], "kill": question.at["kill"]}
    return [
        vm_request(Probe.payload(), vcpus=2, slots=[slot], bad=[int(layout.POISON)]),
        {"do": "poison", "address": str(layout.POISON), **by},
        {"do": "cells", "within_ms": int(CELL_DEADLINE * 1000), "cells": cells},
    ]


def _judge(question: Question, pid: int, told: Sequence[Mapping[str, Any]]) -> Answer:
    slot = Vm.of(told[0]).slots[0]
    at_once = [BusError.of(signal) for signal in told[1]["signals"]]
    results = [Result.of(result) for result in told[2]["cells"]]
    wanted = {
        "huge": 0 if question.at["backing"] in ("anon", "memfd") else _size(question),
        "at once": _at_once(question, slot.host),
        "met": [
            f"{_AR} {slot.host:#x} lsb {_lsb(question)} to vCPU {vcpu}"
            for _, vcpu in itertools.product(_ACCESSES, (0, 1))
        ],
        "reported": [0x9600_0010] * len(results),
    }
    threads = dict.fromkeys(result.exits[0].sigbus.tid for result in results if _met(result))  # type: ignore[union-attr]
    names = {tid: f"vCPU {n}" for n, tid in enumerate(threads)} | {pid: "the main thread"}
    seen = {
        "huge": slot.huge,
        "at once": [_told(signal, names) for signal in at_once],
        "met": [_told(exit_.sigbus, names) for result in results for exit_ in result.exits],
        "reported": [record.esr for result in results for record in result.records],
    }
    differences = {name: (wanted[name], seen[name]) for name in wanted if wanted[name] != seen[name]}
    status = Status.UNEXPLAINED if differences else Status.AGREED
    reason = "; ".join(f"{name}: {was}, not {should}" for name, (should, was) in differences.items())
    return Answer(question=question, status=status, reason=reason, seen=seen, differences=differences)


def _at_once(question: Question, host: int) -> list[str]:
    told = f"{host:#x} lsb {_lsb(question)} to the main thread"
    if question.at["by"] == "madvise":
        # MF_ACTION_REQUIRED: whoever poisons a page of its own is taken for one who has consumed it.
        return [f"{_AR} {told}"]
    return [f"{_AO} {told}"] if question.at["kill"] == "early" else []


def _size(question: Question) -> int:
    return 1 << 30 if question.at["backing"] == "hugetlb-1G" else 2 << 20


def _lsb(question: Question) -> int:
    return {"hugetlb-2M": 21, "memfd-2M": 21, "hugetlb-1G": 30}.get(question.at["backing"], 12)


def _met(result: Result) -> bool:
    return bool(result.exits and result.exits[0].sigbus)


def _told(signal: BusError | None, names: Mapping[int, str]) -> str:
    if signal is None:
        return "no signal"
    code = _CODES.get(signal.code, f"code {signal.code}")
    return f"{code} {signal.address:#x} lsb {signal.lsb} to {names.get(signal.tid, f'thread {signal.tid}')}"
