# SPDX-License-Identifier: Apache-2.0
"""Error records of the firmware as the kernel prints them, put together from log lines.

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
from collections.abc import Mapping
from dataclasses import dataclass, field

from seabus.arch.kernel_text._section_builder import SectionBuilder
from seabus.arch.kernel_text.sections import SectionDetails, read_section

__all__ = ["GhesRecord", "GhesSection", "GhesTextParser"]

# HW_ERR of Linux include/linux/printk.h, after the sequence number of ghes.c; bert.c prints no number.
_GHES_LINE = re.compile(r"(?:\{(?P<sequence>\d{1,20})\})?\[Hardware Error\]: ?(?P<text>.*)")
_LINE_LENGTH = 1024
_SOURCE = re.compile(r"Hardware error from APEI Generic Hardware Error Source: (\d{1,10})")
_ERROR = re.compile(r"Error (\d{1,5}), type: (.+)")
_TIME = re.compile(r"(?P<precision>(?:im)?precise) tstamp: (?P<time>.+)")
_SEVERITY = "event severity: "
_CORRECTED = "It has been corrected by h/w"

_MAX_LINES = 256
_MAX_SECTIONS = 32
_MAX_RECORDS = 64
# A whole record is taken to have ended when this many lines passed without one of it: cper.c prints all of
# it in one go, so others' lines between its own are few.
_MAX_GAP = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class GhesSection:
    """One ``Error N`` of a printed record.

    ``physical_address`` is one of the level whose log this is: host-physical in L1, guest-physical
    in L2; of an ARM processor error, its first physical fault address. ``fields`` holds every
    ``name: value`` that was printed, as text, those below included; ``lines`` the section's messages,
    stripped, which :attr:`details` reads in full. ``timestamp`` is the firmware's, ``YYYY-MM-DD HH:MM:SS``
    of no stated zone, and ``precise`` whether firmware vouches for it.
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
    timestamp: str | None = None
    precise: bool | None = None
    lines: tuple[str, ...] = ()

    @property
    def details(self) -> SectionDetails | None:
        """The section's own fields, typed by its kind; ``None`` for a kind that prints none."""
        return read_section(self.kind, self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class GhesRecord:
    """A record as the kernel printed it, whole or as far as it was seen.

    ``sequence`` is the number in braces, which restarts at each boot, or 0 for a record without one: those
    of the BERT, left by the previous boot. ``source`` is the GHES source id; ``severity`` one of
    recoverable, fatal, corrected, info. ``lines`` holds the messages, unparsed.

    Source: Linux drivers/acpi/apei/ghes.c ``__ghes_print_estatus()``, drivers/acpi/apei/bert.c
    ``bert_print_all()`` and drivers/firmware/efi/cper.c ``cper_estatus_print()``.
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

    @property
    def previous_boot(self) -> bool:
        """Whether the error happened before this boot (BERT)."""
        return self.sequence == 0


class GhesTextParser:
    """Assembles records from log lines, in any order of interleaving with other text.

    The kernel prints no end of a record. So :meth:`feed` hands a record out, once, as soon as it is
    *ready*: its physical address was printed, or what its kind of section always prints; any
    other kind of record is ready when the next one begins, or in :meth:`finish`. A memory error
    that waits for its address may overlap with one more record, as two CPUs may print at a time.
    Lines that come after a record was handed out still complete the one in :attr:`records`.

    :param whole: hand a record out only when it is complete: its number was used again, 64 lines have
        passed without one of it, or in :meth:`finish`. For logs that are read, not waited for.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole
        self._records: OrderedDict[int, _Builder] = OrderedDict()
        self._waiting: OrderedDict[int, None] = OrderedDict()  # begun, not handed out; in order
        self._ready: deque[GhesRecord] = deque()
        self._line = 0

    @property
    def records(self) -> Mapping[int, GhesRecord]:
        """The last 64 records by sequence number, each as complete as the lines so far make it."""
        return {sequence: builder.record() for sequence, builder in self._records.items()}

    @property
    def waiting(self) -> tuple[int, ...]:
        """The numbers of the records that were begun, but not handed out, in order."""
        return tuple(self._waiting)

    def feed(self, line: str) -> GhesRecord | None:
        """Take one line; return a record that is ready now, if there is one.

        :param line: any line of a log; those that are no part of a record are ignored.
        """
        self._line += 1
        if "[Hardware Error]" in line:
            match = _GHES_LINE.search(line.rstrip()[:_LINE_LENGTH])
            if match:
                self._take(match["sequence"], match["text"])
        if self._whole:
            self._release_stale()
        return self._ready.popleft() if self._ready else None

    def finish(self) -> list[GhesRecord]:
        """Return the records that were begun, but not handed out: the log has ended."""
        for sequence in list(self._waiting):
            self._release(sequence)
        ready = list(self._ready)
        self._ready.clear()
        return ready

    def _take(self, number: str | None, text: str) -> None:
        sequence = int(number or 0)
        stripped = text.strip()
        source = _SOURCE.fullmatch(stripped)
        # Other reporters use the mark without a number too, so only a record's first line opens one.
        begins = source is not None or (number is None and self._begins_unnumbered(stripped))
        if begins:
            self._release_before(sequence)
            self._begin(sequence)
        elif sequence not in self._records:
            if number is None:
                return
            self._begin(sequence)  # its first lines were lost
        builder = self._records[sequence]
        builder.add(text, stripped, source)
        builder.last_line = self._line
        if not self._whole and sequence in self._waiting and builder.is_ready():
            self._release(sequence)

    def _begins_unnumbered(self, text: str) -> bool:
        if text.startswith(_CORRECTED):
            return True
        opened = self._records.get(0)
        return text.startswith(_SEVERITY) and (opened is None or bool(opened.severity))

    def _begin(self, sequence: int) -> None:
        self._records[sequence] = _Builder(sequence)
        self._records.move_to_end(sequence)
        self._waiting[sequence] = None
        while len(self._records) > _MAX_RECORDS:
            oldest = next(iter(self._records))
            if oldest in self._waiting:
                self._release(oldest)
            del self._records[oldest]

    def _release(self, sequence: int) -> None:
        del self._waiting[sequence]
        self._ready.append(self._records[sequence].record())

    def _release_before(self, beginning: int) -> None:
        waiting = list(self._waiting)
        for sequence in waiting:
            overlaps = sequence != beginning and (self._whole or sequence == waiting[-1])
            if not (overlaps and (self._whole or self._records[sequence].may_get_address())):
                self._release(sequence)

    def _release_stale(self) -> None:
        for sequence in list(self._waiting):
            if self._line - self._records[sequence].last_line > _MAX_GAP:
                self._release(sequence)


class _Builder:
    """A record that still grows."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.last_line = 0
        self.severity = ""
        self._source: int | None = None
        self._lines: list[str] = []
        self._sections: list[SectionBuilder] = []
        # A section's time is printed before the "Error N" that opens it.
        self._time: tuple[str, bool] | None = None

    def add(self, text: str, stripped: str, source: re.Match[str] | None) -> None:
        if len(self._lines) >= _MAX_LINES:
            return
        self._lines.append(text)
        if source:
            self._source = int(source[1])
        elif stripped.startswith(_SEVERITY):
            self.severity = stripped.removeprefix(_SEVERITY)
        elif time := _TIME.fullmatch(stripped):
            self._time = (time["time"], time["precision"] == "precise")
        elif (error := _ERROR.fullmatch(stripped)) and len(self._sections) < _MAX_SECTIONS:
            self._sections.append(SectionBuilder(int(error[1]), error[2], self._time))
            self._time = None
        elif not stripped.startswith(_CORRECTED):
            if not self._sections:  # its "Error N" was lost
                self._sections.append(SectionBuilder(0, "", None))
            self._sections[-1].add(stripped)

    def is_ready(self) -> bool:
        return bool(self._sections) and self._sections[-1].is_ready()

    def may_get_address(self) -> bool:
        return not self._sections or self._sections[-1].kind in {"", "memory error"}

    def record(self) -> GhesRecord:
        return GhesRecord(
            sequence=self.sequence,
            source=self._source,
            severity=self.severity,
            sections=tuple(GhesSection(**section.values()) for section in self._sections),
            lines=tuple(self._lines),
        )
