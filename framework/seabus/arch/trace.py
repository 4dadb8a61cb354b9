# SPDX-License-Identifier: Apache-2.0
"""Lines of a tracefs ``trace_pipe``, and the events of a memory error among them.

>>> line = parse_trace_line(
...     "  CPU 0/KVM-812     [001] d....   95.123456: signal_generate: "
...     "sig=7 errno=0 code=4 comm=CPU 0/KVM pid=812 grp=0 res=0"
... )
>>> line.comm, line.t, SignalGenerate.of(line).code
('CPU 0/KVM', 95123456000, 4)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

__all__ = [
    "LostEvents",
    "MemoryFailureEvent",
    "SeaProbe",
    "SignalGenerate",
    "TraceLine",
    "console_message",
    "parse_trace_line",
]

# Linux kernel/trace/trace_output.c: "%16s-%-7d " comm and pid, "(tgid) " with record-tgid, "[%03d]
# ", 4 or 5 latency flags (none with irq-info off), "secs.usecs: ", then the event. A comm may hold
# blanks and dashes; it has 15 characters, which also keeps the search short.
_LINE = re.compile(
    r"""
    \s* (?P<comm> \S.{0,31}? ) - (?P<pid> \d{1,10} ) \s+
    (?: \( \s* (?: \d+ | -+ ) \) \s+ )?
    \[ (?P<cpu> \d{1,5} ) \] \s+
    (?: [^\s:]{4,6} \s+ )?
    (?P<seconds> \d{1,12} ) \. (?P<fraction> \d{1,9} ) : \s
    (?P<event> \w+ ) : \s?
    (?P<text> .* )
    """,
    re.VERBOSE,
)
_LOST = re.compile(r"\s*CPU:(?P<cpu>\d{1,5}) \[LOST (?:(?P<count>\d{1,19}) )?EVENTS\]")

# Events whose values hold blanks or '='. memory_failure_event of mainline prints a sentence; the
# name=value form is what a trace of the raw fields gives.
_PATTERNS: Mapping[str, tuple[re.Pattern[str], ...]] = {
    "signal_generate": (
        re.compile(
            r"sig=(?P<sig>\d+) errno=(?P<errno>-?\d+) code=(?P<code>-?\d+) comm=(?P<comm>.*)"
            r" pid=(?P<pid>-?\d+) grp=(?P<grp>\d+) res=(?P<res>\d+)"
        ),
    ),
    "memory_failure_event": (
        re.compile(r"pfn (?P<pfn>0x[0-9a-f]+|0): recovery action for (?P<page_type>.+): (?P<result>.+)"),
        re.compile(r"pfn=(?P<pfn>\w+) page_type=(?P<page_type>.+) result=(?P<result>.+)"),
    ),
}
_PAIR = re.compile(r"(\w+)=(\S*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLine:
    """One event of one CPU.

    ``t`` is the trace clock in nanoseconds (its text has microseconds); which clock that is, and so
    what it can be compared with, is the tracer's choice. ``comm`` and ``pid`` are the task that
    ran, not one the event is about. ``fields`` are the ``name=value`` pairs of ``text``, as text.
    """

    comm: str
    pid: int
    cpu: int
    t: int
    event: str
    text: str
    fields: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class LostEvents:
    """The ring buffer of a CPU overran: what follows is incomplete. ``count`` may be unknown."""

    cpu: int
    count: int | None


def parse_trace_line(line: str) -> TraceLine | LostEvents | None:
    """Read one line of ``trace_pipe``; ``None`` for anything else (headers, function traces).

    :param line: the line, with or without its end. Clocks that do not count seconds are not read.

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
        fields=_fields(match["event"], match["text"]),
    )


def console_message(line: TraceLine) -> str | None:
    """Return the kernel log line that a ``printk:console`` event carries; ``None`` for others.

    It may still have its time in front, see :func:`seabus.arch.kernel_text.kernel_message`.
    """
    return line.text if line.event == "console" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFailureEvent:
    """``memory_failure_event``: what ``memory_failure()`` did about a page.

    The tracepoint lies in system ``ras`` or ``memory_failure``, depending on the kernel. ``pfn``
    counts pages of the kernel that was traced. ``result``: Ignored, Failed, Delayed, Recovered.

    Source: Linux include/ras/ras_event.h, include/trace/events/memory-failure.h.
    """

    pfn: int
    page_type: str
    result: str

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it is another event or damaged."""
        if line.event != "memory_failure_event":
            return None
        pfn = _number(line.fields, "pfn")
        page_type, result = line.fields.get("page_type"), line.fields.get("result")
        if pfn is None or page_type is None or result is None:
            return None
        return cls(pfn=pfn, page_type=page_type, result=result)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalGenerate:
    """``signal:signal_generate``: a signal on its way to a task.

    ``pid`` is the target's thread id in the root namespace; ``group`` tells a signal to the process
    from one to the thread; ``result`` 0 is delivered, others say why not.

    Source: Linux include/trace/events/signal.h.
    """

    sig: int
    errno: int
    code: int
    comm: str
    pid: int
    group: bool
    result: int

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it is another event or damaged."""
        if line.event != "signal_generate":
            return None
        names = ("sig", "errno", "code", "pid", "grp", "res")
        numbers = [n for n in (_number(line.fields, name) for name in names) if n is not None]
        comm = line.fields.get("comm")
        if len(numbers) != len(names) or comm is None:
            return None
        sig, errno, code, pid, group, result = numbers
        return cls(
            sig=sig,
            errno=errno,
            code=code,
            comm=comm,
            pid=pid,
            group=bool(group),
            result=result,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SeaProbe:
    """A kprobe on ``do_sea``: a synchronous external abort as the kernel received it.

    ``far`` is FAR_ELx (a virtual address of the kernel that was traced, meaningless with ESR.FnV),
    ``esr`` ESR_ELx. The probe fetches ``far=%x0:x64 esr=%x1:x64``; its event may have any name.

    Source: Linux arch/arm64/mm/fault.c ``do_sea()``.
    """

    far: int
    esr: int

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it is another event or damaged."""
        if not line.text.startswith("(do_sea+"):
            return None
        far, esr = _number(line.fields, "far"), _number(line.fields, "esr")
        return None if far is None or esr is None else cls(far=far, esr=esr)


def _fields(event: str, text: str) -> dict[str, str]:
    for pattern in _PATTERNS.get(event, ()):
        if match := pattern.fullmatch(text.strip()):
            return match.groupdict()
    return dict(_PAIR.findall(text))


def _number(fields: Mapping[str, str], name: str) -> int | None:
    text = fields.get(name, "")
    try:
        return int(text, 0) if len(text) <= 20 else None
    except ValueError:
        return None
