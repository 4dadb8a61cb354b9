# SPDX-License-Identifier: Apache-2.0
"""Leases as places of a labgrid coordinator: for many people, and many computers.

Each host of the lab file is a place of the same name. That a place is acquired by one client alone is the
coordinator's doing; what else is known of a host is kept in the place's tags ``seabus_…``, which labgrid
shows and keeps over a restart.

A coordinator that dies, and comes back with what it had saved a while ago, may have forgotten a lease: its
holder takes the place again, if nobody else has.

A client that dies leaves its place acquired. So a holder counts on in a tag, and who sees by its own clock
that a count stands still knows that the holder is gone: no two computers need agree about the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

import grpc
from labgrid.remote.client import ClientSession, ServerError
from labgrid.remote.generated import labgrid_coordinator_pb2 as wire
from labgrid.remote.generated.labgrid_coordinator_pb2_grpc import CoordinatorStub

from seabus.errors import DeadlineError, HeldError, HostError, LeaseLostError
from seabus.lab.inventory import Lab
from seabus.lab.lease import Owner, Record
from seabus.patience import ANSWER, deadline, scale

_T = TypeVar("_T")
_PREFIX: Final = "seabus_"
_LOOK_AGAIN: Final = 0.5
_HINT: Final = "is it running? see `coordinator` of the lab file"


class LabgridLeases:
    """See the module; satisfies :class:`seabus.lab.lease.Leases`."""

    def __init__(self, lab: Lab) -> None:
        self._hosts = list(lab.hosts)
        self._address = lab.coordinator
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="labgrid", daemon=True)
        self._thread.start()
        self._session: ClientSession | None = None
        self._turn = threading.Lock()
        self._me = Owner.me()
        #: Host to (token, count, when it was first seen) of other holders.
        self._seen: dict[str, tuple[int, int, float]] = {}
        #: Host to the end of our own lease, by our clock.
        self._ends: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        #: Host to our own lease, as we last wrote it.
        self._own: dict[str, Record] = {}
        try:
            self._ask(self._connected())
        except BaseException:
            self.close()
            raise

    def records(self) -> list[Record]:
        return self._ask(self._records())

    def acquire(self, host: str, *, ttl: float, owner: Owner | None = None) -> int:
        return self._ask(self._acquire(host, ttl, owner or self._me))

    def reserve(self, host: str, *, ttl: float) -> None:
        """A reservation of labgrid's; it ends by itself when nobody polls it for a minute."""
        del ttl

        async def work() -> None:
            session = await self._connected()
            wanted = wire.Reservation.Filter(filter={"name": host})
            await session.stub.CreateReservation(
                wire.CreateReservationRequest(filters={"main": wanted}, prio=0.0)
            )

        self._ask(work())

    def check(self, host: str, token: int) -> Record:
        return self._change(host, token, lambda record: record)

    def renew(self, host: str, token: int, *, ttl: float) -> None:
        self._counts[host] = self._counts.get(host, 0) + 1
        self._change(host, token, lambda record: record, count=self._counts[host])
        self._ends[host] = time.monotonic() + ttl

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
            record = await self._record(host)
            await self._keep(record, record.repaired())

        self._ask(work())

    def close(self) -> None:
        """Hang up; leases that are not released stay, and run out."""
        session, self._session = self._session, None
        if session is not None:
            asyncio.run_coroutine_threadsafe(_end(session), self._loop).result(ANSWER * scale())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # Inside: in the loop's thread

    async def _connected(self) -> ClientSession:
        """The session; a coordinator that was restarted is connected to again."""
        if self._session is not None and not self._session.stopping.is_set():
            return self._session
        if self._session is not None:
            await _end(self._session)
            self._session = None
        session = ClientSession(self._address, self._loop)
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
        self._session = session
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

    async def _record(self, host: str) -> Record:
        place = await self._place(host)
        return _from_tags(host, place.tags, acquired=place.acquired or "")

    async def _records(self) -> list[Record]:
        found = [await self._record(host) for host in self._hosts]
        # Whoever is gone holds nothing, whatever the coordinator says.
        return [one.released(one.token) if one.owner and one.owner.gone else one for one in found]

    async def _acquire(self, host: str, ttl: float, me: Owner) -> int:
        record = await self._record(host)
        gone = record.owner is not None and (record.owner.gone or self._stands_still(record, ttl))
        # Refuses, with the reason, what must not be taken; labgrid decides about the rest.
        record.acquired(me, 0, 1, owner_gone=gone)
        session = await self._connected()
        if record.owner is not None:
            place = await self._place(host)
            await session.stub.ReleasePlace(
                wire.ReleasePlaceRequest(placename=host, fromuser=place.acquired or "")
            )
        try:
            await session.stub.AcquirePlace(wire.AcquirePlaceRequest(placename=host))
        except grpc.aio.AioRpcError as error:
            raise HeldError(f"lab host {host} is held: {error.details()}", hint="seabus lab who") from error
        # Ours alone from here on: nobody else writes the tags, so the number cannot be given out twice.
        record = await self._record(host)
        taken = dataclasses.replace(record, token=record.token + 1, owner=me, expires=1.0)
        self._counts[host] = 0
        await self._keep(record, taken, count=0)
        self._ends[host] = time.monotonic() + ttl
        return taken.token

    def _stands_still(self, record: Record, ttl: float) -> bool:
        """Whether a holder has not counted on for the time of a lease, as seen from here."""
        if record.owner is None or record.owner.pid == 0:
            return False  # nobody counts there
        seen = self._seen.get(record.host)
        count = int(record.expires)
        now = time.monotonic()
        if seen is None or seen[:2] != (record.token, count):
            self._seen[record.host] = (record.token, count, now)
            return False
        return now - seen[2] > ttl

    async def _checked(self, host: str, token: int) -> Record:
        record = await self._record(host)
        own = self._own.get(host)
        if own and own.token == token and record.owner is None and record.token <= token:
            record = await self._asserted(own)
        record.must_be(token, -1)
        if time.monotonic() > self._ends.get(host, 0):
            raise LeaseLostError(
                f"the lease {token} of lab host {host} ran out", hint="was this computer asleep? run again"
            )
        return record

    async def _asserted(self, own: Record) -> Record:
        """Our lease, taken again from a coordinator that has forgotten it."""
        session = await self._connected()
        with contextlib.suppress(grpc.aio.AioRpcError):  # somebody was faster: then it is theirs
            await session.stub.AcquirePlace(wire.AcquirePlaceRequest(placename=own.host))
            await self._keep(own, own, count=self._counts.get(own.host, 0))
        return await self._record(own.host)

    async def _release(self, host: str, token: int) -> None:
        record = await self._record(host)
        if record.token != token or record.owner is None:
            return
        session = await self._connected()
        self._own.pop(host, None)
        await self._keep(record, record.released(token))
        place = await self._place(host)
        if place.acquired:
            await session.stub.ReleasePlace(wire.ReleasePlaceRequest(placename=host, fromuser=place.acquired))

    async def _keep(self, before: Record, after: Record, *, count: int | None = None) -> None:
        session = await self._connected()
        tags = _to_tags(after)
        if count is not None:
            tags[f"{_PREFIX}count"] = str(count)
        if before.host in self._own or (after.owner is not None and after.owner != before.owner):
            self._own[before.host] = after
        await session.stub.SetPlaceTags(wire.SetPlaceTagsRequest(placename=before.host, tags=tags))
        await session.sync_with_coordinator()

    # Inside: in the caller's thread

    def _change(
        self, host: str, token: int, change: Callable[[Record], Record], *, count: int | None = None
    ) -> Record:
        async def work() -> Record:
            before = await self._checked(host, token)
            after = change(before)
            if after != before or count is not None:
                await self._keep(before, after, count=count)
            return after

        # A coordinator that is being started again is waited for, as long as the lease would last.
        while True:
            try:
                return self._ask(work())
            except LeaseLostError:
                raise
            except HostError:
                if time.monotonic() > self._ends.get(host, 0):
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
            except (DeadlineError, ServerError) as error:
                raise HostError(
                    str(error), hint="is it running? see `coordinator` of the lab file"
                ) from error


