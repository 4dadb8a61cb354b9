# SPDX-License-Identifier: Apache-2.0
"""What one does in a session, without a screen: each deed is one key."""

from __future__ import annotations

from typing import Protocol

from seabus.errors import UsageError
from seabus.interactive.playground import OnEvent, Playground
from seabus.session.session import SessionVictim

#: (address space, address, how it was found), innermost first.
Step = tuple[str, str, str]


class Deeds(Protocol):
    """What the screen needs of a world."""

    def watch(self, on_event: OnEvent) -> None:
        """Call this with each event, in another thread, from now on."""

    def new_victim(self) -> str:
        """Make a victim; in words."""

    def inject(self) -> str:
        """Break the last victim's page; the receipt."""

    def touch(self, op: str) -> str:
        """Let the last victim touch its page; what came of it."""

    def rewind(self) -> str:
        """Begin anew."""

    def memory_map(self) -> list[Step]:
        """The last victim's page in all address spaces, as it was when it was made."""


class LivingDeeds:
    """On a playground."""

    def __init__(self, world: Playground) -> None:
        self._world = world
        self._map: list[Step] = []

    def watch(self, on_event: OnEvent) -> None:
        self._world.on_event.append(on_event)

    def new_victim(self) -> str:
        victim = self._world.victim()
        self._map = victim.page.steps()
        return f"victim {len(self._world.victims) - 1}: process {victim.pid} of L2, at {victim.address}"

    def inject(self) -> str:
        page = self._last().page.host_physical
        receipt = self._world.session.inject(self._world.session.fault_at(page))
        return f"receipt: {receipt}"

    def touch(self, op: str) -> str:
        touched = self._last().touch(op)
        return touched.outcome if touched else "nobody is left to answer"

    def rewind(self) -> str:
        self._world.rewind()
        self._map = []
        return "a fresh world"

    def memory_map(self) -> list[Step]:
        return self._map

    def _last(self) -> SessionVictim:
        if not self._world.victims:
            raise UsageError("there is no victim yet", hint="v makes one")
        return self._world.victims[-1]
