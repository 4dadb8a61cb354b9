# SPDX-License-Identifier: Apache-2.0
"""What the decoders and the agent's client promise for any bytes whatever, as functions that raise where a
promise is broken.

``ci/fuzz`` drives them by coverage; ``test_corpus.py`` runs the inputs that it kept.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import re
from collections.abc import Awaitable, Callable
from typing import Final

from seabus.arch import linux_lines
from seabus.arch.addresses import GuestVirtual
from seabus.arch.cper import StatusBlock, decode_record, describe, remarks
from seabus.arch.esr import decode_esr
from seabus.arch.hest import decode_hest
from seabus.arch.kernel_text import GhesRecord, log_lines, parse_dmesg
from seabus.arch.malformed import MalformedRecord
from seabus.arch.siginfo import decode_siginfo
from seabus.arch.signal_frame import decode_signal_frame
from seabus.arch.signalfd import decode_signalfd_siginfo
from seabus.arch.trace import TraceLine, parse_trace_event, parse_trace_line
from seabus.channel.agent import Agent
from seabus.errors import SeabusError
from seabus.guest.translate import frame as frame_of
from seabus.guest.victim import Victim
from seabus.machine.console import printable


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


async def _follow(agent: Agent) -> None:
    followed: list[bytes] = []
    async with agent.following("/trace_pipe", followed.append):
        await asyncio.sleep(0)
    b"".join(followed)


def _a_victim(agent: Agent) -> Victim:
    return Victim(agent=agent, handle=1, pid=1, tid=1, address=GuestVirtual(1 << 40), length=4096)


#: What is asked, by the first byte of an input; its other bytes are what the agent says to that.
_ASKED: Final[tuple[Callable[[Agent], Awaitable[object]], ...]] = (
    lambda agent: agent.request("hello"),
    lambda agent: agent.request("clock"),
    lambda agent: agent.request("tick", on_stream=lambda message: message["cpu"] + 1),
    lambda agent: agent.run("true"),
    lambda agent: agent.spawn("true", output="/dev/null"),
    lambda agent: agent.request("alive", pid=1),
    lambda agent: agent.request("threads", pid=1),
    lambda agent: agent.read("/proc/version"),
    lambda agent: agent.write("/tmp/file", b"content"),
    lambda agent: frame_of(agent, 1, 1 << 40),
    lambda agent: Victim.make(agent),
    lambda agent: _a_victim(agent).touch(),
    lambda agent: _a_victim(agent).signals(),
    _follow,
)
_RUNNER: Final = asyncio.Runner()  # one for all: a loop takes longer to make than an input takes
atexit.register(_RUNNER.close)


class _Nowhere:
    """Takes what is written."""

    def write(self, data: bytes) -> None:
        pass


def replies(data: bytes) -> None:
    """Whoever asks an agent gets an answer of the verb's shape, or an error that says what is wrong."""

    async def ask() -> None:
        reader = asyncio.StreamReader(limit=1 << 20)
        agent = Agent("L2", _reader=reader, _writer=_Nowhere())  # type: ignore[arg-type]
        asking = asyncio.ensure_future(_ASKED[data[0] % len(_ASKED)](agent))
        await asyncio.sleep(0)
        reader.feed_data(data[1:])
        reader.feed_eof()
        await agent._read()
        with contextlib.suppress(SeabusError):
            await asking

    if data:
        _RUNNER.run(ask())


def console(data: bytes) -> None:
    """What is shown of a console moves no terminal, whatever a guest wrote."""
    shown = printable(data)
    assert not _MOVES.search(shown)
    assert len(shown) <= 4 * len(data)  # a byte that is no UTF-8 is shown as \\xNN


#: Controls but newline and tab, in 7 and in 8 bits, and what turns the direction of writing.
_MOVES: Final = re.compile(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")

TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "esr": esr,
    "cper": cper,
    "hest": hest,
    "log": log,
    "trace": trace,
    "frame": frame,
    "replies": replies,
    "console": console,
}
