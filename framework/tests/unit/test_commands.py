# SPDX-License-Identifier: Apache-2.0
"""What a command printed is all of it, or not to be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from seabus.channel.agent import Agent
from seabus.channel.interface import CommandResult
from seabus.errors import MachineError
from seabus.guest import allocations

WHOLE = CommandResult(argv=("cat", "/run/log"), exit=0, signal=None, stdout=b"Bad page", stderr=b"")
CUT = CommandResult(argv=("cat", "/run/log"), exit=0, signal=None, stdout=b"", stderr=b"", truncated=True)


def test_what_is_whole_is_read() -> None:
    assert WHOLE.must_succeed().text == "Bad page"


@pytest.mark.parametrize("read", [lambda one: one.text, lambda one: one.must_succeed()])
def test_what_is_cut_is_not_taken_for_all(read: Callable[[CommandResult], object]) -> None:
    with pytest.raises(MachineError, match="`cat /run/log` printed more than is kept") as told:
        read(CUT)
    assert told.value.hint


class Traced:
    """A kernel whose trace is a file."""

    level = "L2"

    def __init__(self, trace: bytes) -> None:
        self._trace = trace

    async def run(self, *argv: str) -> CommandResult:
        return CommandResult(argv=argv, exit=0, signal=None, stdout=b"", stderr=b"")

    async def read(self, path: str) -> bytes:
        assert path.startswith("/run/")
        return self._trace


ALLOCATED = (
    b" dd-140     [001] ...1.    23.808318: mm_page_alloc: page=0x1 pfn=0x4711 order=0 gfp_flags=GFP_KERNEL\n"
)


def watched(trace: bytes) -> allocations.Allocations:
    async def run() -> allocations.Allocations:
        async with allocations.watched(cast(Agent, Traced(trace))) as made:
            pass
        return made

    return asyncio.run(run())


def test_a_trace_of_megabytes_is_read_to_its_end() -> None:
    made = watched(ALLOCATED * 20_000)
    assert len(made.made) == 20_000
    assert {one.pfn for one in made.made} == {0x4711}


def test_a_trace_that_lost_some_is_told() -> None:
    with pytest.raises(MachineError, match="CPU 1 lost some"):
        watched(ALLOCATED + b"CPU:1 [LOST 42 EVENTS]\n" + ALLOCATED)
