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
takes the place again at its next sign of life. If it was asked nothing of that kind, and its place is
free all the same, somebody has taken it away.

A client that dies leaves its place acquired. So a holder counts on in a tag, and who sees by its own clock
that a count stands still knows that the holder is gone: no two computers need agree about the time. What
people take, or reserve, for hours ends by the coordinator's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc
from labgrid.remote.client import ClientSession, ServerError
from labgrid.remote.generated import labgrid_coordinator_pb2 as wire
from labgrid.remote.generated.labgrid_coordinator_pb2_grpc import CoordinatorStub

from seabus.errors import DeadlineError, HeldError, HostError, LeaseLostError
from seabus.lab.inventory import Lab
from seabus.lab.labgrid_tags import COUNT, SESSION, TTL, from_tags, is_ours, owner_named, to_tags
from seabus.lab.lease import Owner, Record
from seabus.patience import ANSWER, deadline, scale

_T = TypeVar("_T")
_LOOK_AGAIN: Final = 0.5
#: Seconds that a holder who does not say may keep silent.
_SILENCE: Final = 60.0
_HINT: Final = "is it running? see `coordinator` of the lab file"
#: The coordinator's words for: not to you, not now.
_REFUSALS: Final = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.PERMISSION_DENIED)


class _Session(ClientSession):  # type: ignore[misc]  # labgrid has no types
    """A client of the coordinator, by a name of its own."""

    own_name = ""

    def gethostname(self) -> str:
        return self.own_name.partition("/")[0]

    def getuser(self) -> str:
        return self.own_name.partition("/")[2]


@dataclass(frozen=True, kw_only=True)
class _Place:
    """What the coordinator says of a host.

    :param acquired: the client that has the place, or empty; ``session``: whose the tags are.
    :param known: whether the record's owner is from tags; else only a name is known.
    :param count: the holder's, which stands still when it has not changed for ``silence`` seconds.
    :param reservation: the token of labgrid's own reservation, or empty.
    :param changed: when the place was last changed, by the coordinator's clock.
    """

    record: Record
    acquired: str
    session: str
    known: bool
    count: str
    silence: float
    reservation: str
    changed: float
    tags: Mapping[str, str]

    @property
    def counting(self) -> bool:
        """Whether a living holder counts on."""
        owner = self.record.owner
        return owner is not None and (owner.pid != 0 if self.known else is_ours(self.acquired))


