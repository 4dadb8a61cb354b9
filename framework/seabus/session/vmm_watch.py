# SPDX-License-Identifier: Apache-2.0
"""How the VMM's process is, what it says, and how it ended."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from seabus.errors import DeadlineError
from seabus.patience import ANSWER, deadline
from seabus.world.world import World


class VmmWatch:
    """The VMM of a world, seen from L1."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._told = 0

    async def alive(self) -> bool:
        return bool((await self._state())["alive"])

    async def complaints(self) -> list[str]:
        """The lines that it has written to its standard error since it was last asked."""
        new = (await self._words())[self._told :]
        self._told += len(new)
        return new

    async def end(self) -> dict[str, Any]:
        """Its last line; and ``exit`` or ``signal``, both None where it is nobody's who could tell."""
        words = await self._words()
        state: Mapping[str, Any] = {}
        with contextlib.suppress(DeadlineError):
            async with deadline(ANSWER, "the VMM to be reaped"):
                while not {"exit", "signal"} & state.keys():
                    state = await self._state()
        return {
            "words": words[-1] if words else "without a word",
            "exit": state.get("exit"),
            "signal": state.get("signal"),
        }

    async def _state(self) -> Mapping[str, Any]:
        return await self._world.l1.request("alive", pid=self._world.vmm_pid)

    async def _words(self) -> list[str]:
        """Its lines, without its own name in front."""
        text = (await self._world.vmm_log()).decode(errors="backslashreplace")
        return [line.partition(": ")[2] or line for line in text.splitlines() if line.strip()]
