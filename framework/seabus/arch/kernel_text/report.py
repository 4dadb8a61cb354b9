# SPDX-License-Identifier: Apache-2.0
"""A kernel's report about itself, put together: what it began with, where the CPU was, how it got there.

>>> parser = TroubleTextParser()
>>> for line in (
...     "Internal error: synchronous external abort: 0000000096000010 [#1]  SMP",
...     "CPU: 1 UID: 0 PID: 134 Comm: frame Tainted: G   M                7.3.4+deb13-arm64 #1",
...     "pc : __arch_copy_from_user+0x14/0x240",
...     "---[ end trace 0000000000000000 ]---",
... ):
...     report = parser.feed(line)
>>> report.kind, hex(report.esr), report.comm, report.pc
('oops', '0x96000010', 'frame', '__arch_copy_from_user+0x14/0x240')
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from seabus.arch.kernel_text.exceptions import (
    ExceptionLine,
    InternalError,
    KernelAccess,
    KernelPanic,
    SErrorInterrupt,
    UnhandledException,
    UserException,
    parse_exception,
)
from seabus.arch.kernel_text.line import kernel_message
from seabus.arch.kernel_text.trouble import trouble_of

__all__ = ["TroubleReport", "TroubleTextParser"]

_MAX_LINES = 256
# Lines of others between two of a report: a stack of a busy machine is interleaved, but not for long.
_MAX_GAP = 32
_MAX_TRACE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubleReport:
    """What a kernel printed about one trouble of its own, as far as it was seen.

    ``kind`` is one of :func:`~seabus.arch.kernel_text.find_trouble`, that of the gravest line; ``text`` the
    line it is from; ``exceptions`` the lines that name an exception, typed. ``cpu``, ``pid``, ``comm`` and
    ``tainted`` (the letters, such as ``G   M``) tell what ran where; ``pc`` and ``lr`` are symbols of the
    kernel or addresses of a process, ``registers`` x0 to x30, sp and pstate. ``abort`` has the fields of
    ``Mem abort info``, decoded by the kernel, by its names. ``lines`` are all messages that belong to it.

    Source: Linux arch/arm64/kernel/process.c ``__show_regs()``, arch/arm64/mm/fault.c
    ``mem_abort_decode()``, lib/dump_stack.c ``dump_stack_print_info()``.
    """

    kind: str
    text: str
    exceptions: tuple[ExceptionLine, ...] = ()
    cpu: int | None = None
    pid: int | None = None
    comm: str | None = None
    tainted: str | None = None
    pc: str | None = None
    lr: str | None = None
    registers: Mapping[str, int] = field(default_factory=dict, hash=False)
    abort: Mapping[str, str] = field(default_factory=dict, hash=False)
    call_trace: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def esr(self) -> int | None:
        """ESR_ELx, from the line that names it."""
        for line in self.exceptions:
            if isinstance(line, InternalError | SErrorInterrupt | UnhandledException):
                return line.esr
        return int(self.abort["ESR"], 16) if "ESR" in self.abort else None

    @property
    def address(self) -> int | None:
        """The virtual address whose access failed."""
        found = (line.address for line in self.exceptions if isinstance(line, KernelAccess))
        return next(found, None)

    @property
    def hardware(self) -> bool:
        """Whether the kernel blames the hardware: an external abort, an SError, a fatal record."""
        return any(
            isinstance(line, SErrorInterrupt)
            or (isinstance(line, InternalError | KernelPanic) and line.hardware)
            for line in self.exceptions
        )


# What may open a report, gravest last: a report is named by its gravest line, so that "cut here" and
# "Unable to handle" do not hide the WARNING or the oops they announce.
_GRAVITY = {kind: rank for rank, kind in enumerate(("call trace", "cut here"))}
_OTHERS = len(_GRAVITY)
_FINAL = "panic"
# The second line about a hung task; a first one says "for more than".
_BLOCKED_BY = re.compile(r" blocked on an? ")
_END = re.compile(r"---\[ end (?:trace|Kernel panic)\b.*")

_CPU = re.compile(
    r"CPU: (?P<cpu>\d{1,5}) (?:UID: \d{1,10} )?PID: (?P<pid>\d{1,10}) Comm: (?P<comm>.{1,20}?)"
    r" (?:Kdump: loaded )?(?:Not tainted|Tainted: (?P<tainted>[A-Z ]{1,40}?)) {1,20}\d\S* .*"
)
_WARNED = re.compile(r"WARNING: .*CPU#(?P<cpu>\d{1,5}): (?P<comm>.{1,20})/(?P<pid>\d{1,10})")
_PLACE = re.compile(r"(?P<name>pc|lr) : (?P<value>.{1,200})")
_REGISTER = re.compile(r"(?P<name>x\d{1,2}|sp|pstate) ?: (?P<value>[0-9a-f]{8,16})(?= |$)")
_ABORT = re.compile(r" {0,8}(?P<items>[A-Z]\w{0,20}(?: size)? = .*)")
_ABORT_ITEM = re.compile(r"(?P<name>[A-Za-z]\w{0,20}(?: size)?) = (?P<value>[^,]{1,60})")
_FRAME = re.compile(r" {0,8}(?P<frame>\??\s?[\w.$]{1,120}\+0x[0-9a-f]{1,8}/0x[0-9a-f]{1,8}.{0,60})")
_TRACE = re.compile(r"Call [Tt]race:.*")
_OTHER_PARTS = re.compile(
    r"Modules linked in:|Hardware name: |Tainted: |Workqueue: |Code: |(?:Mem|Data) abort info:|pmr: "
    r"|\[[0-9a-f]{16}\] |(?:user|swapper) pgtable: |Kernel Offset: |PHYS_OFFSET: |CPU features: "
    r"|Memory Limit: |SMP: stopping secondary CPUs|(?:BUG|INFO|WARNING): |=+$|-+\[ cut here"
    r"|task:|Showing all locks|Sending NMI|NMI backtrace|Rebooting in |FAR: |ESR: "
    r"|(?:Task|IRQ|Overflow) stack: "
)


class TroubleTextParser:
    """Assembles reports from log lines. One is open at a time; a second CPU's lines are mixed into it.

    A report ends with its end mark, with a panic that follows it, after 256 lines, or when 32 lines in a row
    are no part of it.
    """

    def __init__(self) -> None:
        self._open: _Report | None = None

    @property
    def is_open(self) -> bool:
        """Whether a report was begun and not yet handed out."""
        return self._open is not None

    def feed(self, line: str) -> TroubleReport | None:
        """Take one line; return the report that it ends, if it ends one.

        The line that begins the next report may be the one that ends the last.
        """
        return self.take(kernel_message(line))

    def take(self, message: str) -> TroubleReport | None:
        """The same for a message that was already taken out of its line."""
        kind = trouble_of(message)
        ended = None
        if self._open is None:
            if kind:
                self._open = _Report(kind, message)
            return None
        if kind and self._open.is_followed_by(kind, message):
            ended = self._open.report()
            self._open = _Report(kind, message)
        elif not self._open.add(message, kind):
            ended = self.finish()
        return ended

    def finish(self) -> TroubleReport | None:
        """Return the report that was begun: the log has ended."""
        opened, self._open = self._open, None
        return opened.report() if opened else None


class _Report:
    """A report that still grows."""

    def __init__(self, kind: str, message: str) -> None:
        self._kind, self._text = kind, message
        self._lines: list[str] = []
        self._exceptions: list[ExceptionLine] = []
        self._found: dict[str, str | None] = {}
        self._registers: dict[str, int] = {}
        self._abort: dict[str, str] = {}
        self._trace: list[str] = []
        self._in_trace = False
        self._gap = 0
        self.add(message, kind)

    def is_followed_by(self, kind: str, message: str) -> bool:
        """Whether a line of this kind opens the next report, and is none of this one's."""
        if kind == self._kind and (kind == "RCU stall" or _BLOCKED_BY.search(message)):
            return False
        if kind == _FINAL:
            # "SError Interrupt on CPU" and its panic are one.
            return self._kind not in {"SError", "cut here"}
        if kind in _GRAVITY or self._kind in _GRAVITY:
            return kind == "cut here" and self._kind not in _GRAVITY
        if self._kind == _FINAL:
            return False  # what a dying kernel prints belongs to its death
        return not (kind == "oops" and self._awaits_death())

    def add(self, message: str, kind: str | None) -> bool:
        """Add a line; False if the report has ended with it, or before it."""
        graver = kind is not None and _GRAVITY.get(kind, _OTHERS) > _GRAVITY.get(self._kind, _OTHERS)
        if kind and (graver or kind == _FINAL):
            self._kind, self._text = kind, message
        belongs = self._read(message) or kind is not None
        if belongs:
            self._gap = 0
            self._lines.append(message)
        else:
            self._gap += 1
        ended = _END.fullmatch(message) is not None
        return not ended and self._gap < _MAX_GAP and len(self._lines) < _MAX_LINES

    def report(self) -> TroubleReport:
        found = self._found
        cpu, pid = found.get("cpu"), found.get("pid")
        return TroubleReport(
            kind=self._kind,
            text=self._text,
            exceptions=tuple(self._exceptions),
            cpu=int(cpu) if cpu else None,
            pid=int(pid) if pid else None,
            comm=found.get("comm"),
            tainted=found.get("tainted"),
            pc=found.get("pc"),
            lr=found.get("lr"),
            registers=dict(self._registers),
            abort=dict(self._abort),
            call_trace=tuple(self._trace),
            lines=tuple(self._lines),
        )

    def _awaits_death(self) -> bool:
        """Whether an "Internal error" would be this one's: of "Unable to handle kernel", "kernel BUG at"."""
        died = any(isinstance(line, InternalError) for line in self._exceptions)
        return self._kind in {"oops", "BUG", "UBSAN"} and not died

    def _read(self, message: str) -> bool:
        """Take what a line says; False if it is none of a report's lines."""
        exception = parse_exception(message)
        if exception and not isinstance(exception, UserException):
            self._exceptions.append(exception)
            if isinstance(exception, SErrorInterrupt | UnhandledException):
                self._found.setdefault("cpu", str(exception.cpu))
            return True
        if match := _CPU.fullmatch(message) or _WARNED.fullmatch(message):
            for name, value in match.groupdict().items():
                self._found.setdefault(name, value)
            return True
        if match := _PLACE.fullmatch(message):
            self._found.setdefault(match["name"], match["value"])
            return True
        if registers := _REGISTER.findall(message[:200]):
            for name, value in registers:
                self._registers.setdefault(name, int(value, 16))
            return True
        if match := _ABORT.fullmatch(message):
            self._abort |= {name: value.strip() for name, value in _ABORT_ITEM.findall(match["items"])}
            return True
        return self._read_trace(message)

    def _read_trace(self, message: str) -> bool:
        if _TRACE.fullmatch(message):
            self._in_trace = not self._trace  # the first one is the culprit's
            return True
        if match := _FRAME.fullmatch(message):
            if self._in_trace and len(self._trace) < _MAX_TRACE:
                self._trace.append(match["frame"])
            return True
        return _OTHER_PARTS.match(message) is not None or _END.fullmatch(message) is not None
