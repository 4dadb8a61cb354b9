# SPDX-License-Identifier: Apache-2.0
"""Both keepers of leases do the same: files of one computer, and a real labgrid coordinator."""

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

from seabus.errors import DiskError, HeldError, HostError, LeaseLostError, QuarantinedError
from seabus.lab.embedded import EmbeddedLeases
from seabus.lab.inventory import Lab, LabHost
from seabus.lab.keeper import of
from seabus.lab.labgrid_places import LabgridLeases
from seabus.lab.labgrid_tags import from_tags, to_tags
from seabus.lab.lease import ATTEMPTS, Leases, Owner, Record
from tests.unit.labgrid_coordinator import Coordinator, owner_of

HOSTS = {name: LabHost(name=name, address="a", host_key="k") for name in ("h1", "h2")}
TTL = 30.0
Make = Callable[[], Leases]


def lab_of(coordinator: Coordinator) -> Lab:
    return Lab(path=Path("x"), name="t", leases="labgrid", coordinator=coordinator.address, hosts=HOSTS)


def free(leases: Leases) -> None:
    """All hosts, and as new."""
    for host in HOSTS:
        while (record := known(leases, host)).owner:
            leases.release(host, record.token)
        leases.repaired(host)


def known(leases: Leases, host: str) -> Record:
    return next(record for record in leases.records() if record.host == host)


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    found = Coordinator(tmp_path_factory.mktemp("labgrid"), HOSTS)
    yield found
    found.kill()


