# SPDX-License-Identifier: Apache-2.0
"""The second witness: what the host's KVM traces of a cell."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Final

from seabus.arch.trace import (
    KvmEntry,
    KvmGuestFault,
    LostEvents,
    SignalGenerate,
    TraceLine,
    parse_trace_line,
)
from seabus.channel.interface import Commands
from seabus.errors import CapabilityError, NoVerdictError
from seabus.kvmprobe import layout
from seabus.kvmprobe.cell import Result
from seabus.matrix.places import BAD
from seabus.matrix.question import Question

_INSTANCE: Final = "/sys/kernel/tracing/instances/seabus-matrix"
MARKER: Final = f"{_INSTANCE}/trace_marker"
_SET_UP: Final = f"""
mkdir -p {_INSTANCE} && cd {_INSTANCE} || exit 10
echo mono > trace_clock
echo 16384 > buffer_size_kb
echo 'sig==7' > events/signal/signal_generate/filter || exit 11
for event in kvm/kvm_guest_fault kvm/kvm_entry signal/signal_generate; do
    echo 1 > events/$event/enable || exit 11
done
"""
_CELL: Final = re.compile(r"cell (\d+)")
_BUS_MCEERR_AR: Final = 4


@contextlib.asynccontextmanager
async def tracing(commands: Commands) -> AsyncIterator[None]:
    """While the body runs, KVM's events go into a trace instance of ours.

    :raises CapabilityError: the host's kernel lacks tracefs or an event.
    """
    if (await commands.run("sh", "-c", _SET_UP)).exit != 0:
        raise CapabilityError(
            "the host's KVM cannot be observed", hint="a kernel with tracefs and the events of kvm and signal"
        )
    try:
        yield
    finally:
        await commands.run("rmdir", _INSTANCE)


async def read(commands: Commands) -> bytes:
    """The trace so far."""
    return await commands.read(f"{_INSTANCE}/trace")


def by_cell(trace: bytes) -> dict[int, list[TraceLine]]:
    """The lines of each cell, by its number.

    :raises NoVerdictError: the trace lost events.
    """
    cells: dict[int, list[TraceLine]] = defaultdict(list)
    current: list[TraceLine] = []
    for raw in trace.decode(errors="backslashreplace").splitlines():
        line = parse_trace_line(raw)
        if isinstance(line, LostEvents):
            raise NoVerdictError("KVM's trace lost events", hint="ask fewer cells at a time")
        if line is None:
            continue
        if line.event == "tracing_mark_write" and (found := _CELL.match(line.text.strip())):
            current = cells[int(found[1])]
        else:
            current.append(line)
    return cells


def contradictions(question: Question, result: Result, lines: Iterable[TraceLine]) -> Iterator[str]:
    """Where KVM's account differs from the payload's, in words."""
    assert question.cell is not None
    told = list(lines)
    faults = [fault for line in told if (fault := KvmGuestFault.of(line))]
    entries = [entry.pc for line in told if (entry := KvmEntry.of(line))]
    signals = [signal for line in told if (signal := SignalGenerate.of(line))]
    record = result.records[0]
    page = BAD[question.at["page"]]  # type: ignore[index]
    met = [fault for fault in faults if _page(fault.ipa) == page]
    injected = layout.VBAR + record.vector in entries
    if question.at["path"] == "cpu":
        pass  # KVM has no part in it: that the processor did it is for the emulator's log to say
    elif not met:
        yield f"KVM saw no fault on {page:#x}"
    elif not injected and question.at["path"] != "kvm":
        # What KVM injects by itself it commits after it has traced the entry.
        yield f"KVM never entered the guest at {layout.VBAR + record.vector:#x}"
    for fault in met:
        if question.at["path"] == "cpu":
            continue  # stage 2 maps the page: the same instruction is then tried again
        if fault.pc != record.elr:
            yield f"KVM saw the fault at PC {fault.pc:#x}, the payload at {record.elr:#x}"
        if fault.far != question.cell.address:
            yield f"KVM saw FAR {fault.far:#x}, the access was to {question.cell.address:#x}"
    codes = [signal.code for signal in signals]
    wanted = [_BUS_MCEERR_AR] if question.at["page"] == "poison" else []
    if codes != wanted:
        yield f"SIGBUS codes {codes}, not {wanted}"


def _page(address: int) -> int:
    return address >> 12 << 12


def all_contradictions(asked: Mapping[int, tuple[Question, Result]], trace: bytes) -> dict[int, list[str]]:
    """By number of the cell, what KVM's trace says otherwise; also if it says nothing."""
    cells = by_cell(trace)
    found = {}
    for number, (question, result) in asked.items():
        if number not in cells:
            found[number] = ["KVM's trace has nothing of this cell"]
        elif told := list(contradictions(question, result, cells[number])):
            found[number] = told
    return found
