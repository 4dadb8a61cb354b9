# SPDX-License-Identifier: Apache-2.0
"""What a kernel logs about errors: GHES records, memory failures, and trouble of its own.

All functions take one line, with or without what precedes a kernel's message: a level ``<6>``, a
time ``[   12.345678]``, a caller ``[  T123]``, a journal's ``kernel:``. They are for text that
anyone may have written: nothing here fails on a line, and what it stores is capped.

>>> parser = GhesTextParser()
>>> for line in (
...     "{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 1",
...     "{1}[Hardware Error]: event severity: recoverable",
...     "{1}[Hardware Error]:  Error 0, type: recoverable",
...     "{1}[Hardware Error]:   section_type: memory error",
...     "{1}[Hardware Error]:   physical_address: 0x000000010123f000",
... ):
...     record = parser.feed(line)
>>> record.source, hex(record.physical_address)
(1, '0x10123f000')
"""

import re
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

__all__ = [
    "GhesRecord",
    "GhesSection",
    "GhesTextParser",
    "MemoryFailure",
    "find_trouble",
    "kernel_message",
    "parse_memory_failure",
]

_PREFIX = re.compile(
    r"""
    (?: .{0,64}? \s kernel: \s )?       # journalctl, syslog
    (?: <\d{1,3}> )?                    # printk level
    (?: \s* \[ \s* \d+\.\d{3,9} \] )?   # printk.time
    (?: \s* \[ \s* [TC]\d+ \] )?        # CONFIG_PRINTK_CALLER
    \s?
    """,
    re.VERBOSE,
)


def kernel_message(line: str) -> str:
    """Return the kernel's message in a line, without level, time, caller and line end."""
    line = line.rstrip()
    match = _PREFIX.match(line)
    return line[match.end() :] if match else line


# --- GHES records ---------------------------------------------------------------------------------

# HW_ERR of Linux include/linux/printk.h, after the sequence number of ghes.c.
_GHES_LINE = re.compile(r"\{(?P<sequence>\d{1,20})\}\[Hardware Error\]: ?(?P<text>.*)")
_SOURCE = re.compile(r"Hardware error from APEI Generic Hardware Error Source: (\d{1,10})")
_ERROR = re.compile(r"Error (\d{1,5}), type: (.+)")
_TIME = re.compile(r"(?:im)?precise tstamp: .+")
_ITEM = re.compile(r"(\w[\w -]{0,40}?): ?(.*)")
# cper_mem_err_location() prints these on one line, since 6.1 or so as "node:1", before as "node:
# 1".
_LOCATION = re.compile(r"(\w+): ?(\S+)")
_LOCATION_NAMES = frozenset(
    {
        *("node", "card", "module", "rank", "bank", "bank_group", "bank_address", "device"),
        *("row", "column", "bit_position", "requestor_id", "responder_id", "target_id", "chip_id"),
    }
)

