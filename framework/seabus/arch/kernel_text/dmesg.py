# SPDX-License-Identifier: Apache-2.0
"""A whole kernel log read for what concerns errors: typed events, with line numbers and times.

>>> report = parse_dmesg(
...     "[   22.694559] Memory failure: 0xa9d08: already hardware poisoned\\n"
...     "[   22.699983] Memory failure: 0xa9d08: recovery action for dirty LRU page: Recovered\\n"
... )
>>> for event in report.events:
...     print(event.line, event.time_ns, event.kind, event.what.kind)
1 22694559000 memory-failure already poisoned
2 22699983000 memory-failure recovery
"""

import re
from collections.abc import Callable, Iterable, Iterator

from seabus.arch.kernel_text.drivers import (
    parse_aer,
    parse_edac,
    parse_firmware_complaint,
    parse_ghes_signal,
)
from seabus.arch.kernel_text.exceptions import UserException, parse_exception
from seabus.arch.kernel_text.ghes import GhesRecord, GhesTextParser
from seabus.arch.kernel_text.kvm import parse_kvm
from seabus.arch.kernel_text.line import MAX_LINE, LogLine, parse_log_line
from seabus.arch.kernel_text.log_events import DmesgReport, LogEvent, LogFinding, LostMessages
from seabus.arch.kernel_text.memory_failure import parse_page_event
from seabus.arch.kernel_text.report import TroubleReport, TroubleTextParser
from seabus.arch.kernel_text.trouble import trouble_of

__all__ = ["MAX_EVENTS", "DmesgParser", "log_lines", "parse_dmesg"]

#: Events that a report keeps; the rest is counted.
MAX_EVENTS = 10_000


_DROPPED = re.compile(r"\*\* (?P<count>\d{1,19}) printk messages dropped.*")
_SUPPRESSED = re.compile(r"(?P<function>[\w.]{1,80}): (?P<count>\d{1,10}) callbacks suppressed")


def _parse_lost(message: str) -> LostMessages | None:
    if match := _DROPPED.fullmatch(message):
        return LostMessages(count=int(match["count"]))
    if match := _SUPPRESSED.fullmatch(message):
        return LostMessages(count=int(match["count"]), function=match["function"])
    return None


def _parse_user_exception(message: str) -> UserException | None:
    found = parse_exception(message)
    return found if isinstance(found, UserException) else None


_HARDWARE = "[Hardware Error]: "
# Each with a word without which it is not tried: nearly all lines of a log are of no interest.
_LINE_PARSERS: tuple[tuple[tuple[str, ...], Callable[[str], LogFinding | None]], ...] = (
    (("GHES: ",), parse_ghes_signal),
    (("emory failure", "offlin", "Unpoison: ", "Sending SIGBUS"), parse_page_event),
    (("unhandled exception: ",), _parse_user_exception),
    (("EDAC ",), parse_edac),
    (("AER: ", "Bus Error: "), parse_aer),
    (("[Firmware ",), parse_firmware_complaint),
    (("kvm", "KVM: "), parse_kvm),
    (("dropped", "suppressed"), _parse_lost),
)


class DmesgParser:
    """Reads a log line by line, in bounded memory, however long it is.

    :meth:`feed` returns what a line completes, so records and reports come out after the line that ends
    them; ``LogEvent.line`` is where they began.
    """

    def __init__(self) -> None:
        self._ghes = GhesTextParser(whole=True)
        self._trouble = TroubleTextParser()
        self._line = 0
        self._ghes_begun: dict[int, tuple[int, LogLine]] = {}
        self._trouble_begun: tuple[int, LogLine] | None = None

    @property
    def lines(self) -> int:
        """How many lines were fed."""
        return self._line

    def feed(self, line: str) -> list[LogEvent]:
        """Take one line, with or without its end, as :func:`~seabus.arch.kernel_text.parse_log_line` does."""
        self._line += 1
        log = parse_log_line(line)
        events = [self._ghes_event(record) for record in self._feed_ghes(log)]
        is_trouble = trouble_of(log.message) is not None
        was_open = self._trouble.is_open
        if report := self._trouble.take(log.message):
            events.append(self._trouble_event(report))
            was_open = False
        if self._trouble.is_open and not was_open:
            self._trouble_begun = (self._line, log)
        if not is_trouble and (found := _parse(log.message)):
            events.append(_event(self._line, log, found))
        return events

    def finish(self) -> list[LogEvent]:
        """Return what was begun and never ended: the log has."""
        events = [self._ghes_event(record) for record in self._ghes.finish()]
        if report := self._trouble.finish():
            events.append(self._trouble_event(report))
        return events

    def _feed_ghes(self, log: LogLine) -> Iterator[GhesRecord]:
        record = self._ghes.feed(log.message)
        while record is not None:  # each is taken before its number is looked up again below
            yield record
            record = self._ghes.feed("")
        for sequence in self._ghes.waiting:
            self._ghes_begun.setdefault(sequence, (self._line, log))

    def _ghes_event(self, record: GhesRecord) -> LogEvent:
        line, log = self._ghes_begun.pop(record.sequence)
        return _event(line, log, record)

    def _trouble_event(self, report: TroubleReport) -> LogEvent:
        begun = self._trouble_begun or (self._line, LogLine(message=report.text))
        return _event(*begun, report)


def _parse(message: str) -> LogFinding | None:
    if _HARDWARE in message:  # a record may quote anything, such as firmware's name of a part
        return parse_ghes_signal(message)
    for words, parser in _LINE_PARSERS:
        if any(word in message for word in words) and (found := parser(message)) is not None:
            return found
    return None


def _event(line: int, log: LogLine, what: LogFinding) -> LogEvent:
    return LogEvent(line=line, what=what, time_ns=log.time_ns, level=log.level, caller=log.caller)


def parse_dmesg(log: str | Iterable[str], *, max_events: int = MAX_EVENTS) -> DmesgReport:
    """Read a log as a whole.

    :param log: its text, or its lines, such as :func:`log_lines` of a file gives them.
    :param max_events: how many events to keep; those completed first are.
    """
    parser = DmesgParser()
    events: list[LogEvent] = []
    left_out = 0
    for line in log_lines([log]) if isinstance(log, str) else log:
        found = parser.feed(line)
        room = max_events - len(events)
        events += found[:room]
        left_out += len(found[room:])
    found = parser.finish()
    room = max_events - len(events)
    events += found[:room]
    left_out += len(found[room:])
    events.sort(key=lambda event: event.line)
    return DmesgReport(events=tuple(events), lines=parser.lines, left_out=left_out)


def log_lines(chunks: Iterable[str | bytes], *, max_line: int = MAX_LINE) -> Iterator[str]:
    """Cut a log that comes in pieces into lines, of which each keeps its first ``max_line`` characters.

    However long a line is, no more than a piece and ``max_line`` characters are held. Bytes that are no UTF-8
    become ``\\xNN``.

    :param chunks: text or bytes, cut anywhere, such as reads of 64 KiB from a file.
    """
    kept = b""
    for chunk in chunks:
        data = chunk.encode(errors="backslashreplace") if isinstance(chunk, str) else chunk
        *ended, rest = data.split(b"\n")
        for line in ended:
            yield _decoded(kept + line, max_line)
            kept = b""
        # A character has at most four bytes.
        kept = (kept + rest)[: 4 * max_line]
    if kept:
        yield _decoded(kept, max_line)


def _decoded(line: bytes, max_line: int) -> str:
    return line[: 4 * max_line].decode(errors="backslashreplace")[:max_line]
