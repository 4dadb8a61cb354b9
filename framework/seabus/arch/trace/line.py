# SPDX-License-Identifier: Apache-2.0
"""One line of a tracefs ``trace`` or ``trace_pipe``, whatever its event.

>>> line = parse_trace_line("  kworker/0:0-9       (      9) [000] d....    24.448802: mf: (f+0x0/0x8) pfn=1")
>>> line.comm, line.tgid, line.cpu, line.flags, line.event, line.fields
('kworker/0:0', 9, 0, 'd....', 'mf', {'pfn': '1'})
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from seabus.arch.trace._fields import fields_of

__all__ = ["LostEvents", "TraceLine", "parse_trace_line"]

# Linux kernel/trace/trace_output.c: "%16s-%-7d " comm and pid, "(tgid) " with record-tgid, "[%03d]
# ", 4 or 5 latency flags (none with irq-info off), "secs.usecs: ", then the event. A comm may hold
# blanks and dashes; it has 15 characters, which also keeps the search short.
_LINE = re.compile(
    r"""
    \s* (?P<comm> \S.{0,31}? ) - (?P<pid> \d{1,10} ) \s+
    (?: \( \s* (?: (?P<tgid> \d{1,10} ) | -+ ) \) \s+ )?
    \[ (?P<cpu> \d{1,5} ) \] \s+
    (?: (?P<flags> [^\s:]{4,6} ) \s+ )?
    (?P<seconds> \d{1,12} ) \. (?P<fraction> \d{1,9} ) : \s
    (?P<event> \w+ ) : \s?
    (?P<text> .* )
    """,
    re.VERBOSE,
)
_LOST = re.compile(r"\s*CPU:(?P<cpu>\d{1,5}) \[LOST (?:(?P<count>\d{1,19}) )?EVENTS\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLine:
    """One event of one CPU.

    ``t`` is the trace clock in nanoseconds (its text has microseconds); which clock that is, and so
    what it can be compared with, is the tracer's choice. ``comm`` and ``pid`` are the task that
    ran, not one the event is about; ``tgid`` is its process, with record-tgid. ``flags`` are the latency
    flags (irqs-off, need-resched, hardirq/softirq, preempt-depth, migrate-disable), with irq-info.
    ``fields`` are the ``name=value`` pairs of ``text``, as text.
    """

    comm: str
    pid: int
    cpu: int
    t: int
    event: str
    text: str
    fields: Mapping[str, str] = field(hash=False)
    tgid: int | None = None
    flags: str | None = None


@dataclass(frozen=True, slots=True)
class LostEvents:
    """The ring buffer of a CPU overran: what follows is incomplete. ``count`` may be unknown."""

    cpu: int
    count: int | None


def parse_trace_line(line: str) -> TraceLine | LostEvents | None:
    """Read one line of ``trace_pipe``; ``None`` for anything else (headers, function traces).

    :param line: the line, with or without its end. Clocks that do not count seconds are not read, and
        neither is ``latency-format``.

    Source: Linux kernel/trace/trace_output.c ``trace_print_context()``, kernel/trace/trace.c.
    """
    line = line.rstrip("\r\n")
    if lost := _LOST.fullmatch(line):
        count = lost["count"]
        return LostEvents(int(lost["cpu"]), None if count is None else int(count))
    match = _LINE.fullmatch(line)
    if not match:
        return None
    return TraceLine(
        comm=match["comm"],
        pid=int(match["pid"]),
        cpu=int(match["cpu"]),
        t=int(match["seconds"]) * 10**9 + int(match["fraction"].ljust(9, "0")),
        event=match["event"],
        text=match["text"],
        fields=fields_of(match["event"], match["text"]),
        tgid=int(match["tgid"]) if match["tgid"] else None,
        flags=match["flags"],
    )