@dataclass(kw_only=True)
class _Own:
    """A lease of ours.

    :param record: as it was when we took the host.
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
        #: What labgrid's own client calls this person here, and what the coordinator calls us.
        computer = os.environ.get("LG_HOSTNAME", self._me.computer)
        self._person = f"{computer}/{os.environ.get('LG_USERNAME', self._me.user)}"
        self._name = self._new_name()
        #: Host to (whose, count, when it was first seen) of other holders.
        self._seen: dict[str, tuple[tuple[str, int, str], float]] = {}
        #: Host to what was seen of it under its highest number: the coordinator may forget.
        self._highest: dict[str, _Place] = {}
        self._own: dict[str, _Own] = {}
        self._session: ClientSession | None = None
        self._turn = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="labgrid", daemon=True)
        self._thread.start()
        try:
            self._ask(self._connected())
        except BaseException:
            self.close()
            raise

    def records(self) -> list[Record]:
        async def work() -> list[Record]:
            return [await self._record(await self._look(host)) for host in self._hosts]

        return self._ask(work())

    def acquire(self, host: str, *, ttl: float, owner: Owner | None = None) -> int:
        return self._ask(self._acquire(host, ttl, owner or self._me))

    def reserve(self, host: str, *, ttl: float) -> None:
        async def work() -> None:
            place = await self._look(host)
            now = await self._now(host)
            before = place.record.in_force(now)
            await self._write(place, _changes(before, before.reserved_for(Owner.person(), now, ttl)))

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
            place = await self._look(host)
            await self._write(place, _changes(place.record, place.record.repaired()))

        self._ask(work())

    def close(self) -> None:
        """Hang up; leases that are not released stay, and run out."""
        session, self._session = self._session, None
        if session is not None:
            asyncio.run_coroutine_threadsafe(_end(session), self._loop).result(ANSWER * scale())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # Inside: in the loop's thread; what the coordinator knows

    def _new_name(self) -> str:
        return f"{self._person}+{secrets.token_hex(8)}"

    async def _connected(self) -> ClientSession:
        """The session; a coordinator that was restarted is connected to again."""
        if self._session is not None and not self._session.stopping.is_set():
            return self._session
        if self._session is not None:
            await _end(self._session)
            self._session = None
        self._session = await self._opened(self._name)
        return self._session

    async def _opened(self, name: str) -> ClientSession:
        session = _Session(self._address, self._loop)
        session.own_name = name
        # A channel with a connection of its own: the coordinator knows its clients by their connections.
        await session.channel.close()
        session.channel = grpc.aio.insecure_channel(
            self._address,
            options=[("grpc.use_local_subchannel_pool", 1), ("grpc.keepalive_time_ms", 7500)],
        )
        session.stub = CoordinatorStub(session.channel)
        try:
            async with deadline(ANSWER, f"the labgrid coordinator {self._address}"):
                await session.start()
        except BaseException:
            await _end(session)
            raise
        return session

    async def _place(self, host: str) -> Any:  # noqa: ANN401 - labgrid has no types
        session = await self._connected()
        if not await session.sync_with_coordinator():
            session = await self._connected()
        if host not in session.places:
            raise HostError(
                f"the coordinator {self._address} has no place {host}",
                hint=f"labgrid-client -p {host} create, or correct the lab file",
            )
        return session.places[host]

    async def _look(self, host: str) -> _Place:
        found = await self._place(host)
        tags = dict(found.tags)
        record = from_tags(host, tags)
        acquired, session = found.acquired or "", tags.get(SESSION, "")
        known = record.owner is not None and acquired in ("", session)
        if not known:
            owner = owner_named(acquired) if acquired else None
            record = dataclasses.replace(
                record, owner=owner, expires=math.inf if owner else 0.0, lent_by=None, lent_until=0.0
            )
        place = _Place(
            record=await self._with_reservation(record, found),
            acquired=acquired,
            session=session,
            known=known,
            count=tags.get(COUNT, ""),
            silence=_seconds(tags.get(TTL, "")),
            reservation=found.reservation or "",
            changed=found.changed,
            tags=tags,
        )
        return self._remembered(place)

    def _remembered(self, place: _Place) -> _Place:
        """It, with what we know better than a coordinator whose numbers went back."""
        host = place.record.host
        highest = self._highest.get(host)
        if highest is None or place.record.token >= highest.record.token:
            self._highest[host] = place
            return place
        if not place.acquired and (highest.known or highest.record.owner is None):
            # The tags stay those that are there, so that all are written that have to be.
            return dataclasses.replace(highest, acquired="", changed=place.changed, tags=place.tags)
        owner, expires = place.record.owner, place.record.expires
        better = dataclasses.replace(
            highest.record, owner=owner, expires=expires, lent_by=None, lent_until=0.0
        )
        return dataclasses.replace(place, record=better)

    async def _with_reservation(self, record: Record, found: Any) -> Record:  # noqa: ANN401
        """With what somebody reserved by labgrid's own client."""
        if not found.reservation or found.acquired:
            return record
        session = await self._connected()
        answer = await session.stub.GetReservations(wire.GetReservationsRequest())
        for one in answer.reservations:
            if one.token == found.reservation:
                return dataclasses.replace(record, reserved=owner_named(one.owner), reserved_until=math.inf)
        return record

    async def _now(self, host: str) -> float:
        """The coordinator's clock, in s: it stamps each change of a place, and this one changes nothing."""
        session = await self._connected()
        await session.stub.SetPlaceTags(wire.SetPlaceTagsRequest(placename=host, tags={}))
        return float((await self._place(host)).changed)

    async def _record(self, place: _Place) -> Record:
        """What is in force: whoever is gone holds nothing, whatever the coordinator says."""
        record = place.record
        timed = (record.expires, record.lent_until, record.reserved_until)
        now = await self._now(record.host) if any(0 < one < math.inf for one in timed) else 0.0
        return record.in_force(now, owner_gone=self._gone(place))

    def _gone(self, place: _Place) -> bool:
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
        place = await self._look(host)
        in_force = await self._record(place)
        if place.acquired and not place.known and in_force.owner is not None:
            # With labgrid's own client, or by one of us who is about to write its tags.
            raise HeldError(
                f"lab host {host} is held by {in_force.owner}",
                hint=f"if that is you: labgrid-client -p {host} release, then seabus lab acquire {host}",
            )
        now = await self._now(host) if me.pid == 0 else 0.0
        # Refuses, with the reason, what must not be taken; labgrid decides about the rest.
        in_force.acquired(me, now, ttl)
        session = await self._connected()
        if place.acquired:
            # By that holder's name: of all who see that it is gone, one ends its lease, and no other.
            await session.stub.ReleasePlace(wire.ReleasePlaceRequest(placename=host, fromuser=place.acquired))
        if place.reservation and me.is_as(place.record.reserved):
            await session.stub.CancelReservation(wire.CancelReservationRequest(token=place.reservation))
        try:
            await self._take(session, host)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _REFUSALS:
                raise
            raise HeldError(f"lab host {host} is held: {error.details()}", hint="seabus lab who") from error
        try:
            return await self._enter(session, in_force, now, ttl, me)
        except BaseException:
            self._own.pop(host, None)
            place = await self._look(host)
            if self._name in (place.acquired, place.session):
                await self._let_go(place)
            raise

    async def _enter(
        self, session: ClientSession, in_force: Record, now: float, ttl: float, me: Owner
    ) -> int:
        """Note that the place is ours. It is, so nobody else gives out the number."""
        host = in_force.host
        place = await self._look(host)
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
        own = _Own(record=taken, confirmed=session, ends=_clock() + ttl, ttl=ttl)
        self._own[host] = own
        await self._write(place, self._tags(own))
        again = await self._look(host)
        if again.acquired != self._name or again.record.token != taken.token:
            raise HeldError(f"lab host {host} was taken away at once", hint="seabus lab who")
        return taken.token

    async def _take(self, session: ClientSession, host: str) -> None:
        """The place, for us; whoever uses labgrid's own tools as the same person may do so there."""
        await session.stub.AcquirePlace(wire.AcquirePlaceRequest(placename=host))
        await session.stub.AllowPlace(wire.AllowPlaceRequest(placename=host, user=self._person))

    def _tags(self, own: _Own) -> dict[str, str]:
        return {
            **to_tags(own.record),
            SESSION: self._name,
            COUNT: str(own.count),
            TTL: f"{own.ttl:g}",
        }

    async def _checked(self, host: str, token: int) -> _Place:
        own = self._own.get(host)
        place = await self._look(host)
        session = await self._connected()
        if own is None or own.record.token != token:
            raise _lost(place, token)
        if (
            not place.acquired
            and (place.session, place.record.token) == (self._name, token)
            and own.confirmed is not session
        ):
            place = await self._asserted(own, place, session)
        if place.acquired != self._name or place.record.token > token:
            raise _lost(place, token)
        if place.session != self._name or place.record.token != token:
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
            await self._write(place, {**self._tags(own), **to_tags(record)})
            place = await self._look(host)
        own.confirmed = session
        if _clock() > own.ends:
            raise LeaseLostError(
                f"the lease {token} of lab host {host} ran out", hint="was this computer asleep? run again"
            )
        return place

    async def _asserted(self, own: _Own, place: _Place, session: ClientSession) -> _Place:
        """Our lease, taken again from a coordinator that has forgotten it."""
        host = own.record.host
        try:
            await self._take(session, host)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _REFUSALS:
                raise
        else:
            await self._write(place, {**self._tags(own), **to_tags(own.record)})
        return await self._look(host)

    async def _release(self, host: str, token: int) -> None:
        own = self._own.get(host)
        if own is not None and own.record.token == token:
            del self._own[host]
            mine = True
        else:
            mine = False
        place = await self._look(host)
        record = place.record
        if record.token != token or record.owner is None:
            return
        if mine and place.acquired not in ("", self._name):
            return
        after = record.released(token)
        if after.owner is not None:
            await self._given_back(place, after)
            return
        await self._let_go(place)

    async def _let_go(self, place: _Place) -> None:
        """Nobody's from here on; if it is somebody else's by now, it stays theirs."""
        host = place.record.host
        session = await self._connected()
        if place.acquired:
            await session.stub.ReleasePlace(wire.ReleasePlaceRequest(placename=host, fromuser=place.acquired))
        left = await self._look(host)
        if not left.acquired and left.session == place.session:
            after = dataclasses.replace(left.record, owner=None, expires=0.0, lent_by=None, lent_until=0.0)
            await self._write(left, {**to_tags(after), SESSION: "", COUNT: "", TTL: ""})

    async def _given_back(self, place: _Place, after: Record) -> None:
        """To the person it was lent by, under a name that nobody has who takes and gives places."""
        host = place.record.host
        name = self._new_name()
        await self._write(place, {**to_tags(after), SESSION: name, COUNT: "", TTL: ""})
        session = await self._opened(name)
        try:
            if place.acquired:
                await session.stub.ReleasePlace(
                    wire.ReleasePlaceRequest(placename=host, fromuser=place.acquired)
                )
            # If somebody is faster, by labgrid's own client, it is theirs; none of us is: the tags say whose.
            with contextlib.suppress(grpc.aio.AioRpcError):
                await self._take(session, host)
        finally:
            await _end(session)

    async def _write(self, place: _Place, tags: Mapping[str, str]) -> None:
        """Those tags that are not as they should be: what others may have written meanwhile stays."""
        different = {name: text for name, text in tags.items() if text != place.tags.get(name, "")}
        session = await self._connected()
        if different:
            await session.stub.SetPlaceTags(
                wire.SetPlaceTagsRequest(placename=place.record.host, tags=different)
            )
        await session.sync_with_coordinator()

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
            await self._write(place, tags)
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


async def _end(session: ClientSession) -> None:
    await session.stop()
    await session.close()


def _clock() -> float:
    """In s; it goes on while the computer sleeps, as those of others do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _seconds(text: str) -> float:
    try:
        return max(float(text), 0.0)
    except ValueError:
        return _SILENCE


def _changes(before: Record, after: Record) -> dict[str, str]:
    """The tags in which a record differs from what it was."""
    old = to_tags(before)
    return {name: text for name, text in to_tags(after).items() if text != old[name]}


def _lost(place: _Place, token: int) -> LeaseLostError:
    record = place.record
    now_it_is = f"{record.owner} has it" if place.acquired else "nobody has it"
    return LeaseLostError(
        f"the lease {token} of lab host {record.host} is over: {now_it_is} (lease {record.token})",
        hint="nothing was broken; run again",
    )