_MAX_LINES = 256
_MAX_SECTIONS = 32
_MAX_RECORDS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class GhesSection:
    """One ``Error N`` of a printed record.

    ``physical_address`` is one of the level whose log this is: host-physical in L1, guest-physical
    in L2. ``fields`` holds every ``name: value`` that was printed, as text, those below included.
    """

    index: int = 0
    severity: str = ""
    kind: str = ""
    fru_id: uuid.UUID | None = None
    fru_text: str | None = None
    physical_address: int | None = None
    physical_address_mask: int | None = None
    error_status: int | None = None
    error_type: int | None = None
    error_type_name: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GhesRecord:
    """A record as the kernel printed it, whole or as far as it was seen.

    ``sequence`` is the number in braces, which restarts at each boot; ``source`` the GHES source
    id; ``severity`` one of recoverable, fatal, corrected, info. ``lines`` holds the messages,
    unparsed.

    Source: Linux drivers/acpi/apei/ghes.c ``__ghes_print_estatus()`` and
    drivers/firmware/efi/cper.c ``cper_estatus_print()``.
    """

    sequence: int
    source: int | None = None
    severity: str = ""
    sections: tuple[GhesSection, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def physical_address(self) -> int | None:
        """The first physical address of any section."""
        found = (section.physical_address for section in self.sections)
        return next((address for address in found if address is not None), None)

    @property
    def fru_id(self) -> uuid.UUID | None:
        """The first FRU id of any section."""
        return next((s.fru_id for s in self.sections if s.fru_id is not None), None)


class GhesTextParser:
    """Assembles records from log lines, in any order of interleaving with other text.

    The kernel prints no end of a record. So :meth:`feed` hands a record out, once, as soon as it is
    *ready*: its physical address was printed, or its error type without one, which comes later; any
    other kind of record is ready when the next one begins, or in :meth:`finish`. A memory error
    that waits for its address may overlap with one more record, as two CPUs may print at a time.
    Lines that come after a record was handed out still complete the one in :attr:`records`.
    """

    def __init__(self) -> None:
        self._records: OrderedDict[int, GhesRecord] = OrderedDict()
        self._waiting: OrderedDict[int, None] = OrderedDict()  # begun, not handed out; in order
        self._ready: deque[GhesRecord] = deque()

    @property
    def records(self) -> Mapping[int, GhesRecord]:
        """The last 64 records by sequence number, each as complete as the lines so far make it."""
        return dict(self._records)

    def feed(self, line: str) -> GhesRecord | None:
        """Take one line; return a record that is ready now, if there is one.

        :param line: any line of a log; those that are no part of a record are ignored.
        """
        match = _GHES_LINE.search(line.rstrip()[:1024])
        if match:
            self._take(int(match["sequence"]), match["text"])
        return self._ready.popleft() if self._ready else None

    def finish(self) -> list[GhesRecord]:
        """Return the records that were begun, but not handed out: the log has ended."""
        self._release_all()
        ready = list(self._ready)
        self._ready.clear()
        return ready

    def _take(self, sequence: int, text: str) -> None:
        source = _SOURCE.fullmatch(text.strip())
        if source:
            self._release_before(sequence)
            self._begin(GhesRecord(sequence=sequence, source=int(source[1])))
        elif sequence not in self._records:  # its first lines were lost
            self._begin(GhesRecord(sequence=sequence))
        record = _extend(self._records[sequence], text)
        self._records[sequence] = record
        if sequence in self._waiting and _is_ready(record):
            self._release(sequence)

    def _begin(self, record: GhesRecord) -> None:
        self._records[record.sequence] = record
        self._records.move_to_end(record.sequence)
        self._waiting[record.sequence] = None
        while len(self._records) > _MAX_RECORDS:
            oldest = next(iter(self._records))
            if oldest in self._waiting:
                self._release(oldest)
            del self._records[oldest]

    def _release(self, sequence: int) -> None:
        del self._waiting[sequence]
        self._ready.append(self._records[sequence])

    def _release_before(self, beginning: int) -> None:
        waiting = list(self._waiting)
        for sequence in waiting:
            overlaps = sequence == waiting[-1] and sequence != beginning
            if not (overlaps and _may_get_address(self._records[sequence])):
                self._release(sequence)

    def _release_all(self) -> None:
        for sequence in list(self._waiting):
            self._release(sequence)


def _is_ready(record: GhesRecord) -> bool:
    if not record.sections:
        return False
    last = record.sections[-1]
    return last.physical_address is not None or last.error_type is not None


def _may_get_address(record: GhesRecord) -> bool:
    return not record.sections or record.sections[-1].kind in {"", "memory error"}


def _extend(record: GhesRecord, text: str) -> GhesRecord:
    if len(record.lines) >= _MAX_LINES:
        return record
    record = replace(record, lines=(*record.lines, text))
    text = text.strip()
    if text.startswith("event severity: "):
        return replace(record, severity=text.removeprefix("event severity: "))
    error = _ERROR.fullmatch(text)
    if error and len(record.sections) < _MAX_SECTIONS:
        opened = GhesSection(index=int(error[1]), severity=error[2])
        return replace(record, sections=(*record.sections, opened))
    # A time stamp precedes the "Error N" it belongs to; it stays in ``lines``.
    if _SOURCE.fullmatch(text) or _TIME.fullmatch(text) or not (item := _ITEM.fullmatch(text)):
        return record
    *done, section = record.sections or (GhesSection(),)
    return replace(record, sections=(*done, _fill(section, item[1], item[2])))


def _fill(section: GhesSection, name: str, value: str) -> GhesSection:
    items = {name: value}
    if name in _LOCATION_NAMES:
        items = dict(_LOCATION.findall(f"{name}: {value}"))
    section = replace(section, fields={**section.fields, **items})
    setter = _SETTERS.get(name)
    return section if setter is None else setter(section, value)


def _hex(text: str) -> int | None:
    match = re.search(r"0x([0-9a-fA-F]{1,16})\b", text)
    return int(match[1], 16) if match else None


def _set_fru_id(section: GhesSection, value: str) -> GhesSection:
    try:
        return replace(section, fru_id=uuid.UUID(value))
    except ValueError:
        return section


def _set_error_type(section: GhesSection, value: str) -> GhesSection:
    match = re.fullmatch(r"(\d{1,3})(?:, (.*))?", value)
    if not match:
        return section
    return replace(section, error_type=int(match[1]), error_type_name=match[2] or "")


_SETTERS: Mapping[str, Callable[[GhesSection, str], GhesSection]] = {
    "section_type": lambda section, value: replace(section, kind=value),
    "section type": lambda section, value: replace(section, kind=value),  # of an unknown GUID
    "fru_id": _set_fru_id,
    "fru_text": lambda section, value: replace(section, fru_text=value),
    "physical_address": lambda section, value: replace(section, physical_address=_hex(value)),
    "physical_address_mask": lambda section, value: replace(section, physical_address_mask=_hex(value)),
    "error_status": lambda section, value: replace(section, error_status=_hex(value)),
    "error_type": _set_error_type,
}

# --- Memory failures ------------------------------------------------------------------------------

_MEMORY_FAILURE = re.compile(r"\bMemory failure: (?P<pfn>0x[0-9a-fA-F]{1,16}|0):? (?P<text>.*)")
_RECOVERY = re.compile(r"recovery action for (?P<page_type>.+): (?P<result>\w+)")
_SIGNAL = re.compile(
    r"(?:Sending SIGBUS to|Killing) (?P<comm>.*):(?P<pid>\d{1,10})"
    r" due to hardware memory corruption"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFailure:
    """One line of ``memory_failure()``.

    ``pfn`` is the page frame number, in pages of the kernel whose log this is; ``text`` what
    follows. ``page_type`` and ``result`` (Ignored, Failed, Delayed, Recovered) are set on the line
    that reports the recovery action, ``comm`` and ``pid`` on one that announces a SIGBUS; all
    ``None`` on others.
    """

    pfn: int
    text: str
    page_type: str | None = None
    result: str | None = None
    comm: str | None = None
    pid: int | None = None


def parse_memory_failure(line: str) -> MemoryFailure | None:
    """Read a ``Memory failure: 0x<pfn>: …`` line; ``None`` for any other.

    Source: Linux mm/memory-failure.c ``action_result()`` and ``kill_proc()``.
    """
    match = _MEMORY_FAILURE.search(line.rstrip())
    if not match:
        return None
    pfn, text = int(match["pfn"], 16), match["text"]
    if recovery := _RECOVERY.fullmatch(text):
        page_type, result = recovery["page_type"], recovery["result"]
        return MemoryFailure(pfn=pfn, text=text, page_type=page_type, result=result)
    if signal := _SIGNAL.fullmatch(text):
        return MemoryFailure(pfn=pfn, text=text, comm=signal["comm"], pid=int(signal["pid"]))
    return MemoryFailure(pfn=pfn, text=text)


# --- Trouble --------------------------------------------------------------------------------------

# What opens a report of the kernel about itself, matched at the start of the message; the first
# that matches names it. Wordings of Linux 6.1 to 7.3, arm64 and generic code.
_TROUBLE = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("panic", r"Kernel panic - not syncing"),
        # Both as "BUG: soft lockup - CPU#1 stuck" and "watchdog: BUG: soft lockup - CPU#1 stuck".
        ("soft lockup", r"(?:watchdog: )?BUG: soft lockup\b"),
        ("hard lockup", r"(?:watchdog: .*)?Watchdog detected hard LOCKUP\b"),
        ("hung task", r"INFO: task .+ blocked (?:for more than|on an? )"),
        ("RCU stall", r"(?:rcu: )?(?:INFO: )?rcu\w* (?:self-)?detected (?:expedited )?stall"),
        ("RCU stall", r"rcu: .*kthread (?:starved|timer wakeup didn't happen)"),
        ("oops", r"Internal error: "),
        ("oops", r"(?:Oops\b|Unable to handle kernel |Unhandled fault\b|Unhandled .+ exception\b)"),
        ("SError", r"SError Interrupt on CPU"),
        ("BUG", r"(?:kernel BUG at |BUG: |[\w/.-]+: BUG: )"),
        # "WARNING: CPU: 0 PID: 1 at f.c:2 g+0x0", since 6.19 "WARNING: f.c:2 at g+0x0, CPU#0: x/1".
        ("WARNING", r"WARNING: "),
        ("lockdep", r"INFO: (?:possible (?:recursive|circular)|trying to register non-static key)"),
        ("list corruption", r"list_(?:add|del) corruption"),
        ("UBSAN", r"UBSAN: "),
        ("cut here", r"-+\[ cut here \]-+"),
        ("call trace", r"Call [Tt]race:"),
    )
)


def find_trouble(line: str) -> str | None:
    """Return what kind of report about itself the kernel begins with this line, or ``None``.

    One of: panic, soft lockup, hard lockup, hung task, RCU stall, oops, SError, BUG, WARNING,
    lockdep, list corruption, UBSAN, cut here, call trace. Lines of a hardware error record are none
    of these.

    Source: Linux kernel/panic.c, kernel/watchdog.c, kernel/hung_task.c, kernel/rcu/tree_stall.h,
    lib/bug.c, arch/arm64/kernel/traps.c, arch/arm64/mm/fault.c.
    """
    message = kernel_message(line)
    return next((kind for kind, pattern in _TROUBLE if pattern.match(message)), None)
