# SPDX-License-Identifier: Apache-2.0
"""The third witness: the emulator's own log of every exception that its processors take.

Lines of several processors are mixed, and only the first of an exception names its processor. So single
lines are looked for, in order, that nobody but the cell can have caused: they name addresses of the
payload and of its pages.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seabus.channel.qmp import Qmp
from seabus.errors import MachineError
from seabus.kvmprobe import layout
from seabus.kvmprobe.cell import Result
from seabus.matrix.question import Question

# QEMU target/arm/tcg/helper-a64.c, HELPER(exception_return); target/arm/helper.c,
# arm_cpu_do_interrupt() and arm_cpu_do_interrupt_aarch64().
_LINES: Final = re.compile(
    r"Exception return from AArch64 EL2 to AArch64 EL(?P<el>\d) PC (?P<to>0x[0-9a-f]+)"
    r"|\.\.\.with FAR (?P<far>0x[0-9a-f]+)"
    r"|\.\.\.with ELR (?P<elr>0x[0-9a-f]+)"
    r"|\.\.\.to EL(?P<level>\d) PC (?P<pc>0x[0-9a-f]+)"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log: ``what`` is "return", "far", "elr" or "taken"; ``level`` where it goes on."""

    what: str
    value: int
    level: int | None = None


@contextlib.asynccontextmanager
async def logging(qmp: Qmp, path: Path) -> AsyncIterator[None]:
    """While the body runs, the emulator writes every exception to a file."""
    await _monitor(qmp, f"logfile {_quoted(path)}")
    await _monitor(qmp, "log int")
    try:
        yield
    finally:
        await _monitor(qmp, "log none")


async def _monitor(qmp: Qmp, line: str) -> None:
    """Carry out a command that has nothing to say.

    :raises MachineError: it had.
    """
    if said := (await qmp.execute("human-monitor-command", {"command-line": line})).strip():
        raise MachineError(f"L0's monitor, told `{line}`, says: {said}")


def _quoted(path: Path) -> str:
    """As a word of QEMU's human monitor (monitor/hmp.c get_str())."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def read(log: Path) -> list[Line]:
    """The lines that may tell of a cell."""
    with log.open(errors="backslashreplace") as lines:
        return [_line(match) for text in lines if (match := _LINES.match(text))]


def contradictions(
    question: Question, result: Result, log: Sequence[Line], start: int
) -> tuple[int, Iterator[str]]:
    """Follow one cell through the log.

    :param start: where the cell before has ended.
    :returns: where this one ends, and what the log says otherwise, in words.
    """
    assert question.cell is not None
    record = result.records[0]
    vector = layout.VBAR + record.vector
    level = 0 if question.at["origin"] == "EL0" else 1
    # An instruction fetch is begun by the payload's branch; all else by the access itself.
    begun = layout.address_of(question.cell.access)
    itself = question.at["path"] == "cpu"
    steps = (
        (Line("return", begun, level), f"no return from EL2 to EL{level} at {begun:#x}"),
        (Line("far", question.cell.address), f"no exception with FAR {question.cell.address:#x}"),
        (Line("elr", record.elr), f"no exception with ELR {record.elr:#x}"),
        (
            Line("taken" if itself else "return", vector, 1),
            f"{'no exception taken' if itself else 'no return from EL2'} to EL1 at {vector:#x}",
        ),
    )
    for wanted, complaint in steps:
        try:
            start = log.index(wanted, start) + 1
        except ValueError:
            return start, iter([f"the emulator logged {complaint}"])
    return start, iter(())


def _line(match: re.Match[str]) -> Line:
    if match["to"]:
        return Line("return", int(match["to"], 16), int(match["el"]))
    if match["far"]:
        return Line("far", int(match["far"], 16))
    if match["elr"]:
        return Line("elr", int(match["elr"], 16))
    return Line("taken", int(match["pc"], 16), int(match["level"]))
