# SPDX-License-Identifier: Apache-2.0
"""Who has died in a session, and of what: the last witness of a kernel that gave up is its console.

A console is not believed alone. A process may write there what a kernel writes, so a second witness is asked:
the end of the machine, as a kernel that restarts ends it, or the line that a kernel ends with which does not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from seabus.errors import DeadlineError, MachineError
from seabus.observe import last_words
from seabus.observe.events import Kind, Level
from seabus.observe.last_words import Panic, ghes_fields, panic_of, records_of
from seabus.patience import STEP, deadline, scale
from seabus.session.vmm_watch import VmmWatch
from seabus.world.world import World

_WHO: Final[dict[Level, str]] = {"L1": "host", "L2": "guest"}
#: Seconds without a character after which a console is thought to be at its end.
_REST: Final = 1.0


class _Adds(Protocol):
    def __call__(
        self, level: Level, witness: str, kind: Kind, fields: Mapping[str, Any], text: str
    ) -> None: ...


class Deaths:
    """Those of one session's levels.

    :param add: takes an event of ours.
    """

    def __init__(self, world: World, vmm: VmmWatch, add: _Adds) -> None:
        self._world = world
        self._vmm = vmm
        self._add = add
        self.dead: set[Level] = set()
        # What a console shows already is of another time: its server repeats what it has kept.
        self._since = {level: last_words.length(self._console(level)) for level in _WHO}

    def lives_anew(self, level: Level) -> None:
        """It has booted again; what its console shows is of the life before."""
        self.dead.discard(level)
        self._since[level] = last_words.length(self._console(level))

    async def mourn(self) -> bool:
        """Whether the host has panicked, which is an event then, and explains whatever error there was."""
        panic = self._panic("L1")
        if panic is None:
            return False
        if not ("L1" in self.dead or panic.ended or await self._world.l1_gave_up()):
            panic = await self._heard_out("L1")
            if panic is None or not panic.ended:
                return False
        if "L1" not in self.dead:
            for record in records_of(self._console("L1"), since=self._since["L1"]):
                text = record.lines[0] if record.lines else ""
                self._add("L1", "console", "ghes", ghes_fields(record), text)
            self._panicked("L1", panic)
        self.dead |= {"L1", "L2"}
        return True

    async def vmm_ended(self) -> None:
        """The VMM is gone: by its own will, or because its guest's kernel panicked.

        It ends in good order then, for the guest wants to restart and must not (``-no-reboot``).
        """
        self.dead.add("L2")
        panic, end = self._panic("L2"), await self._vmm.end()
        if panic and (panic.ended or end["exit"] == 0):
            self._panicked("L2", panic)
        else:
            self._add("L1", "process", "ended", {"who": "VMM", **end}, f"the VMM died: {end['words']}")

    async def has_died(self, level: Level) -> bool:
        """Whether a level that does not answer any more has died, which is an event then."""
        panic = await self._heard_out(level)
        if panic and panic.ended:
            self._panicked(level, panic)
            return True
        with contextlib.suppress(MachineError):  # L1 may not answer either
            if level == "L2" and not await self._vmm.alive():  # its kernel was slow to restart
                await self.vmm_ended()
                return True
        return False

    async def silent(self, level: Level) -> None:
        """It does not answer any more, nor does anybody hold it."""
        if await self.has_died(level):
            return
        self.dead.add(level)
        who = _WHO[level]
        self._add(level, "console", "silent", {"who": who}, f"the {who} fell silent; see its console")

    def _panicked(self, level: Level, panic: Panic) -> None:
        self.dead.add(level)
        fields = {"who": _WHO[level], "message": panic.message}
        self._add(level, "console", "panic", fields, f"the {_WHO[level]} panicked: {panic.message}")

    async def _heard_out(self, level: Level) -> Panic | None:
        """The panic that its console shows once it is at rest.

        A kernel that dies writes a character at a time, through every machine below it: on a busy one its
        last line may come long after its agent has fallen silent.
        """
        with contextlib.suppress(DeadlineError):
            async with deadline(STEP, f"{level}'s console to come to rest"):
                heard = None
                while heard != (now := last_words.length(self._console(level))):
                    heard = now
                    if (panic := self._panic(level)) and panic.ended:
                        return panic
                    await asyncio.sleep(_REST * scale())
        return self._panic(level)

    def _panic(self, level: Level) -> Panic | None:
        return panic_of(self._console(level), since=self._since[level])

    def _console(self, level: Level) -> Path:
        return self._world.artefacts / f"console-{level.lower()}.log"
