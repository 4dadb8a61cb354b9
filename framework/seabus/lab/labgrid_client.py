# SPDX-License-Identifier: Apache-2.0
"""A client of labgrid's coordinator: what it says of a place, and how a place is taken and given.

Each client has a name of its own, ``HOST/USER+NUMBER``; labgrid's own clients are all ``HOST/USER``.

A coordinator that dies comes back without knowing who had acquired what, and with tags of a while ago. What
a client has seen under a higher number than the coordinator tells now counts for more.

All of this is awaited in the one event loop that the client was made with.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import grpc
from labgrid.remote.client import ClientSession
from labgrid.remote.generated import labgrid_coordinator_pb2 as wire
from labgrid.remote.generated.labgrid_coordinator_pb2_grpc import CoordinatorStub

from seabus.errors import HeldError, HostError
from seabus.lab.labgrid_tags import COUNT, SESSION, TTL, from_tags, is_ours, owner_named
from seabus.lab.lease import Owner, Record
from seabus.patience import ANSWER, deadline

#: Seconds that a holder who does not say may keep silent.
_SILENCE: Final = 60.0
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
class Place:
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


class Client:
    """See the module.

    :param me: whose client it is.
    """

    def __init__(self, address: str, loop: asyncio.AbstractEventLoop, me: Owner) -> None:
        self._address = address
        self._loop = loop
        #: What labgrid's own client calls this person here, and what the coordinator calls us.
        computer = os.environ.get("LG_HOSTNAME", me.computer)
        self.person = f"{computer}/{os.environ.get('LG_USERNAME', me.user)}"
        self.name = self.new_name()
        self._session: ClientSession | None = None
        #: Host to what was seen of it under its highest number: the coordinator may forget.
        self._highest: dict[str, Place] = {}

    def new_name(self) -> str:
        """One that nobody has."""
        return f"{self.person}+{secrets.token_hex(8)}"

    async def connected(self) -> ClientSession:
        """The connection; to a coordinator that was restarted there is another one.

        :raises ServerError: it does not answer, labgrid says.
        :raises DeadlineError: it does not answer at all.
        """
        if self._session is not None and not self._session.stopping.is_set():
            return self._session
        if self._session is not None:
            await _end(self._session)
            self._session = None
        self._session = await self.opened(self.name)
        return self._session

    async def opened(self, name: str) -> ClientSession:
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
        session = await self.connected()
        if not await session.sync_with_coordinator():
            session = await self.connected()
        if host not in session.places:
            raise HostError(
                f"the coordinator {self._address} has no place {host}",
                hint=f"labgrid-client -p {host} create, or correct the lab file",
            )
        return session.places[host]

    async def look(self, host: str) -> Place:
        """What the coordinator says of a host, and we know better.

        :raises HostError: there is no such place.
        """
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
        place = Place(
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

    def _remembered(self, place: Place) -> Place:
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
        session = await self.connected()
        answer = await session.stub.GetReservations(wire.GetReservationsRequest())
        for one in answer.reservations:
            if one.token == found.reservation:
                return dataclasses.replace(record, reserved=owner_named(one.owner), reserved_until=math.inf)
        return record

    async def now(self, host: str) -> float:
        """The coordinator's clock, in s: it stamps each change of a place, and this one changes nothing."""
        session = await self.connected()
        await session.stub.SetPlaceTags(wire.SetPlaceTagsRequest(placename=host, tags={}))
        return float((await self._place(host)).changed)

    async def take(self, host: str) -> None:
        """Have a place.

        :raises HeldError: somebody else has it.
        """
        await self._take(await self.connected(), host)

    async def _take(self, session: ClientSession, host: str) -> None:
        try:
            await session.stub.AcquirePlace(wire.AcquirePlaceRequest(placename=host))
            # Whoever uses labgrid's own tools as the same person may do so there.
            await session.stub.AllowPlace(wire.AllowPlaceRequest(placename=host, user=self.person))
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSALS:
                raise HeldError(f"lab host {host} is held: {error.details()}") from error
            raise

    async def end(self, place: Place) -> None:
        """End the lease of whoever had a place when it was looked at, and nobody else's."""
        await self._end_of(await self.connected(), place)

    async def _end_of(self, session: ClientSession, place: Place) -> None:
        if place.acquired:
            await session.stub.ReleasePlace(
                wire.ReleasePlaceRequest(placename=place.record.host, fromuser=place.acquired)
            )

    async def hand_over(self, place: Place, name: str) -> None:
        """Have a place acquired by a client that is not there any more.

        :raises HeldError: somebody was faster.
        """
        session = await self.opened(name)
        try:
            await self._end_of(session, place)
            await self._take(session, place.record.host)
        finally:
            await _end(session)

    async def cancel(self, reservation: str) -> None:
        """End one of labgrid's own reservations."""
        session = await self.connected()
        await session.stub.CancelReservation(wire.CancelReservationRequest(token=reservation))

    async def close(self) -> None:
        """Hang up."""
        session, self._session = self._session, None
        if session is not None:
            await _end(session)

    async def write(self, place: Place, tags: Mapping[str, str]) -> None:
        """Those tags that are not as they should be: what others may have written meanwhile stays."""
        different = {name: text for name, text in tags.items() if text != place.tags.get(name, "")}
        session = await self.connected()
        if different:
            await session.stub.SetPlaceTags(
                wire.SetPlaceTagsRequest(placename=place.record.host, tags=different)
            )
        await session.sync_with_coordinator()


async def _end(session: ClientSession) -> None:
    await session.stop()
    await session.close()


def _seconds(text: str) -> float:
    try:
        return max(float(text), 0.0)
    except ValueError:
        return _SILENCE
