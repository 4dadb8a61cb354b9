# SPDX-License-Identifier: Apache-2.0
"""Events: single observations, each by one witness at one level, and the recorder that collects them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from seabus.errors import DeadlineError
from seabus.patience import scale

Level = Literal["L0", "L1", "L2"]
#: What an event says happened. Everything but the first three must be explained by an expectation.
Kind = Literal[
    "inject",  # L0 was told to deliver a record
    "touch",  # a victim made its access, with what came of it
    "note",  # kept for the reader, judged by nobody
    "ghes",  # the kernel reported a hardware error record
    "memory_failure",  # memory_failure() dealt with a page
    "sigbus",  # the kernel sent SIGBUS to a task
    "moved",  # a page's content lies in another frame now
    "frame",  # what a kernel says of a page frame
    "answer",  # the VMM did what its monitor was asked to do, or refused
    "migrated",  # a migration ended
    "booted",  # a machine lives anew
    "sea",  # the kernel took a synchronous external abort
    "exception",  # the VMM put an exception into the guest
    "siginfo",  # a victim's handler got a signal
    "complaint",  # a kernel finds fault with its firmware, or a VMM with what it has to do
    "trouble",  # an oops, warning or stall
    "panic",  # a kernel gave up
    "ended",  # a process that others live in is gone
    "stuck",  # a process is in the kernel, and will not come back
    "silent",  # a level does not answer any more
    "corruption",  # a victim read what nobody had written
    "bystander",  # something beside the fault was hit
    "lost",  # a witness missed something
]
UNJUDGED: tuple[Kind, ...] = ("inject", "touch", "note")


@dataclass(frozen=True, kw_only=True)
class Event:
    """One observation.

    :param witness: who saw it, such as ``"trace"`` or ``"victim"``.
    :param clock_ns: when, on the clock of ``level`` (CLOCK_MONOTONIC; L0: this computer's), in ns.
    :param fields: what was seen; integers stay integers, addresses included.
    :param text: the observation as the witness put it.
    :param cpu: the CPU of ``level`` on which it was seen, where the witness tells.
    """

    level: Level
    witness: str
    kind: Kind
    clock_ns: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    cpu: int | None = None


class Recorder:
    """Collects events and wakes who waits for one."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        #: Called with each event as it is added.
        self.listeners: list[Callable[[Event], None]] = []
        self._grown = asyncio.Event()

    def add(self, event: Event) -> None:
        self.events.append(event)
        for listener in tuple(self.listeners):
            try:
                listener(event)
            except (Exception, SystemExit) as error:  # what shows a world must not end it
                self.listeners.remove(listener)
                self.add(
                    replace(event, witness="seabus", kind="note", fields={}, text=f"not shown: {error!r}")
                )
        self._grown.set()

    def shift(self, level: Level, by_ns: int) -> None:
        """Move the events of a level to another clock of it."""
        self.events = [
            replace(event, clock_ns=event.clock_ns + by_ns) if event.level == level else event
            for event in self.events
        ]

    async def until(
        self, wanted: Callable[[Event], bool], *, within: float, what: str, start: int = 0
    ) -> Event:
        """The first event from number ``start`` on that is wanted.

        Events that came before the call count: subscribe (start the witnesses), act, then await.

        :raises DeadlineError: it did not come.
        """
        try:
            async with asyncio.timeout(within * scale()):
                position = start
                while True:
                    while position < len(self.events):
                        if wanted(self.events[position]):
                            return self.events[position]
                        position += 1
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            raise DeadlineError(f"waited {within * scale():g} s for {what}") from None
