# SPDX-License-Identifier: Apache-2.0
"""What reading a log yields: findings, where they were, and all of them together."""

from dataclasses import dataclass
from typing import TypeAlias

from seabus.arch.kernel_text.drivers import AerReport, EdacReport, FirmwareComplaint, GhesSignal
from seabus.arch.kernel_text.exceptions import UserException
from seabus.arch.kernel_text.ghes import GhesRecord
from seabus.arch.kernel_text.kvm import KvmMessage
from seabus.arch.kernel_text.memory_failure import (
    MemoryFailure,
    MemoryFailureNote,
    PageEvent,
    PoisonInjection,
    SoftOffline,
    Unpoison,
)
from seabus.arch.kernel_text.report import TroubleReport

__all__ = ["DmesgReport", "LogEvent", "LogFinding", "LostMessages"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LostMessages:
    """The log has a hole: ``count`` messages were dropped, or suppressed by the rate limit of ``function``.

    Source: Linux kernel/printk/printk.c ``console_prepend_dropped()``, lib/ratelimit.c.
    """

    count: int
    function: str | None = None


LogFinding: TypeAlias = (
    GhesRecord
    | PageEvent
    | TroubleReport
    | UserException
    | GhesSignal
    | KvmMessage
    | EdacReport
    | AerReport
    | FirmwareComplaint
    | LostMessages
)

_KINDS: dict[type, str] = {
    GhesRecord: "ghes",
    MemoryFailure: "memory-failure",
    MemoryFailureNote: "memory-failure",
    SoftOffline: "soft-offline",
    Unpoison: "unpoison",
    PoisonInjection: "injection",
    TroubleReport: "trouble",
    UserException: "user-exception",
    GhesSignal: "signal",
    KvmMessage: "kvm",
    EdacReport: "edac",
    AerReport: "aer",
    FirmwareComplaint: "firmware",
    LostMessages: "lost",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
    """One finding. ``line`` counts from 1 and is where it begins; the rest is what that line says of itself.

    ``time_ns`` is on the clock of the kernel that printed, since its boot; ``level`` 0 to 7; ``caller`` a
    task ``T<tid>`` or a CPU ``C<number>``.
    """

    line: int
    what: LogFinding
    time_ns: int | None = None
    level: int | None = None
    caller: str | None = None

    @property
    def kind(self) -> str:
        """One of: ghes, memory-failure, soft-offline, unpoison, injection, trouble, user-exception, signal,
        kvm, edac, aer, firmware, lost."""
        return _KINDS[type(self.what)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DmesgReport:
    """All that a log tells about errors, in the order in which it began.

    ``lines`` is how many lines were read, ``left_out`` how many events were not kept.
    """

    events: tuple[LogEvent, ...]
    lines: int
    left_out: int = 0

    def of_kind(self, *kinds: str) -> tuple[LogEvent, ...]:
        """The events of some kinds."""
        return tuple(event for event in self.events if event.kind in kinds)

    @property
    def ghes(self) -> tuple[GhesRecord, ...]:
        """The records of firmware."""
        return tuple(e.what for e in self.events if isinstance(e.what, GhesRecord))

    @property
    def memory_failures(self) -> tuple[MemoryFailure, ...]:
        """The lines of ``memory_failure()`` that name a page."""
        return tuple(e.what for e in self.events if isinstance(e.what, MemoryFailure))

    @property
    def trouble(self) -> tuple[TroubleReport, ...]:
        """The kernel's reports about itself: oopses, panics, warnings, stalls."""
        return tuple(e.what for e in self.events if isinstance(e.what, TroubleReport))
