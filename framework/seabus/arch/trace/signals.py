# SPDX-License-Identifier: Apache-2.0
"""``signal:*``: a signal on its way to a task, and its arrival."""

from dataclasses import dataclass
from typing import Self

from seabus.arch.sigbus import SIGBUS, BusCode
from seabus.arch.trace._fields import hexadecimal, number
from seabus.arch.trace.line import TraceLine

__all__ = ["SignalDeliver", "SignalGenerate"]

# TRACE_SIGNAL_* of Linux include/trace/events/signal.h, in order.
_RESULTS = ("delivered", "ignored", "already pending", "queue overflow", "information lost")


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
        numbers = [n for n in (number(line.fields, name) for name in names) if n is not None]
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

    @property
    def is_memory_error(self) -> bool:
        """Whether it is a SIGBUS that blames poisoned memory."""
        return self.sig == SIGBUS and self.code in {BusCode.BUS_MCEERR_AR, BusCode.BUS_MCEERR_AO}

    @property
    def result_name(self) -> str:
        """The result in words."""
        return _RESULTS[self.result] if 0 <= self.result < len(_RESULTS) else f"result {self.result}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalDeliver:
    """``signal:signal_deliver``: the task of the line takes a signal.

    ``handler`` is the virtual address of its handler: 0 for the default action, 1 for none; ``flags`` SA_*.

    Source: Linux include/trace/events/signal.h.
    """

    sig: int
    errno: int
    code: int
    handler: int
    flags: int

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it is another event or damaged."""
        if line.event != "signal_deliver":
            return None
        numbers = [number(line.fields, name) for name in ("sig", "errno", "code")]
        numbers += [hexadecimal(line.fields, name) for name in ("sa_handler", "sa_flags")]
        found = [n for n in numbers if n is not None]
        if len(found) != len(numbers):
            return None
        sig, errno, code, handler, flags = found
        return cls(sig=sig, errno=errno, code=code, handler=handler, flags=flags)
