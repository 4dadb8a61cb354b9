# SPDX-License-Identifier: Apache-2.0
"""The rules of leases, played by a machine that tries to break them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from seabus.errors import HeldError, LeaseLostError, QuarantinedError
from seabus.lab import lease
from seabus.lab.lease import ATTEMPTS, TO_BE_EXAMINED, Owner, Record, started

TTL = 10.0
PEOPLE = [Owner(user=name, computer="lab", pid=100 + n, started=0.0) for n, name in enumerate("abc")]


class Leases(RuleBasedStateMachine):
    """A host, a clock, and people who acquire, die, come late, and break things."""

    def __init__(self) -> None:
        super().__init__()
        self.record = Record(host="h")
        self.now = 100.0
        #: Token to whoever believes to hold it; several may, one of them rightly.
        self.believers: dict[int, Owner] = {}
        self.given: list[int] = []
        self.broken = False

    def rightful(self) -> int | None:
        """The one token that is in force, by what this test knows alone."""
        if self.record.owner is None or self.now >= self.record.expires:
            return None
        return self.given[-1]

    @rule(seconds=st.floats(0, 25))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(who=st.sampled_from(PEOPLE))
    def acquire(self, who: Owner) -> None:
        before = self.rightful()
        try:
            self.record = self.record.acquired(who, self.now, TTL)
        except HeldError:
            assert before is not None or self.record.is_reserved(self.now)
        except QuarantinedError:
            assert self.record.quarantined
        else:
            assert before is None
            assert not self.record.quarantined
            assert self.record.token > max(self.given, default=0)
            self.given.append(self.record.token)
            self.believers[self.record.token] = who

    @rule(who=st.sampled_from(PEOPLE), seconds=st.floats(0, 30))
    def reserve(self, who: Owner, seconds: float) -> None:
        try:
            self.record = self.record.reserved_for(who, self.now, seconds)
        except HeldError:
            assert self.record.reserved is not None
            assert not who.is_as(self.record.reserved)

    @precondition(lambda self: self.believers)
    @rule(data=st.data(), what=st.sampled_from(["renew", "break", "clean", "fail", "release"]))
    def act(self, data: st.DataObject, what: str) -> None:
        """Whoever believes to hold a lease acts on it."""
        token = data.draw(st.sampled_from(sorted(self.believers)))
        rightful = token == self.rightful()
        before = self.record
        try:
            match what:
                case "renew":
                    self.record = before.renewed(token, self.now, TTL)
                case "break":
                    self.record = before.soiled(token, self.now, "broke it", kernel="k", tainted=1)
                    self.broken = True
                case "clean":
                    self.record = before.cleaned(token, self.now)
                    self.broken = False
                case "fail":
                    self.record = before.failed(token, self.now, "no")
                case _:
                    self.record = before.released(token)
                    if token != before.token:
                        assert self.record == before  # nobody else's lease ends by it
                    return
        except LeaseLostError:
            assert not rightful
            assert self.record == before
        else:
            assert rightful

    @rule()
    def repaired(self) -> None:
        self.record = self.record.repaired()

    @invariant()
    def what_was_broken_is_known(self) -> None:
        assert not self.broken or self.record.dirty

    @invariant()
    def a_host_that_failed_too_often_is_put_aside(self) -> None:
        assert bool(self.record.quarantined) == (self.record.failures >= ATTEMPTS)

    @invariant()
    def a_record_survives_its_file(self) -> None:
        assert Record.from_json(self.record.as_json()) == self.record


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


def test_a_clean_host_is_not_held_against_what_it_was() -> None:
    """Its next kernel is its administrator's business."""
    taken = Record(host="h").acquired(PEOPLE[0], 0, TTL)
    soiled = taken.soiled(taken.token, 1, "given einj", kernel="7.3", tainted=4)
    clean = soiled.cleaned(taken.token, 2)
    assert (clean.dirty, clean.kernel, clean.tainted) == ("", "", 0)


def test_a_dead_holder_holds_nothing() -> None:
    record = Record(host="h").acquired(PEOPLE[0], 0, TTL)
    with pytest.raises(HeldError, match="held by a@lab, process 100"):
        record.acquired(PEOPLE[1], 1, TTL)
    assert record.acquired(PEOPLE[1], 1, TTL, owner_gone=True).token == 2


def test_a_reservation_ends_by_itself_and_when_used() -> None:
    record = Record(host="h").reserved_for(PEOPLE[0], 0, 5)
    with pytest.raises(HeldError, match="reserved for a@lab"):
        record.acquired(PEOPLE[1], 1, TTL)
    assert record.acquired(PEOPLE[1], 6, TTL).owner == PEOPLE[1]
    assert record.acquired(dataclasses.replace(PEOPLE[0], pid=7), 1, TTL).reserved is None


@given(st.integers(0, 2), st.booleans())
def test_repaired_forgets_what_the_host_was_like(failures: int, held: bool) -> None:
    record = Record(host="h", dirty="given einj", kernel="7.3", tainted=4, failures=failures)
    if held:
        record = record.acquired(PEOPLE[0], 0, TTL)
        assert record.repaired() == record  # its holder knows better
        return
    after = record.repaired()
    assert (after.dirty, after.kernel, after.tainted, after.failures) == (TO_BE_EXAMINED, "", 0, 0)
    assert Record(host="h").repaired() == Record(host="h")
    # What is found out then is worth more than that it is to be examined.
    taken = after.acquired(PEOPLE[0], 0, TTL)
    assert taken.soiled(taken.token, 1, "given einj", kernel="", tainted=0).dirty == "given einj"


def test_a_failure_of_a_clean_host_says_only_that_it_is_to_be_examined() -> None:
    taken = Record(host="h").acquired(PEOPLE[0], 0, TTL)
    assert taken.failed(taken.token, 1, "does not answer").dirty == TO_BE_EXAMINED


def test_a_clock_that_is_set_ends_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ours nor that of whoever looks: the start of a process is not told by the time of day."""
    me = Owner.me()
    start, now = psutil.Process().create_time(), time.time()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: start + 7200)
    monkeypatch.setattr(time, "time", lambda: now + 7200)
    assert Owner.me() == me
    assert not me.gone


def test_a_process_of_another_boot_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "machine_id", lambda: "this one")
    assert dataclasses.replace(Owner.me(), boot="another").gone
    assert not dataclasses.replace(Owner.me(), boot="").gone  # not known


@pytest.mark.parametrize("machine", ["that one", ""])
def test_of_a_computer_with_the_same_name_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    """Half of the world's computers are called `ubuntu`, and containers as they like."""
    monkeypatch.setattr(lease, "machine_id", lambda: machine)
    theirs = dataclasses.replace(Owner.me(), boot="another", machine="another" if machine else "")
    assert not theirs.gone


def test_of_a_container_with_numbers_of_its_own_nothing_is_known() -> None:
    assert not dataclasses.replace(Owner.me(), pid=2**22 + 1, pids="pid:[1]").gone


def test_a_process_that_ended_is_gone_before_anybody_has_waited_for_it() -> None:
    with subprocess.Popen(["sleep", "100"]) as child:
        owner = dataclasses.replace(Owner.me(), pid=child.pid, started=started(child.pid) or 0.0)
        assert not owner.gone
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert owner.gone


def test_this_process_is_not_gone() -> None:
    assert not Owner.me().gone
    assert dataclasses.replace(Owner.me(), started=1.0).gone  # its number came round again
    assert dataclasses.replace(Owner.me(), pid=2**22 + 1).gone
    assert not dataclasses.replace(Owner.me(), computer="elsewhere", pid=2**22 + 1).gone
    assert not Owner.person().gone
