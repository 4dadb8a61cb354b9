# SPDX-License-Identifier: Apache-2.0
"""What the decoders promise for any bytes whatever, as functions that raise where a promise is broken.

``ci/fuzz`` drives them by coverage; ``test_corpus.py`` runs the inputs that it kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

from seabus.arch import linux_lines
from seabus.arch.cper import StatusBlock, decode_record, describe, remarks
from seabus.arch.esr import decode_esr
from seabus.arch.hest import decode_hest
from seabus.arch.kernel_text import GhesRecord, log_lines, parse_dmesg
from seabus.arch.malformed import MalformedRecord
from seabus.arch.siginfo import decode_siginfo
from seabus.arch.signal_frame import decode_signal_frame
from seabus.arch.signalfd import decode_signalfd_siginfo
from seabus.arch.trace import TraceLine, parse_trace_event, parse_trace_line


def esr(data: bytes) -> None:
    """Total over 64 bits; EC, IL and what the fields name lie where they say."""
    raw = int.from_bytes(data[:8], "little")
    level = (None, 1, 2, 3)[data[8] % 4] if len(data) > 8 else None
    syndrome = decode_esr(raw, el=level)
    assert syndrome.summary()
    for field in syndrome.fields:
        assert field.value == raw >> field.low & (1 << field.width) - 1, field


def cper(data: bytes) -> None:
    """A record or a typed error with a place; what was read is written back bit by bit."""
    try:
        record = decode_record(data)
    except MalformedRecord:
        return
    written = record.encode()
    assert data.startswith(written), "not written back as it was read"
    rows = describe(record)
    assert all(row.offset + row.length <= len(written) for row in rows)
    assert all(row.text is not None and row.as_dict() for row in rows)
    remarks(record)
    if isinstance(record, StatusBlock):
        try:
            linux_lines(record)
        except MalformedRecord:
            return


def hest(data: bytes) -> None:
    """A table or a typed error; what was read is written back bit by bit."""
    try:
        table = decode_hest(data)
    except MalformedRecord:
        return
    assert data.startswith(table.encode())


def log(data: bytes) -> None:
    """Any bytes are a log; nothing is found where nothing is."""
    report = parse_dmesg(log_lines([data]))
    assert report.lines <= data.count(b"\n") + 1
    for event in report.events:
        assert 1 <= event.line <= report.lines
        if isinstance(event.what, GhesRecord):
            assert all(section.details is None or section.kind for section in event.what.sections)


def trace(data: bytes) -> None:
    """Any text is a line of a trace, or none."""
    for raw in data.split(b"\n"):
        line = parse_trace_line(raw.decode(errors="backslashreplace"))
        if isinstance(line, TraceLine):
            parse_trace_event(line)


def frame(data: bytes) -> None:
    """A signal frame, a siginfo, or a typed error."""
    with contextlib.suppress(MalformedRecord):
        decode_signal_frame(data).sigbus()
    with contextlib.suppress(MalformedRecord):
        decode_siginfo(data)
    with contextlib.suppress(MalformedRecord):
        decode_signalfd_siginfo(data)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "esr": esr,
    "cper": cper,
    "hest": hest,
    "log": log,
    "trace": trace,
    "frame": frame,
}
