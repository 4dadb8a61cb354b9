# SPDX-License-Identifier: Apache-2.0
"""A clone whose timers do not all fire is refused; the agent is a stand-in that is only asked to tick."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from seabus.channel.agent import Agent
from seabus.errors import ChannelError, CloneError, DeadlineError
from seabus.world import restore


class Ticking:
    """Wakes the CPUs it is told to, then answers or fails."""

    level = "L1"

    def __init__(self, *woken: int, error: Exception | None = None) -> None:
        self.woken = woken
        self.error = error

    async def request(
        self, verb: str, *, within: float, on_stream: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any]:
        assert verb == "tick"
        for cpu in self.woken:
            on_stream({"cpu": cpu})
        if self.error:
            raise self.error
        return {"cpus": list(self.woken)}


def tick(agent: Ticking, cpus: int) -> None:
    asyncio.run(restore._tick(cast(Agent, agent), cpus))


def test_all_timers_fire() -> None:
    tick(Ticking(0, 1), 2)


@pytest.mark.parametrize(("woken", "named"), [((), "CPU 0, 1, 2"), ((0, 2), "CPU 1"), ((1,), "CPU 0, 2")])
def test_dead_cpus_are_named(woken: tuple[int, ...], named: str) -> None:
    with pytest.raises(CloneError, match=f"L1's timer is dead on {named} after"):
        tick(Ticking(*woken, error=DeadlineError("waited 15 s for L1's agent to answer tick")), 3)


def test_a_cpu_that_went_offline_is_dead_too() -> None:
    with pytest.raises(CloneError, match="dead on CPU 1 after"):
        tick(Ticking(0), 2)


def test_a_broken_channel_is_not_called_a_dead_timer() -> None:
    with pytest.raises(ChannelError):
        tick(Ticking(error=ChannelError("closed")), 2)
