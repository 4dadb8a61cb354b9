# SPDX-License-Identifier: Apache-2.0
"""What a kernel allocates while something happens: page frames and slab objects, as it traces them itself."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from seabus.arch import trace
from seabus.arch.trace import LostEvents, TraceLine
from seabus.channel.agent import Agent
from seabus.errors import CapabilityError, MachineError

_INSTANCE: Final = "/sys/kernel/tracing/instances/seabus-allocations"
_BEGIN: Final = f"""
mkdir -p {_INSTANCE} && cd {_INSTANCE} && echo nohash-ptr > trace_options && echo 2048 > buffer_size_kb &&
echo 1 > events/kmem/mm_page_alloc/enable && echo 1 > events/kmem/kmalloc/enable
"""
#: Megabytes: by way of a file.
_TRACE: Final = "/run/seabus-allocations"
_END: Final = f"cd {_INSTANCE} && echo 0 > events/enable && cat trace > {_TRACE} && cd / && rmdir {_INSTANCE}"


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """One allocation.

    :param comm: who asked, and in which thread, ``tid``.
    :param pfn: of page frames; None of a slab object.
    :param address: of a slab object, kernel virtual; None of page frames.
    :param size: bytes that were asked for.
    :param flags: ``gfp_flags`` in the kernel's words.
    """

    comm: str
    tid: int
    pfn: int | None
    address: int | None
    size: int
    flags: str


@dataclass
class Allocations:
    """All of them, in order; filled when the watch ends."""

    made: list[Allocation] = field(default_factory=list)


@contextlib.asynccontextmanager
async def watched(agent: Agent) -> AsyncIterator[Allocations]:
    """Note what the kernel allocates while the body runs (Linux include/trace/events/kmem.h).

    :raises CapabilityError: the kernel cannot be watched so.
    :raises MachineError: it could not keep all of them.
    """
    found = Allocations()
    if (await agent.run("sh", "-c", _BEGIN)).exit != 0:
        raise CapabilityError(
            f"{agent.level}'s kernel does not trace its allocations", hint="events/kmem, option hash-ptr"
        )
    yield found
    (await agent.run("sh", "-c", _END)).must_succeed()
    for text in (await agent.read(_TRACE)).decode(errors="backslashreplace").splitlines():
        line = trace.parse_trace_line(text)
        if isinstance(line, LostEvents):
            raise MachineError(
                f"{agent.level}'s trace of allocations is not whole: CPU {line.cpu} lost some",
                hint="watch a shorter time",
            )
        if isinstance(line, TraceLine) and (one := _allocation(line)):
            found.made.append(one)


def _allocation(line: TraceLine) -> Allocation | None:
    said = line.fields
    flags = said.get("gfp_flags", "")
    if line.event == "mm_page_alloc":
        size = 4096 << int(said["order"])
        pfn = int(said["pfn"], 0)
        return Allocation(comm=line.comm, tid=line.pid, pfn=pfn, address=None, size=size, flags=flags)
    if line.event == "kmalloc":
        address, size = int(said["ptr"], 16), int(said["bytes_req"])
        return Allocation(comm=line.comm, tid=line.pid, pfn=None, address=address, size=size, flags=flags)
    return None
