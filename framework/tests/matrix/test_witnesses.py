# SPDX-License-Identifier: Apache-2.0
"""The other witnesses, on what they said of two cells, and on what they would say of a lie."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from seabus.arch.expected_abort import KvmInjection, Origin
from seabus.channel.qmp import Qmp
from seabus.errors import MachineError, NoVerdictError
from seabus.kvmprobe.cell import Record, Result
from seabus.kvmprobe.vm import Vm
from seabus.matrix import kvm_trace, l0_log, witnesses
from seabus.matrix.aborts import abort_question
from seabus.matrix.places import Place
from seabus.matrix.question import Question
from seabus.matrix.run import MatrixRun

TRACE = b"""\
# tracer: nop
        kvmprobe-140     [001] ...1.    23.808318: tracing_mark_write: cell 12
       CPU 0/KVM-141     [000] d..1.    23.809950: kvm_entry: PC: 0x0000000040001020
       CPU 0/KVM-141     [000] .....    23.810046: kvm_guest_fault: ipa 0x50000000, hsr 0x93c38046, \
hxfar 0x50000000, pc 0x00000040001020
       CPU 0/KVM-141     [000] d..1.    23.810181: signal_generate: sig=7 errno=0 code=4 comm=CPU 0/KVM \
pid=141 grp=0 res=0
       CPU 0/KVM-141     [000] d..1.    23.810596: kvm_entry: PC: 0x0000000040000c00
"""
LOG = """\
Exception return from AArch64 EL2 to AArch64 EL1 PC 0xffff9f2a7147c118
Exception return from AArch64 EL2 to AArch64 EL0 PC 0x40001020
Taking exception 4 [Data Abort] on CPU 0
...from EL0 to EL2
...with ESR 0x24/0x93c38046
...with FAR 0x50000000
Taking exception 5 [IRQ] on CPU 1
...with SPSR 0x3c0
...with ELR 0x40001020
...to EL2 PC 0xf9bd00dea4400 PSTATE 0x23c9
Exception return from AArch64 EL2 to AArch64 EL1 PC 0x40000c00
"""
RESULT = Result(
    number=12,
    taken=1,
    records=(
        Record(
            vector=0x400,
            esr=0x9200_0010,
            far=0x5000_0000,
            elr=0x4000_1020,
            spsr=0x3C0,
            pstate=0x3C5,
            disr=0,
            isr=0,
        ),
    ),
)


@pytest.fixture
def question(vm: Vm) -> Question:
    place = Place(origin=Origin.EL0, access="str", bad="poison", address=0x5000_0000)
    return abort_question(vm, KvmInjection(), place, "events")


def test_they_confirm_what_happened(question: Question, tmp_path: Path) -> None:
    assert kvm_trace.all_contradictions({12: (question, RESULT)}, TRACE) == {}
    (tmp_path / "log").write_text(LOG)
    lines = l0_log.read(tmp_path / "log")
    end, words = l0_log.contradictions(question, RESULT, lines, 0)
    assert (end, list(words)) == (len(lines), [])


@pytest.mark.parametrize(
    ("was", "told", "words"),
    [
        (b"hxfar 0x50000000", b"hxfar 0x50000040", "KVM saw FAR"),
        (b"pc 0x00000040001020", b"pc 0x00000040001024", "KVM saw the fault at PC"),
        (b"ipa 0x50000000", b"ipa 0x51000000", "KVM saw no fault"),
        (b"PC: 0x0000000040000c00", b"PC: 0x0000000040000a00", "never entered the guest at"),
        (b"code=4", b"code=5", "SIGBUS codes [5]"),
        (b"cell 12", b"cell 11", "nothing of this cell"),
    ],
)
def test_kvms_trace_contradicts_a_lie(question: Question, was: bytes, told: bytes, words: str) -> None:
    lie = TRACE.replace(was, told)
    assert lie != TRACE
    assert words in "; ".join(kvm_trace.all_contradictions({12: (question, RESULT)}, lie)[12])


def test_a_trace_that_lost_events_is_no_witness(question: Question) -> None:
    with pytest.raises(NoVerdictError, match="lost events"):
        kvm_trace.by_cell(b"CPU:0 [LOST 7 EVENTS]\n" + TRACE)


@pytest.mark.parametrize(
    ("was", "told", "words"),
    [
        ("EL0 PC 0x40001020", "EL1 PC 0x40001020", "no return from EL2 to EL0"),
        ("FAR 0x50000000", "FAR 0x50000008", "no exception with FAR"),
        ("ELR 0x40001020", "ELR 0x40001024", "no exception with ELR"),
        ("EL1 PC 0x40000c00", "EL1 PC 0x40000a00", "to EL1 at 0x40000c00"),
    ],
)
def test_the_emulators_log_contradicts_a_lie(
    question: Question, tmp_path: Path, was: str, told: str, words: str
) -> None:
    (tmp_path / "log").write_text(LOG.replace(was, told))
    _, complaints = l0_log.contradictions(question, RESULT, l0_log.read(tmp_path / "log"), 0)
    assert words in next(complaints)


def test_an_abort_of_the_processor_is_none_of_kvms(vm: Vm) -> None:
    place = Place(origin=Origin.EL0, access="str", bad="nobody", address=0x6000_0000)
    mine = abort_question(vm, KvmInjection(), place, "cpu")
    told = kvm_trace.all_contradictions({12: (mine, RESULT)}, TRACE)[12]
    assert told == ["SIGBUS codes [4], not []"]
    assert kvm_trace.all_contradictions({12: (mine, RESULT)}, b"\n".join(TRACE.splitlines()[:3])) == {}


def test_a_silent_cell_keeps_its_number(question: Question) -> None:
    """The trace has marks of all that were run, in their order."""
    silent = replace(RESULT, records=())
    answers = [SimpleNamespace(question=question)] * 9
    run = SimpleNamespace(answers=answers, results={3: RESULT, 5: silent, 8: RESULT})
    assert list(witnesses._reported(cast(MatrixRun, run))) == [0, 2]


class Monitor:
    """Refuses a file whose path it takes for several words."""

    def __init__(self, says: str) -> None:
        self.asked: list[str] = []
        self._says = says

    async def execute(self, command: str, arguments: dict[str, str]) -> str:
        assert command == "human-monitor-command"
        self.asked.append(arguments["command-line"])
        return self._says


def test_the_emulator_is_told_of_any_path() -> None:
    async def log(monitor: Monitor) -> None:
        async with l0_log.logging(cast(Qmp, monitor), Path('/my runs/"a"/l0.log')):
            pass

    asyncio.run(log(told := Monitor("")))
    assert told.asked[0] == r'logfile "/my runs/\"a\"/l0.log"'
    with pytest.raises(MachineError, match="says: extraneous characters"):
        asyncio.run(log(Monitor("logfile: extraneous characters at the end of line\n".partition(": ")[2])))
