# SPDX-License-Identifier: Apache-2.0
"""The trace of a level as a witness: its lines become events while they happen."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

from seabus.arch import kernel_text, trace
from seabus.arch.kernel_text import MemoryFailure, MemoryFailureNote
from seabus.arch.trace import LostEvents, MceProbe, MemoryFailureEvent, SeaProbe, SignalGenerate, TraceLine
from seabus.channel.agent import Agent
from seabus.machine.transcript import Transcript
from seabus.observe import tracing
from seabus.observe.events import Event, Kind, Level, Recorder
from seabus.observe.last_words import ghes_fields
from seabus.patience import STEP, deadline

_BARRIER: Final = "seabus barrier"
#: Nanoseconds of the level's clock without a line of a record, after which it is taken to be whole: the
#: kernel marks no end, and one CPU may print while another writes our mark. Lines 33 ms apart were seen.
_WHOLE_AFTER_NS: Final = 500_000_000
_HARDWARE_ERROR: Final = "[Hardware Error]"
#: What memory_failure() says when somebody was killed, or could not be told, or a page was forgotten.
_HARM: Final = ("killed", "signal failed", "lost")
_WATCHED: Final = tuple(
    f" {name}: ".encode() for name in ("signal_generate", "memory_failure_event", *tracing.PROBES)
)
# QEMU target/arm/helper.c, arm_log_exception() and what follows it in arm_cpu_do_interrupt().
_EXCEPTION: Final = {
    "what": re.compile(r"Taking exception (\d+) \[(.+)\] on CPU (\d+)"),
    "from": re.compile(r"\.\.\.from EL(\d) to EL(\d)"),
    "esr": re.compile(r"\.\.\.with ESR 0x[0-9a-f]+/(0x[0-9a-f]+)"),
    "far": re.compile(r"\.\.\.with FAR (0x[0-9a-f]+)"),
}


class TraceWitness:
    """Follows one level's trace and adds what it sees to a recorder.

    :param keep: receives the raw bytes, for the artefacts.
    """

    def __init__(self, level: Level, agent: Agent, recorder: Recorder, keep: Path) -> None:
        self.level: Level = level
        self._agent = agent
        self._recorder = recorder
        self._keep = keep
        self._partial = b""
        self._ghes = kernel_text.GhesTextParser()
        self._exceptions: dict[int, dict[str, Any]] = {}  # by thread: vCPUs write in turn
        self._mce: dict[int, MceProbe] = {}  # by the thread that sends; its signal follows
        self._last_ns = 0
        self._record_ns = 0  # of the last line of any record
        self._barriers = itertools.count(1)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Observe while the body runs."""
        with Transcript(self._keep) as kept:

            def take(data: bytes) -> None:
                kept.write(data)
                self._feed(data)

            async with self._agent.following(tracing.PIPE, take):
                yield

    async def caught_up(self) -> None:
        """Return once everything that had happened before the call is in the recorder.

        A mark is written into the trace and awaited: order in the buffer, not time, is the proof. Only a
        record that the kernel is still printing is given time to end.

        :raises DeadlineError: the witness has fallen silent, or a record does not end.
        """
        await self._mark()
        async with deadline(STEP, f"{self.level}'s kernel to end a record"):
            while self._ghes.waiting:
                await asyncio.sleep(_WHOLE_AFTER_NS / 4e9)
                await self._mark()

    # Inside

    async def _mark(self) -> None:
        name = f"{_BARRIER} {next(self._barriers)}"
        await self._agent.write(tracing.MARKER, f"{name}\n".encode(), append=True)
        await self._recorder.until(
            lambda event: event.level == self.level and event.text == name,
            within=STEP,
            what=f"{self.level}'s trace to catch up",
        )

    def _feed(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        for raw in lines:
            line = trace.parse_trace_line(raw.decode(errors="backslashreplace"))
            if isinstance(line, LostEvents):
                self._lost(f"CPU {line.cpu}'s trace lost events")
            elif line is not None:
                self._last_ns = line.t
                for event in self._read(line):
                    self._recorder.add(event)
            elif any(name in raw for name in _WATCHED):
                self._lost(f"a line that cannot be read: {raw[:200].decode(errors='backslashreplace')}")

    def _lost(self, text: str) -> None:
        """Something happened that cannot be judged: no verdict is better than a wrong one."""
        self._recorder.add(
            Event(level=self.level, witness="trace", kind="lost", clock_ns=self._last_ns, text=text)
        )

    def _read(self, line: TraceLine) -> Iterator[Event]:
        if failure := MemoryFailureEvent.of(line):
            yield self._event(
                line,
                "trace",
                "memory_failure",
                pfn=failure.pfn,
                page_type=failure.page_type,
                result=failure.result,
            )
        elif mce := MceProbe.of(line):
            self._mce[line.pid] = mce
        elif signal := SignalGenerate.of(line):
            mce = self._mce.pop(line.pid, None)
            yield self._event(
                line,
                "trace",
                "sigbus",
                code=signal.code,
                comm=signal.comm,
                tid=signal.pid,
                result=signal.result,
                address=mce.address if mce else None,
                lsb=mce.lsb if mce else None,
                page=mce.page if mce else None,
            )
        elif sea := SeaProbe.of(line):
            yield self._event(line, "kprobe", "sea", esr=sea.esr, far=sea.far, tid=line.pid)
        elif line.event in ("signal_generate", "memory_failure_event", *tracing.PROBES):
            self._lost(f"a {line.event} that cannot be read: {line.text}")
        elif line.event == "tracing_mark_write":
            yield from self._read_mark(line)
        elif (text := trace.console_message(line)) is not None:
            yield from self._read_log(line, text)

    def _read_log(self, line: TraceLine, text: str) -> Iterator[Event]:
        if _HARDWARE_ERROR in text:
            self._record_ns = line.t
        if record := self._ghes.feed(text):
            yield self._event(line, "kernel-log", "ghes", **ghes_fields(record))
        elif trouble := kernel_text.find_trouble(text):
            yield self._event(line, "kernel-log", "trouble", what=trouble)
        elif hit := self._read_memory_failure(line, text):
            yield hit
        elif complaint := kernel_text.parse_firmware_complaint(text):
            yield self._event(line, "kernel-log", "complaint", what=complaint.text)

    def _read_memory_failure(self, line: TraceLine, text: str) -> Event | None:
        """A page's line, for the reader; or what befell a task, or a page that nobody dealt with.

        No signal of ours tells of these: SIGKILL is not traced, and a queue that is full signals nobody.
        """
        said = kernel_text.parse_page_event(text)
        if isinstance(said, MemoryFailureNote) and said.comm is not None:
            return self._event(line, "kernel-log", "trouble", what="memory failure")
        if not isinstance(said, MemoryFailure):
            return None
        if said.kind in _HARM:
            return self._event(line, "kernel-log", "trouble", what="memory failure")
        return self._event(line, "kernel-log", "note", pfn=said.pfn)

    def _read_mark(self, line: TraceLine) -> Iterator[Event]:
        """A mark: a barrier of ours, or a line of the VMM's exception log."""
        text = line.text.strip()
        if text.startswith(_BARRIER):
            if line.t - self._record_ns >= _WHOLE_AFTER_NS:
                for record in self._ghes.finish():
                    yield self._event(line, "kernel-log", "ghes", **ghes_fields(record))
            yield self._event(line, "seabus", "note")
        elif found := _EXCEPTION["what"].search(text):
            self._exceptions[line.pid] = {"exception": found[2], "vcpu": int(found[3])}
        elif line.pid in self._exceptions:
            yield from self._continue_exception(line, text)

    def _continue_exception(self, line: TraceLine, text: str) -> Iterator[Event]:
        found = self._exceptions[line.pid]
        if levels := _EXCEPTION["from"].search(text):
            found |= {"from_el": int(levels[1]), "to_el": int(levels[2])}
        elif esr := _EXCEPTION["esr"].search(text):
            found["esr"] = int(esr[1], 16)
        elif far := _EXCEPTION["far"].search(text):
            del self._exceptions[line.pid]
            yield self._event(line, "vmm-log", "exception", **found, far=int(far[1], 16))

    def _event(self, line: TraceLine, witness: str, kind: Kind, **fields: Any) -> Event:  # noqa: ANN401
        return Event(
            level=self.level,
            witness=witness,
            kind=kind,
            clock_ns=line.t,
            fields=fields,
            text=line.text.strip(),
            cpu=line.cpu,
        )
