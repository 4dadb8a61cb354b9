# SPDX-License-Identifier: Apache-2.0
"""Both keepers of leases do the same: files of one computer, and a real labgrid coordinator."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from seabus.errors import HeldError, LeaseLostError, QuarantinedError
from seabus.lab.embedded import EmbeddedLeases
from seabus.lab.lease import ATTEMPTS, Leases, Owner
from tests.unit.lab.keepers import TTL, Make, known, until


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
