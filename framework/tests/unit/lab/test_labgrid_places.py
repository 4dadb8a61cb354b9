# SPDX-License-Identifier: Apache-2.0
"""Leases that are labgrid's places: its coordinator may die, and its own clients have their way."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seabus.errors import HeldError, HostError, LeaseLostError
from seabus.lab.inventory import Lab
from seabus.lab.keeper import of
from seabus.lab.labgrid_places import LabgridLeases
from seabus.lab.labgrid_tags import from_tags, to_tags
from seabus.lab.lease import Leases, Owner, Record
from tests.unit.lab.coordinator import Coordinator, owner_of
from tests.unit.lab.keepers import HOSTS, TTL, free, known, until


def test_a_kick_by_labgrids_own_client(coordinator: Coordinator, places: Callable[[], LabgridLeases]) -> None:
    one, other = places(), places()
    token = one.acquire("h1", ttl=TTL)
    coordinator.client("-p", "h1", "release", "--kick")
    with pytest.raises(HeldError):  # it may be the coordinator that forgot: its holder is asked first
        other.acquire("h1", ttl=TTL)
    with pytest.raises(LeaseLostError):
        one.renew("h1", token, ttl=TTL)
    one.release("h1", token)
    other.acquire("h1", ttl=TTL)


def test_between_a_place_and_its_tags(places: Callable[[], LabgridLeases]) -> None:
    """Whoever has just taken a dead holder's place has not yet written the tags, which say who is dead."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    places().acquire("h1", ttl=TTL, owner=dataclasses.replace(Owner.me(), pid=dead.pid))
    one, other = places(), places()
    got: list[int] = []
    with paused(one, "SetPlaceTags") as (go_on, there):
        thread = threading.Thread(target=lambda: got.append(one.acquire("h1", ttl=TTL)))
        thread.start()
        assert there.wait(30)
        with pytest.raises(HeldError):
            other.acquire("h1", ttl=TTL)
        assert known(other, "h1").owner is not None
        go_on.set()
        thread.join()
    one.check("h1", got[0])


def test_who_comes_late_to_a_dead_holder(places: Callable[[], LabgridLeases]) -> None:
    """And ends its lease when somebody else has taken its place long since."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    places().acquire("h1", ttl=TTL, owner=dataclasses.replace(Owner.me(), pid=dead.pid))
    one, late = places(), places()
    refused: list[HeldError] = []

    def come_late() -> None:
        with pytest.raises(HeldError) as caught:
            late.acquire("h1", ttl=TTL)
        refused.append(caught.value)

    with paused(late, "ReleasePlace") as (go_on, there):
        thread = threading.Thread(target=come_late)
        thread.start()
        assert there.wait(30)
        token = one.acquire("h1", ttl=TTL)
        go_on.set()
        thread.join()
    assert refused
    one.check("h1", token)


@contextlib.contextmanager
def paused(leases: LabgridLeases, call: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Before its next call of this kind a keeper stops, until the first event; it is there at the second."""
    stub = leases._client._session.stub  # type: ignore[union-attr]
    real, there, go_on = getattr(stub, call), threading.Event(), threading.Event()

    async def slow(request: object) -> object:
        there.set()
        await asyncio.to_thread(go_on.wait)
        return await real(request)

    setattr(stub, call, slow)
    try:
        yield go_on, there
    finally:
        go_on.set()
        setattr(stub, call, real)


def test_a_late_clean_up_by_a_former_holder_is_put_right(
    coordinator: Coordinator, places: Callable[[], LabgridLeases]
) -> None:
    one, other = places(), places()
    token = one.acquire("h1", ttl=TTL)
    coordinator.client("-p", "h1", "set-tags", "seabus_owner=", "seabus_session=")
    with pytest.raises(HeldError):
        other.acquire("h1", ttl=TTL)
    assert one.check("h1", token).owner == Owner.me()
    assert known(other, "h1").owner == Owner.me()


def test_a_place_held_or_reserved_by_labgrids_own_client_is_respected(
    coordinator: Coordinator, places: Callable[[], LabgridLeases]
) -> None:
    one = places()
    coordinator.client("-p", "h1", "acquire", "--allow-unmatched")
    with pytest.raises(HeldError, match="h1 is held by"):
        one.acquire("h1", ttl=TTL)
    assert known(one, "h1").owner is not None
    one.reserve("h1", ttl=1000)
    assert "seabus_owner" not in one._ask(one._client.look("h1")).tags
    coordinator.client("-p", "h1", "release")
    one.release("h1", one.acquire("h1", ttl=TTL))
    with subprocess.Popen(
        [
            Path(sys.executable).with_name("labgrid-client"),
            *("-x", coordinator.address, "reserve", "--wait", "name=h1"),
        ],
        env={**os.environ, "LG_USERNAME": "bob"},
        stdout=subprocess.PIPE,
    ) as waiting:
        until(lambda: known(one, "h1").reserved is not None)
        with pytest.raises(HeldError, match="reserved for bob@"):
            one.acquire("h1", ttl=TTL)
        waiting.send_signal(signal.SIGTERM)
    reservation = one._ask(one._client.look("h1")).reservation
    coordinator.client("cancel-reservation", reservation)
    one.acquire("h1", ttl=TTL)