@pytest.fixture(params=["embedded", "labgrid"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes keepers of the same lab, as other people would."""
    lab = Lab(path=tmp_path / "lab.toml", name="test", hosts=HOSTS)
    opened: list[Leases] = []

    def another() -> Leases:
        if request.param == "embedded":
            opened.append(EmbeddedLeases(lab, folder=tmp_path / "leases"))
        else:
            address = request.getfixturevalue("coordinator").address
            far = Lab(path=lab.path, name="test", leases="labgrid", coordinator=address, hosts=HOSTS)
            opened.append(of(far))
        return opened[-1]

    yield another
    for leases in opened:
        free(leases)
        for host in HOSTS:
            with contextlib.suppress(HeldError):  # reserved for somebody, by a test
                token = leases.acquire(host, ttl=TTL)
                leases.clean(host, token)
                leases.release(host, token)
        leases.close()


@pytest.fixture
def places(coordinator: Coordinator) -> Iterator[Callable[[], LabgridLeases]]:
    """Makes keepers that labgrid knows apart."""
    opened: list[LabgridLeases] = []

    def another() -> LabgridLeases:
        opened.append(LabgridLeases(lab_of(coordinator)))
        return opened[-1]

    yield another
    free(opened[0])
    for leases in opened:
        leases.close()


@pytest.fixture
def bob(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes whoever acts from then on another person."""
    return lambda: monkeypatch.setenv("LOGNAME", "bob")


def until(what: Callable[[], bool], seconds: float = 30) -> None:
    late = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < late
        time.sleep(0.1)


def test_one_has_it_and_then_the_other(make: Make) -> None:
    one, other = make(), make()
    first = one.acquire("h1", ttl=TTL)
    with pytest.raises(HeldError, match="h1 is held"):
        other.acquire("h1", ttl=TTL)
    other_host = other.acquire("h2", ttl=TTL)
    assert one.check("h1", first).owner == Owner.me()
    one.release("h1", first)
    second = other.acquire("h1", ttl=TTL)
    assert second > first
    with pytest.raises(LeaseLostError, match=f"the lease {first} of lab host h1 is over"):
        one.check("h1", first)
    one.release("h1", first)  # a lease that is over is nobody's
    other.check("h1", second)
    other.release("h2", other_host)


def test_dirt_outlives_the_lease(make: Make) -> None:
    one, other = make(), make()
    token = one.acquire("h1", ttl=TTL)
    one.soil("h1", token, "given hard-offline", kernel="7.3.4+deb13-arm64", tainted=4)
    one.release("h1", token)
    token = other.acquire("h1", ttl=TTL)
    record = other.check("h1", token)
    assert (record.dirty, record.kernel, record.tainted) == ("given hard-offline", "7.3.4+deb13-arm64", 4)
    other.clean("h1", token)
    assert not other.check("h1", token).dirty


def test_nobody_breaks_what_is_not_theirs(make: Make) -> None:
    one, other = make(), make()
    token = one.acquire("h1", ttl=TTL)
    one.release("h1", token)
    theirs = other.acquire("h1", ttl=TTL)
    for act in (
        lambda: one.soil("h1", token, "x", kernel="", tainted=0),
        lambda: one.clean("h1", token),
        lambda: one.fail("h1", token, "x"),
        lambda: one.renew("h1", token, ttl=TTL),
    ):
        with pytest.raises(LeaseLostError):
            act()
    assert not other.check("h1", theirs).dirty


def test_three_failures_are_a_quarantine(make: Make) -> None:
    one = make()
    token = one.acquire("h2", ttl=TTL)
    for _ in range(ATTEMPTS):
        record = one.fail("h2", token, "does not boot")
    assert record.quarantined == "does not boot"
    one.release("h2", token)
    with pytest.raises(QuarantinedError, match="does not boot"):
        one.acquire("h2", ttl=TTL)
    one.repaired("h2")
    token = one.acquire("h2", ttl=TTL)
    assert one.check("h2", token).dirty  # it is still to be looked at


def test_a_lease_runs_out(make: Make) -> None:
    one = make()
    token = one.acquire("h1", ttl=0.5)
    one.check("h1", token)
    time.sleep(0.6)
    with pytest.raises(LeaseLostError, match="ran out"):
        one.check("h1", token)


def test_a_holder_that_died_holds_nothing(make: Make, tmp_path: Path) -> None:
    leases = make()
    code = (
        "import sys, time; from pathlib import Path\n"
        "from seabus.lab.inventory import Lab, LabHost; from seabus.lab.keeper import of\n"
        "from seabus.lab.embedded import EmbeddedLeases\n"
        "hosts = {n: LabHost(name=n, address='a', host_key='k') for n in ('h1', 'h2')}\n"
        "kind, where = sys.argv[1:3]\n"
        "lab = Lab(path=Path('x'), name='test', leases=kind, coordinator=where, hosts=hosts)\n"
        "leases = EmbeddedLeases(lab, folder=Path(where)) if kind == 'embedded' else of(lab)\n"
        "leases.acquire('h1', ttl=1000); print('taken', flush=True); time.sleep(1000)\n"
    )
    kind = "embedded" if isinstance(leases, EmbeddedLeases) else "labgrid"
    where = str(tmp_path / "leases") if kind == "embedded" else leases._address  # type: ignore[attr-defined]
    with subprocess.Popen([sys.executable, "-c", code, kind, where], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"taken\n"
        with pytest.raises(HeldError, match=f"process {holder.pid}"):
            leases.acquire("h1", ttl=TTL)
        holder.kill()
    leases.check("h1", leases.acquire("h1", ttl=TTL))


@pytest.mark.parametrize("round_", range(3))
def test_of_two_who_wait_for_a_dead_holder_one_gets_it(make: Make, round_: int) -> None:
    """Both see that it is dead; both take its host from it at the same time."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    make().acquire("h1", ttl=1000, owner=dataclasses.replace(Owner.me(), pid=dead.pid))
    both = [make(), make()]
    start = threading.Barrier(2)
    got: list[tuple[Leases, int]] = []
    refused: list[HeldError] = []

    def take(leases: Leases) -> None:
        start.wait()
        try:
            got.append((leases, leases.acquire("h1", ttl=TTL)))
        except HeldError as error:
            refused.append(error)

    threads = [threading.Thread(target=take, args=(leases,)) for leases in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 1)
    leases, token = got[0]
    assert leases.check("h1", token).token == token


def test_a_far_holder_whose_count_stands_still_is_gone(make: Make) -> None:
    """Nothing is known of another computer's processes, except that they say nothing."""
    one, other = make(), make()
    far = dataclasses.replace(Owner.me(), computer="elsewhere", pid=4711)
    token = one.acquire("h1", ttl=1.5, owner=far)
    assert known(other, "h1").owner == far
    for _ in range(4):
        time.sleep(0.5)
        one.renew("h1", token, ttl=1.5)
        assert known(other, "h1").owner == far
        with pytest.raises(HeldError, match="elsewhere"):
            other.acquire("h1", ttl=TTL)
    until(lambda: known(other, "h1").owner is None)
    other.acquire("h1", ttl=TTL)
    with pytest.raises(LeaseLostError):
        one.check("h1", token)


def test_what_a_person_took_for_hours_ends(make: Make) -> None:
    one, other = make(), make()
    one.acquire("h1", ttl=1, owner=Owner.person())
    far = dataclasses.replace(Owner.me(), user="bob")
    with pytest.raises(HeldError, match="h1 is held by"):
        other.acquire("h1", ttl=TTL, owner=far)
    until(lambda: known(other, "h1").owner is None, 5)
    other.check("h1", other.acquire("h1", ttl=TTL, owner=far))


def test_a_person_lends_to_their_own_run(make: Make) -> None:
    """What I acquired my own pytest can use; then it is mine again."""
    one, run, another_run = make(), make(), make()
    person, stranger = Owner.person(), dataclasses.replace(Owner.me(), user="bob")
    first = one.acquire("h1", ttl=1000, owner=person)
    with pytest.raises(HeldError):
        run.acquire("h1", ttl=TTL, owner=stranger)
    token = run.acquire("h1", ttl=TTL)
    assert token > first
    assert known(one, "h1").owner == Owner.me()
    run.check("h1", token)
    with pytest.raises(HeldError):
        another_run.acquire("h1", ttl=TTL)
    run.release("h1", token)
    assert known(one, "h1").owner == person
    run.release("h1", token)  # nobody's any more, so not the person's either
    assert known(one, "h1").owner == person
    with pytest.raises(LeaseLostError):
        run.check("h1", token)
    with pytest.raises(HeldError):
        run.acquire("h1", ttl=TTL, owner=stranger)
    again = another_run.acquire("h1", ttl=TTL)
    assert again > token
    another_run.release("h1", again)
    one.release("h1", known(one, "h1").token)
    assert known(one, "h1").owner is None


def test_what_was_lent_to_a_run_that_died_is_the_persons(make: Make) -> None:
    one, run = make(), make()
    person, stranger = Owner.person(), dataclasses.replace(Owner.me(), user="bob")
    one.acquire("h1", ttl=1000, owner=person)
    dead = subprocess.Popen(["true"])
    dead.wait()
    run.acquire("h1", ttl=TTL, owner=dataclasses.replace(Owner.me(), pid=dead.pid))
    assert known(one, "h1").owner == person
    with pytest.raises(HeldError):
        one.acquire("h1", ttl=TTL, owner=stranger)
    assert one.acquire("h1", ttl=TTL)


def test_a_reservation(make: Make, bob: Callable[[], None]) -> None:
    """Nobody else gets it; nobody else may reserve it; it ends when it is used."""
    mine, me, my_run = make(), Owner.person(), Owner.me()
    mine.reserve("h1", ttl=1000)
    assert known(mine, "h1").reserved == me
    mine.reserve("h1", ttl=1000)  # again: it is mine
    bob()
    theirs = make()
    assert known(theirs, "h1").reserved == me
    with pytest.raises(HeldError, match=f"reserved for {me.user}@"):
        theirs.acquire("h1", ttl=TTL)
    with pytest.raises(HeldError, match=f"reserved for {me} already"):
        theirs.reserve("h1", ttl=5)
    token = mine.acquire("h1", ttl=TTL, owner=my_run)
    assert known(mine, "h1").reserved is None
    theirs.reserve("h1", ttl=1000)
    mine.release("h1", token)
    with pytest.raises(HeldError, match="reserved for bob@"):
        mine.acquire("h1", ttl=TTL, owner=my_run)
    theirs.acquire("h1", ttl=TTL)


def test_a_reservation_ends_by_itself(make: Make, bob: Callable[[], None]) -> None:
    make().reserve("h2", ttl=1)
    bob()
    theirs = make()
    with pytest.raises(HeldError, match="reserved"):
        theirs.acquire("h2", ttl=TTL)
    until(lambda: known(theirs, "h2").reserved is None, 5)
    theirs.acquire("h2", ttl=TTL)


def test_a_kicked_holder_finds_out(make: Make) -> None:
    one, other = make(), make()
    token = one.acquire("h1", ttl=TTL)
    other.release("h1", token)
    for act in (
        lambda: one.renew("h1", token, ttl=TTL),
        lambda: one.check("h1", token),
        lambda: one.soil("h1", token, "x", kernel="", tainted=0),
    ):
        with pytest.raises(LeaseLostError, match="nobody has it"):
            act()
    assert known(other, "h1").owner is None
    other.check("h1", other.acquire("h1", ttl=TTL))


# A coordinator's places alone


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


def test_what_a_reboot_of_this_computer_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds since boot start again: a reservation of the last boot would seem to have long to go."""
    lab = Lab(path=Path("x"), name="t", hosts=HOSTS)
    before = EmbeddedLeases(lab, folder=tmp_path, clock=lambda: 1_000_000.0)
    before.soil("h1", before.acquire("h1", ttl=TTL), "given einj", kernel="", tainted=0)
    before.reserve("h1", ttl=TTL)
    monkeypatch.setattr("seabus.lab.embedded.boot_id", lambda: "another")
    (record, _) = EmbeddedLeases(lab, folder=tmp_path, clock=lambda: 10.0).records()
    assert (record.owner, record.reserved, record.reserved_until) == (None, None, 0.0)
    assert record.dirty == "given einj"


def test_no_room_for_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = EmbeddedLeases(Lab(path=Path("x"), name="t", hosts=HOSTS), folder=tmp_path)
    token = leases.acquire("h1", ttl=TTL)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DiskError, match="record of lab host h1 cannot be written: No space left"):
        leases.soil("h1", token, "given einj", kernel="", tainted=0)
    monkeypatch.undo()
    leases.check("h1", token)


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    leases = EmbeddedLeases(Lab(path=Path("x"), name="t", hosts=HOSTS), folder=tmp_path)
    leases.acquire("h1", ttl=TTL)
    (tmp_path / "h1.json").write_text("{")
    with pytest.raises(HostError, match="record of lab host h1 is damaged"):
        leases.records()
