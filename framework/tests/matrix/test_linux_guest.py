# SPDX-License-Identifier: Apache-2.0
"""What a guest's kernel did not do is only known from a trace that is whole."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from seabus.errors import NoVerdictError
from seabus.guest.touch import Touch
from seabus.guest.victim import Victim
from seabus.kvmprobe.probe import Probe
from seabus.matrix import linux_guest
from seabus.observe.events import Event, Recorder
from seabus.observe.witness import TraceWitness
from seabus.world.world import World


def test_a_trace_that_lost_events_is_no_agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()

    async def touched() -> Touch:
        return Touch(value=1)

    async def nothing() -> None:
        pass

    @contextlib.asynccontextmanager
    async def looping(*, op: str) -> AsyncIterator[Any]:
        assert op == "read"
        yield SimpleNamespace(ended=touched)

    async def made(_: object) -> Any:  # noqa: ANN401 - a victim's stand-in
        return SimpleNamespace(looping=looping, end=nothing)

    async def possessed(*_: object, esr: int) -> dict[str, Any]:
        del esr
        lost = "CPU 0's trace lost events"
        recorder.add(Event(level="L2", witness="trace", kind="lost", clock_ns=1, text=lost))
        return {"pc": 0}

    monkeypatch.setattr(Victim, "make", made)
    monkeypatch.setattr(linux_guest, "possess", possessed)
    question, esr = next(iter(linux_guest.linux_questions()))
    world, witness = SimpleNamespace(l2=None), SimpleNamespace(caught_up=nothing)
    asking = linux_guest._ask(
        cast(World, world), cast(Probe, None), question, esr, recorder, cast(TraceWitness, witness)
    )
    with pytest.raises(NoVerdictError, match="not whole: CPU 0's trace lost events"):
        asyncio.run(asking)