async def _end(session: ClientSession) -> None:
    await session.stop()
    await session.close()


def _to_tags(record: Record) -> dict[str, str]:
    """An empty value takes a tag away."""
    return {
        f"{_PREFIX}token": str(record.token),
        f"{_PREFIX}owner": json.dumps(dataclasses.asdict(record.owner)) if record.owner else "",
        f"{_PREFIX}dirty": record.dirty,
        f"{_PREFIX}kernel": record.kernel,
        f"{_PREFIX}tainted": str(record.tainted or ""),
        f"{_PREFIX}failures": str(record.failures or ""),
        f"{_PREFIX}quarantined": record.quarantined,
    }


def _from_tags(host: str, tags: Mapping[str, str], *, acquired: str) -> Record:
    """``expires`` is the holder's count here, and 1 more: never 0, as long as somebody has the place."""
    found = {name.removeprefix(_PREFIX): text for name, text in tags.items() if name.startswith(_PREFIX)}
    owner: Owner | None = None
    if acquired:
        computer, _, user = acquired.partition("/")
        # Somebody who uses labgrid without us has no tag: known by name, and never taken for dead.
        owner = Owner(user=user, computer=computer or "?", pid=0, started=0.0)
        if said := found.get("owner"):
            owner = Owner(**json.loads(said))
    return Record(
        host=host,
        token=int(found.get("token") or 0),
        owner=owner,
        expires=1.0 + int(found.get("count") or 0) if owner else 0.0,
        dirty=found.get("dirty", ""),
        kernel=found.get("kernel", ""),
        tainted=int(found.get("tainted") or 0),
        failures=int(found.get("failures") or 0),
        quarantined=found.get("quarantined", ""),
    )
