# SPDX-License-Identifier: Apache-2.0
"""What a user put into a trace: kprobes, marks, and the kernel's log through ``printk:console``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from seabus.arch.trace._fields import number
from seabus.arch.trace.line import TraceLine

__all__ = ["MceProbe", "ProbeHit", "SeaProbe", "console_message", "marker_text"]


def console_message(line: TraceLine) -> str | None:
    """Return the kernel log line that a ``printk:console`` event carries; ``None`` for others.

    It may still have its time in front, see :func:`seabus.arch.kernel_text.kernel_message`.
    """
    return line.text if line.event == "console" else None


def marker_text(line: TraceLine) -> str | None:
    """Return what somebody wrote into ``trace_marker``, without its line end; ``None`` for other events.

    Source: Linux kernel/trace/trace.c ``tracing_mark_write()``, kernel/trace/trace_output.c
    ``trace_print_print()``.
    """
    return line.text.rstrip() if line.event == "tracing_mark_write" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeHit:
    """A kprobe or its return, a uprobe, or a probe on an event, whatever its name.

    ``place`` is where it hit: ``do_sea+0x0/0xd8``, an address of a process, or ``group.event``; of a return,
    where it returns to, and then ``function`` is what returns. ``arguments`` are those it was told to
    fetch, as text; strings with blanks are cut at the first.

    Source: Linux kernel/trace/trace_kprobe.c ``print_kprobe_event()``, ``print_kretprobe_event()``.
    """

    place: str
    function: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def symbol(self) -> str:
        """The probed function, without offset and size; of a return, the one that returns."""
        return (self.function or self.place).partition("+")[0]

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it has not the shape of a probe's."""
        match = _PROBE.fullmatch(line.text)
        if match is None:
            return None
        return cls(place=match["place"], function=match["function"], arguments=dict(line.fields))


_PROBE = re.compile(
    r"\((?P<place>[\w.$+/:\[\]-]{1,250})(?: <- (?P<function>[\w.$+/:\[\]-]{1,250}))?\)(?: .*)?"
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
        far, esr = number(line.fields, "far"), number(line.fields, "esr")
        return None if far is None or esr is None else cls(far=far, esr=esr)


@dataclass(frozen=True, slots=True, kw_only=True)
class MceProbe:
    """A kprobe on ``send_sig_mceerr`` or ``force_sig_mceerr``: SIGBUS for a memory error, as it is sent.

    ``code`` is BUS_MCEERR_AO or BUS_MCEERR_AR, ``address`` si_addr (a virtual address of the process that
    is signalled), ``lsb`` si_addr_lsb. The probe fetches ``code=%x0:s32 address=%x1 lsb=%x2:s16``; it comes
    just before the ``signal_generate`` of the same signal, from the same task.

    Source: Linux kernel/signal.c.
    """

    code: int
    address: int
    lsb: int

    @property
    def page(self) -> int:
        """The memory that is lost, and that ``lsb`` is the size of: si_addr without the bits below."""
        return self.address >> max(self.lsb, 0) << max(self.lsb, 0)

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it is another event or damaged."""
        if not line.text.startswith(("(send_sig_mceerr+", "(force_sig_mceerr+")):
            return None
        code, address, lsb = (number(line.fields, name) for name in ("code", "address", "lsb"))
        if code is None or address is None or lsb is None:
            return None
        return cls(code=code, address=address, lsb=lsb)
