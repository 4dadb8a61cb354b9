# SPDX-License-Identifier: Apache-2.0
"""Leases as places of a labgrid coordinator: for many people, and many computers.

Each host of the lab file is a place of the same name. That a place is acquired by one client alone is the
coordinator's doing; what else is known of a host is kept in the place's tags ``seabus_…``, which labgrid
shows and keeps over a restart (:mod:`seabus.lab.labgrid_tags`).

Each of us has a name of its own at the coordinator, and leaves it in a tag. So a place is taken from a dead
holder by that holder's name, which only one of those who try can do; and tags which are not of whoever has
the place are known for what they are: left over.

A coordinator that dies comes back without knowing who had acquired what, and with tags of a while ago. A
holder whom tags name holds on; so does one whom we saw before, if the coordinator's numbers went back. It
takes the place again at its next sign of life. Where its connection was never cut, and its place is free
all the same, somebody has taken it away.

A client that dies leaves its place acquired. So a holder counts on in a tag, and who sees by its own clock
that a count stands still knows that the holder is gone: no two computers need agree about the time. What
people take, or reserve, for hours ends by the coordinator's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc
from labgrid.remote.client import ClientSession, ServerError

from seabus.errors import DeadlineError, HeldError, HostError, LeaseLostError
from seabus.lab.inventory import Lab
from seabus.lab.labgrid_client import Client, Place
from seabus.lab.labgrid_tags import COUNT, SESSION, TTL, to_tags
from seabus.lab.lease import Owner, Record
from seabus.patience import ANSWER, deadline, scale

_T = TypeVar("_T")
_LOOK_AGAIN: Final = 0.5
_HINT: Final = "is it running? see `coordinator` of the lab file"


@dataclass(kw_only=True)
class _Own:
    """A lease of ours.

    :param record: as we last wrote it.
    :param confirmed: the connection over which we last saw that the place is ours.
    :param ends: by our clock.
    """

    record: Record
    confirmed: ClientSession
    ends: float
    ttl: float
    count: int = 0


class LabgridLeases:
    """See the module; satisfies :class:`seabus.lab.lease.Leases`."""

    def __init__(self, lab: Lab) -> None:
        self._hosts = list(lab.hosts)
        self._address = lab.coordinator
        self._me = Owner.me()
        #: Host to (whose, count, when it was first seen) of other holders.
        self._seen: dict[str, tuple[tuple[str, int, str], float]] = {}
        self._own: dict[str, _Own] = {}
        self._turn = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._client = Client(lab.coordinator, self._loop, self._me)
        self._thread = threading.Thread(target=self._loop.run_forever, name="labgrid", daemon=True)
        self._thread.start()
        try:
            self._ask(self._client.connected())
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        return f"labgrid:{self._address}".replace(" ", "_")

    def records(self) -> list[Record]:
        async def work() -> list[Record]:
            return [await self._tidied(await self._client.look(host)) for host in self._hosts]

        return self._ask(work())

    def acquire(self, host: str, *, ttl: float, owner: Owner | None = None) -> int:
        return self._ask(self._acquire(host, ttl, owner or self._me))

    def reserve(self, host: str, *, ttl: float) -> None:
        async def work() -> None:
            place = await self._client.look(host)
            now = await self._client.now(host)
            before = place.record.in_force(now)
            await self._client.write(place, _changes(before, before.reserved_for(Owner.person(), now, ttl)))

        self._ask(work())

    def check(self, host: str, token: int) -> Record:
        return self._change(host, token, lambda record: record)

    def renew(self, host: str, token: int, *, ttl: float) -> None:
        self._change(host, token, lambda record: record, ttl=ttl)

    def soil(self, host: str, token: int, why: str, *, kernel: str, tainted: int) -> None:
        self._change(host, token, lambda one: one.soiled(token, 0, why, kernel=kernel, tainted=tainted))

    def clean(self, host: str, token: int) -> None:
        self._change(host, token, lambda record: record.cleaned(token, 0))

    def fail(self, host: str, token: int, why: str) -> Record:
        return self._change(host, token, lambda record: record.failed(token, 0, why))

    def release(self, host: str, token: int) -> None:
        self._ask(self._release(host, token))

    def repaired(self, host: str) -> None:
        async def work() -> None:
            place = await self._client.look(host)
            await self._client.write(place, _changes(place.record, place.record.repaired()))

        self._ask(work())

    def close(self) -> None:
        """Hang up; leases that are not released stay, and run out."""
        asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result(ANSWER * scale())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # Inside: in the loop's thread; what the coordinator knows

    async def _record(self, place: Place) -> Record:
        """What is in force: whoever is gone holds nothing, whatever the coordinator says."""
        record = place.record
        timed = (record.expires, record.lent_until, record.reserved_until)
        now = await self._client.now(record.host) if any(0 < one < math.inf for one in timed) else 0.0
        return record.in_force(now, owner_gone=self._gone(place))

    async def _tidied(self, place: Place) -> Record:
        """What is in force, also for who comes after us, and has not seen a count stand still."""
        record = await self._record(place)
        if self._gone(place):
            await self._ended(place)
        return record

    def _gone(self, place: Place) -> bool:
        """Whether a holder has ended, or not counted on for as long as it may, as seen from here."""
        owner, host = place.record.owner, place.record.host
        if owner is None or not place.counting:
            return False
        if place.known and owner.gone:
            return True
        whose = (place.acquired or place.session, place.record.token, place.count)
        seen = self._seen.get(host)
        if seen is None or seen[0] != whose:
            self._seen[host] = (whose, _clock())
            return False
        return _clock() - seen[1] > place.silence

    # Inside: in the loop's thread; changes

    async def _acquire(self, host: str, ttl: float, me: Owner) -> int:
        place = await self._client.look(host)
        in_force = await self._record(place)
        if place.acquired and not place.known and in_force.owner is not None:
            # With labgrid's own client, or by one of us who is about to write its tags.
            raise HeldError(
                f"lab host {host} is held by {in_force.owner}",
                hint=f"if that is you: labgrid-client -p {host} release, then seabus lab acquire {host}",
            )
        now = await self._client.now(host) if me.pid == 0 else 0.0
        # Refuses, with the reason, what must not be taken; labgrid decides about the rest.
        in_force.acquired(me, now, ttl)
        # By that holder's name: of all who see that it is gone, one ends its lease, and no other.
        await self._client.end(place)
        if place.reservation and me.is_as(place.record.reserved):
            await self._client.cancel(place.reservation)
        await self._client.take(host)
        try:
            return await self._enter(in_force, now, ttl, me)
        except BaseException:
            self._own.pop(host, None)
            place = await self._client.look(host)
            if self._client.name in (place.acquired, place.session):
                await self._let_go(place)
            raise

    async def _enter(self, in_force: Record, now: float, ttl: float, me: Owner) -> int:
        """Note that the place is ours. It is, so nobody else gives out the number."""
        host = in_force.host
        place = await self._client.look(host)
        before = dataclasses.replace(
            place.record,
            owner=in_force.owner,
            expires=in_force.expires,
            reserved=in_force.reserved,
            reserved_until=in_force.reserved_until,
        )
        taken = before.acquired(me, now, ttl)
        if me.pid:
            taken = dataclasses.replace(taken, expires=math.inf)
        session = await self._client.connected()
        own = _Own(record=taken, confirmed=session, ends=_clock() + ttl, ttl=ttl)
        self._own[host] = own
        await self._client.write(place, self._tags(own))
        again = await self._client.look(host)
        if again.acquired != self._client.name or again.record.token != taken.token:
            raise HeldError(f"lab host {host} was taken away at once", hint="seabus lab who")
        return taken.token

    def _tags(self, own: _Own) -> dict[str, str]:
        return {
            **to_tags(own.record),
            SESSION: self._client.name,
            COUNT: str(own.count),
            TTL: f"{own.ttl:g}",
        }

    async def _checked(self, host: str, token: int) -> Place:
        own = self._own.get(host)
        place = await self._client.look(host)
        session = await self._client.connected()
        if own is None or own.record.token != token:
            raise _lost(place, token)
        if (
            not place.acquired
            and (place.session, place.record.token) == (self._client.name, token)
            and own.confirmed is not session
        ):
            place = await self._asserted(own, place)
        if place.acquired != self._client.name or place.record.token > token:
            raise _lost(place, token)
        if place.session != self._client.name or place.record.token != token:
            # Somebody who had lost the place without noticing was late to clear up.
            ours = own.record
            record = dataclasses.replace(
                place.record,
                token=token,
                owner=ours.owner,
                expires=ours.expires,
                lent_by=ours.lent_by,
                lent_until=ours.lent_until,
            )
            await self._client.write(place, {**self._tags(own), **to_tags(record)})
            place = await self._client.look(host)
        own.confirmed = session
        if _clock() > own.ends:
            raise LeaseLostError(
                f"the lease {token} of lab host {host} ran out", hint="was this computer asleep? run again"
            )
        return place

    async def _asserted(self, own: _Own, place: Place) -> Place:
        """Our lease, taken again from a coordinator that has forgotten it."""
        host = own.record.host
        with contextlib.suppress(HeldError):  # somebody was faster: then it is theirs
            await self._client.take(host)
            await self._client.write(place, self._tags(own))
        return await self._client.look(host)

    async def _release(self, host: str, token: int) -> None:
        own = self._own.get(host)
        if own is not None and own.record.token == token:
            del self._own[host]
            mine = True
        else:
            mine = False
        place = await self._client.look(host)
        record = place.record
        if record.token != token or record.owner is None:
            return
        if mine and place.acquired not in ("", self._client.name):
            return
        await self._ended(place)

    async def _ended(self, place: Place) -> None:
        """A lease, for everybody: nobody's from here on, or whose it was before."""
        after = place.record.released(place.record.token)
        if after.owner is None:
            await self._let_go(place)
            return
        # Under a name that nobody has who takes and gives places.
        name = self._client.new_name()
        with contextlib.suppress(HeldError):  # labgrid's own client was faster
            await self._client.hand_over(place, name)
            await self._client.write(place, {**to_tags(after), SESSION: name, COUNT: "", TTL: ""})

    async def _let_go(self, place: Place) -> None:
        """Nobody's from here on; if it is somebody else's by now, it stays theirs."""
        host = place.record.host
        await self._client.end(place)
        left = await self._client.look(host)
        if not left.acquired and left.session == place.session:
            after = dataclasses.replace(left.record, owner=None, expires=0.0, lent_by=None, lent_until=0.0)
            await self._client.write(left, {**to_tags(after), SESSION: "", COUNT: "", TTL: ""})

    # Inside: in the caller's thread

    def _change(
        self, host: str, token: int, change: Callable[[Record], Record], *, ttl: float | None = None
    ) -> Record:
        async def work() -> Record:
            place = await self._checked(host, token)
            after = change(place.record)
            own = self._own[host]
            tags = to_tags(after)
            if ttl is not None:
                own.ttl, own.count = ttl, own.count + 1
                tags = self._tags(dataclasses.replace(own, record=after))
            await self._client.write(place, tags)
            own.record = after
            if ttl is not None:
                own.ends = _clock() + ttl
            return after

        # A coordinator that is being started again is waited for, as long as the lease would last.
        while True:
            try:
                return self._ask(work())
            except LeaseLostError:
                raise
            except HostError:
                own = self._own.get(host)
                if own is None or _clock() > own.ends:
                    raise
                time.sleep(_LOOK_AGAIN)

    def _ask(self, work: Coroutine[Any, Any, _T]) -> _T:
        async def asked() -> _T:
            async with deadline(ANSWER, f"the labgrid coordinator {self._address}"):
                return await work

        with self._turn:
            try:
                return asyncio.run_coroutine_threadsafe(asked(), self._loop).result()
            except grpc.aio.AioRpcError as error:
                raise HostError(
                    f"the labgrid coordinator {self._address}: {error.details()}",
                    hint=_HINT,
                ) from error
            except ServerError as error:
                raise HostError(
                    f"the labgrid coordinator {self._address}: {' '.join(error.args)}", hint=_HINT
                ) from error
            except DeadlineError as error:
                raise HostError(str(error), hint=_HINT) from error


def _clock() -> float:
    """In s; it goes on while the computer sleeps, as those of others do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _changes(before: Record, after: Record) -> dict[str, str]:
    """The tags in which a record differs from what it was."""
    old = to_tags(before)
    return {name: text for name, text in to_tags(after).items() if text != old[name]}


def _lost(place: Place, token: int) -> LeaseLostError:
    record = place.record
    now_it_is = f"{record.owner} has it" if place.acquired else "nobody has it"
    return LeaseLostError(
        f"the lease {token} of lab host {record.host} is over: {now_it_is} (lease {record.token})",
        hint="nothing was broken; run again",
    )
