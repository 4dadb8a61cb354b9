# SPDX-License-Identifier: Apache-2.0
"""Victims: processes in the guest that own memory and touch it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal

from seabus.arch.addresses import GuestPhysical, GuestVirtual, HostPhysical
from seabus.channel.agent import Agent
from seabus.errors import AgentError, MachineError
from seabus.guest.heard import Heard
from seabus.guest.touch import STORED_BYTES, Advice, Load, Maintenance, MceKill, Op, Store, Touch
from seabus.patience import STEP, deadline

__all__ = ["Disposition", "Kind", "Loop", "Touch", "Victim"]

#: What the memory is; ``docs/reference/agent-protocol.md`` says which options each takes.
Kind = Literal[
    "anon",
    "thp",
    "hugetlb",
    "shmem",
    "memfd",
    "file",
    "zero",
    "code",
    "code-file",
    "physical",
    "beyond-eof",
]
#: What a victim does about SIGBUS: report it, die of it, or not hear it.
Disposition = Literal["handle", "default", "ignore", "block"]

#: What a write writes, cut to its size.
_WRITTEN: Final = 0x5EAB_0500_DEAD_BEEF_0123_4567_89AB_CDEF
_LOOP_LIFE: Final = 3600.0  # seconds; a loop's request is open for as long as it runs


@dataclass(frozen=True, kw_only=True)
class Victim:
    """One process of the guest's agent that owns freshly mapped, written memory.

    :param tid: its first thread, which touches unless another is named; ``tids`` are all of them.
    :param address: the start of its memory, guest virtual.
    :param length: bytes, a multiple of ``page_size``, which is that of the kind.
    :param huge: bytes that huge pages mapped when it was made: 0 where a huge page was wanted and not had.
    :param filesystem: ``f_type`` of statfs(2) for memory with a file, else None.
    """

    agent: Agent
    handle: int
    pid: int
    tid: int
    address: GuestVirtual
    length: int
    kind: str = "anon"
    tids: tuple[int, ...] = ()
    page_size: int = 4096
    huge: int = 0
    filesystem: int | None = None

    def as_json(self) -> dict[str, Any]:
        """What another process needs to know it by, over another channel: :meth:`again`."""
        told = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "agent"}
        return {**told, "level": self.agent.level, "address": int(self.address)}

    @classmethod
    def again(cls, agent: Agent, told: Mapping[str, Any]) -> Victim:
        """One that lives already, as :meth:`as_json` told of it."""
        facts = {name: value for name, value in told.items() if name != "level"}
        address, tids = GuestVirtual(told["address"]), tuple(told["tids"])
        return cls(**{**facts, "agent": agent, "address": address, "tids": tids})

    @classmethod
    async def make(
        cls,
        agent: Agent,
        *,
        pages: int = 1,
        kind: Kind = "anon",
        page_size: int | None = None,
        shared: bool | None = None,
        writable: bool | None = None,
        locked: bool = False,
        dirty: bool = False,
        path: str | None = None,
        physical: GuestPhysical | HostPhysical | None = None,
        threads: int = 1,
        cpu: int | None = None,
        disposition: Disposition = "handle",
        mce_kill: MceKill | None = None,
    ) -> Victim:
        """A new victim. What a kind does not take is ignored.

        :param pages: pages of the kind's size.
        :param page_size: of ``hugetlb`` and ``memfd``, in bytes; they must have been reserved in the guest.
        :param shared: MAP_SHARED rather than MAP_PRIVATE, where there is a choice.
        :param path: of ``file`` and ``code-file``: made or overwritten, and kept. Without, one in /tmp.
        :param dirty: of ``file``: written through the mapping, rather than read back.
        :param physical: of ``physical``, the address in the agent's own machine.
        :param cpu: the only CPU its threads may run on.
        :param mce_kill: PR_MCE_KILL of all its threads.
        :raises AgentError: the guest cannot have it; ``errno`` says why.
        """
        reply = await agent.request(
            "victim",
            within=STEP,
            kind=kind,
            pages=pages,
            page_size=page_size,
            shared=shared,
            writable=writable,
            locked=locked,
            dirty=dirty,
            path=path,
            physical=None if physical is None else hex(int(physical)),
            threads=threads,
            cpu=cpu,
            disposition=disposition,
            mce_kill=mce_kill,
        )
        return cls._from_reply(agent, kind, reply)

    async def partner(
        self,
        *,
        threads: int = 1,
        cpu: int | None = None,
        disposition: Disposition = "handle",
        mce_kill: MceKill | None = None,
    ) -> Victim:
        """Another process with the same memory: shared, or until one of them writes if it is private.

        :raises AgentError: this victim is touching, or has died.
        """
        reply = await self.agent.request(
            "victim",
            within=STEP,
            partner_of=self.handle,
            threads=threads,
            cpu=cpu,
            disposition=disposition,
            mce_kill=mce_kill,
        )
        return self._from_reply(self.agent, self.kind, reply)

    async def touch(
        self,
        *,
        offset: int = 0,
        op: Op = "read",
        size: int | None = None,
        value: int | None = None,
        thread: int = 0,
        cpu: int | None = None,
        target: Victim | None = None,
        path: str | None = None,
        advice: Advice | None = None,
        policy: MceKill | None = None,
    ) -> Touch:
        """Do something to the memory, in the victim's own context.

        :param size: bytes; by itself what the op is made for: 8, 16 for pairs and SIMD, 4 for a futex, and a
            page of the kind for what works on pages.
        :param value: what is written or added; a write has one of its own by itself.
        :param target: whose memory, of ``sys-vm-read`` and ``sys-ptrace-peek``.
        :param path: the file that ``sys-direct-write`` writes to, and ``sys-write`` may.
        :raises AgentError: there is no such op, size or thread, or the thread is touching.
        :raises MachineError: the victim did not come back from it.
        """
        if op in ("read", "write"):
            size = size or 8
        if value is None and op in STORED_BYTES:
            value = _WRITTEN & ((1 << 8 * min(size or STORED_BYTES[op], STORED_BYTES[op])) - 1)
        try:
            reply = await self.agent.request(
                "touch",
                within=STEP,
                victim=self.handle,
                offset=offset,
                op=op,
                size=size,
                value=None if value is None else hex(value),
                thread=thread,
                cpu=cpu,
                target=None if target is None else target.handle,
                path=path,
                advice=advice,
                policy=policy,
            )
        except MachineError as error:
            error.details.setdefault("waiting for", f"victim {self.pid} to {op} {self.address}")
            raise
        return Touch.from_reply(reply)

    @contextlib.asynccontextmanager
    async def looping(
        self,
        *,
        offset: int = 0,
        op: Load | Store | Maintenance = "read",
        size: int | None = None,
        value: int | None = None,
        thread: int = 0,
        cpu: int | None = None,
    ) -> AsyncIterator[Loop]:
        """While the body runs the thread touches without a pause, until a signal ends that.

        The body starts when the first access has gone through, or the loop has ended.
        """
        if op in ("read", "write"):
            size = size or 8
        if value is None and op in STORED_BYTES:
            value = _WRITTEN & ((1 << 8 * (size or STORED_BYTES[op])) - 1)
        request = self.agent.request(
            "touch",
            within=_LOOP_LIFE,
            victim=self.handle,
            offset=offset,
            op=op,
            size=size,
            value=None if value is None else hex(value),
            thread=thread,
            cpu=cpu,
            loop=True,
        )
        loop = Loop(victim=self, thread=thread, task=asyncio.create_task(_touched(request)))
        try:
            async with deadline(STEP, f"victim {self.pid} to begin its loop"):
                while not loop.task.done() and not await loop.accesses():
                    pass
            yield loop
            if not loop.task.cancelled():  # by whoever knows that no answer will come
                await loop.stop()
        finally:
            loop.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, MachineError):
                await loop.task

    async def signals(self, *, since: int = 0) -> Heard:
        """Every signal it got, told without its help: it may hang, or be dead.

        Those told of here are not told again by a touch.

        :param since: leaves out those up to this number.
        """
        return Heard.from_reply(await self.agent.request("signals", victim=self.handle, since=since))

    async def heard(self, count: int = 1) -> Heard:
        """The same, once there have been ``count`` of them in all, or the victim is dead.

        :raises DeadlineError: there were fewer in the time of one step of a fault's chain.
        """
        async with deadline(STEP, f"victim {self.pid} to hear {count} signal(s)"):
            while True:
                heard = await self.signals()
                if heard.count >= count or heard.died is not None:
                    return heard

    async def moved(self) -> Victim:
        """Itself, its memory at another address: mremap(2).

        :raises MachineError: the kernel would not.
        """
        touched = await self.touch(op="mremap")
        if touched.address is None:
            raise MachineError(f"victim {self.pid} could not be moved: {touched.outcome}")
        return replace(self, address=touched.address)

    async def end(self) -> None:
        """Kill it. It is unknown from then on."""
        await self.agent.request("end", within=STEP, victim=self.handle)

    @classmethod
    def _from_reply(cls, agent: Agent, kind: str, reply: Mapping[str, Any]) -> Victim:
        filesystem = reply["filesystem"]
        return cls(
            agent=agent,
            handle=reply["victim"],
            pid=reply["pid"],
            tid=reply["tid"],
            address=GuestVirtual(int(reply["address"], 16)),
            length=reply["length"],
            kind=kind,
            tids=tuple(reply["tids"]),
            page_size=reply["page_size"],
            huge=reply["huge"],
            filesystem=None if filesystem is None else int(filesystem, 16),
        )


async def _touched(request: Any) -> Touch:  # noqa: ANN401 - the coroutine of Agent.request
    return Touch.from_reply(await request)


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A thread that touches without a pause; from :meth:`Victim.looping`.

    :param task: ends with the loop, and gives what ended it.
    """

    victim: Victim
    thread: int
    task: asyncio.Task[Touch]

    async def accesses(self) -> int:
        """How many have gone through by now."""
        return (await self.victim.signals()).threads[self.thread].accesses

    async def ended(self) -> Touch:
        """What ended it by itself: a signal, or the victim's death.

        :raises DeadlineError: nothing did in the time of one step of a fault's chain.
        """
        async with deadline(STEP, f"the loop of victim {self.victim.pid} to meet a signal"):
            return await asyncio.shield(self.task)

    async def stop(self) -> Touch:
        """End it, unless a signal has; what came of it: ``accesses``, ``wrong``, ``signal``."""
        try:
            await self.victim.agent.request("stop", victim=self.victim.handle, thread=self.thread)
        except AgentError as error:
            if error.kind != "gone":
                raise
        async with deadline(STEP, f"victim {self.victim.pid} to end its loop"):
            return await self.task