def test_a_coordinator_that_died_gives_nobody_elses_lease_away(
    coordinator: Coordinator, places: Callable[[], LabgridLeases]
) -> None:
    """It forgets who had acquired what, and the last seconds; those who wait come before the holder."""
    one, other, late = places(), places(), places()
    token = one.acquire("h1", ttl=TTL)
    one.soil("h1", token, "given hard-offline", kernel="k", tainted=0)
    coordinator.wait_saved(f"seabus_session: {one._client.name}")
    fresh = one.acquire("h2", ttl=TTL)
    one.soil("h2", fresh, "given soft-offline", kernel="k", tainted=0)
    assert known(other, "h2").owner == Owner.me()
    coordinator.kill()
    coordinator.process = coordinator.start()
    until(lambda: _answers(other))
    ended = time.monotonic() + 2
    while time.monotonic() < ended:
        for host in HOSTS:
            with pytest.raises(HeldError, match="held by"):
                other.acquire(host, ttl=TTL)
    with pytest.raises(HeldError):  # who comes only now, and never saw the holder, is told by the tags
        late.acquire("h1", ttl=TTL)
    assert one.check("h1", token).dirty == "given hard-offline"
    assert one.check("h2", fresh).dirty == "given soft-offline"
    assert known(other, "h2").token == fresh
    for host, number in (("h1", token), ("h2", fresh)):
        one.clean(host, number)
        one.release(host, number)
        other.release(host, other.acquire(host, ttl=TTL))


def _answers(leases: Leases) -> bool:
    try:
        return bool(leases.records())
    except HostError:
        return False


def test_a_forgotten_holder_that_is_dead_holds_nothing(
    coordinator: Coordinator, places: Callable[[], LabgridLeases]
) -> None:
    one, other = places(), places()
    holder = subprocess.Popen(["sleep", "1000"])
    try:
        owner = owner_of(holder)
        one.acquire("h1", ttl=TTL, owner=owner)
        assert known(other, "h1").owner == owner
        coordinator.kill()
        coordinator.process = coordinator.start()
        until(lambda: _answers(other))
        with pytest.raises(HeldError):
            other.acquire("h1", ttl=TTL)
    finally:
        holder.kill()
        holder.wait()
    other.acquire("h1", ttl=TTL)


_ENVIRONMENT = """\
targets:
  main:
    resources:
      RemotePlace: {name: h1}
    drivers:
      SSHDriver: {}
"""
#: What a person with labgrid's own library writes.
_RESOLVE = """\
import sys
from labgrid import Environment
from labgrid.remote.client import Error
try:
    target = Environment(sys.argv[1]).get_target("main")
    service = target.get_driver("SSHDriver", activate=False).networkservice
    assert service is target.get_resource("NetworkService")
    print(service.address, service.port, service.username)
except Error as error:
    print(*error.args)
"""


def test_labgrids_environment_finds_the_place_that_we_hold(
    coordinator: Coordinator, places: Callable[[], LabgridLeases], tmp_path: Path
) -> None:
    """``RemotePlace`` of docs/lab.md: the host's address as labgrid exports it, while its lease is ours."""
    (tmp_path / "exported.yaml").write_text(
        "h1:\n  NetworkService: {address: h1.lab.example, port: 2222, username: root}\n"
    )
    (tmp_path / "env.yaml").write_text(_ENVIRONMENT)
    program = Path(sys.executable).with_name("labgrid-exporter")
    words = [str(program), "-c", coordinator.address, "--name", "rack", str(tmp_path / "exported.yaml")]

    def resolved(user: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", _RESOLVE, tmp_path / "env.yaml"],
            env={**os.environ, "LG_COORDINATOR": coordinator.address, "LG_USERNAME": user},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    with (
        (tmp_path / "exporter.log").open("wb") as log,
        subprocess.Popen(words, stdout=log, stderr=log, cwd=tmp_path) as exporter,
    ):
        one = places()
        try:
            coordinator.client("-p", "h1", "add-match", "rack/h1/NetworkService")
            until(lambda: "rack" in one._client._session.resources)  # type: ignore[union-attr]
            assert "is not acquired" in resolved(Owner.me().user)
            token = one.acquire("h1", ttl=TTL)
            assert resolved(Owner.me().user) == "h1.lab.example 2222 root"
            assert "is not acquired by your user" in resolved("bob")
            one.release("h1", token)
            assert "is not acquired" in resolved(Owner.me().user)
        finally:
            exporter.terminate()
            free(one)
            coordinator.client("-p", "h1", "del-match", "rack/h1/NetworkService")


def test_tags_of_another_version() -> None:
    """What is not known is passed over, what is missing is empty, what is damaged is told."""
    record = dataclasses.replace(
        Record(host="h").acquired(Owner.person(), 5, 10), dirty="x", failures=2, quarantined="y"
    )
    assert from_tags("h", to_tags(record)) == record
    tags = {"seabus_owner": '{"user": "eve", "computer": "c", "shoe": 43}', "seabus_new": "1", "other": "2"}
    found = from_tags("h", tags).owner
    assert found is not None
    assert (found.user, found.computer, found.pid) == ("eve", "c", 0)
    with pytest.raises(HostError, match="seabus_token of labgrid's place h is damaged"):
        from_tags("h", {"seabus_token": "many"})


def test_no_coordinator() -> None:
    lab = Lab(path=Path("x"), name="t", leases="labgrid", coordinator="127.0.0.1:1", hosts=HOSTS)
    with pytest.raises(HostError, match="coordinator"):
        of(lab)
