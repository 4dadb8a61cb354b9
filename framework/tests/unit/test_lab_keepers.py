# SPDX-License-Identifier: Apache-2.0
"""Both keepers of leases do the same: files of one computer, and a real labgrid coordinator."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seabus.errors import DiskError, HeldError, HostError, LeaseLostError, QuarantinedError
from seabus.lab.embedded import EmbeddedLeases
from seabus.lab.inventory import Lab, LabHost
from seabus.lab.keeper import of
from seabus.lab.lease import ATTEMPTS, Leases, Owner

HOSTS = {name: LabHost(name=name, address="a", host_key="k") for name in ("h1", "h2")}
TTL = 30.0
Make = Callable[[], Leases]


class Coordinator:
    """A labgrid coordinator with two places."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._folder = folder
        self.process = self.start()
        for host in HOSTS:
            self.client("-p", host, "create")

    def start(self) -> subprocess.Popen[bytes]:
        program = Path(sys.executable).with_name("labgrid-coordinator")
        with (self._folder / "coordinator.log").open("ab") as log:
            return subprocess.Popen([program, "-l", self.address], cwd=self._folder, stdout=log, stderr=log)

    def client(self, *words: str) -> None:
        program = Path(sys.executable).with_name("labgrid-client")
        late = time.monotonic() + 60
        while True:
            done = subprocess.run(
                [program, "-x", self.address, *words], capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                return
            assert time.monotonic() < late, done.stderr
            time.sleep(0.2)

    def wait_saved(self) -> None:
        """Until the places themselves are in its file: labgrid saves every 15 s."""
        late = time.monotonic() + 60
        while not (self._folder / "places.yaml").exists():
            assert time.monotonic() < late
            time.sleep(0.2)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    found = Coordinator(tmp_path_factory.mktemp("labgrid"))
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
        for record in leases.records():
            if record.owner:
                leases.release(record.host, record.token)
            leases.repaired(record.host)
            token = leases.acquire(record.host, ttl=TTL)
            leases.clean(record.host, token)
            leases.release(record.host, token)
        leases.close()


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


def test_a_coordinator_that_died_gives_nobody_elses_lease_away(coordinator: Coordinator) -> None:
    """It saves now and then; what it has forgotten its holder tells it again."""
    lab = Lab(path=Path("x"), name="t", leases="labgrid", coordinator=coordinator.address, hosts=HOSTS)
    coordinator.wait_saved()
    leases = of(lab)
    token = leases.acquire("h1", ttl=TTL)
    leases.soil("h1", token, "given hard-offline", kernel="k", tainted=0)
    coordinator.kill()
    coordinator.process = coordinator.start()
    record = leases.check("h1", token)
    assert record.dirty == "given hard-offline"
    leases.clean("h1", token)
    leases.release("h1", token)
    leases.close()


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
