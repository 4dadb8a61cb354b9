# SPDX-License-Identifier: Apache-2.0
"""The rules of leases, played by a machine that tries to break them."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from seabus.errors import HeldError, LeaseLostError, QuarantinedError
from seabus.lab.lease import ATTEMPTS, Owner, Record

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


def test_this_process_is_not_gone() -> None:
    assert not Owner.me().gone
    assert dataclasses.replace(Owner.me(), started=1.0).gone  # its number came round again
    assert dataclasses.replace(Owner.me(), pid=2**22 + 1).gone
    assert not dataclasses.replace(Owner.me(), computer="elsewhere", pid=2**22 + 1).gone
    assert not Owner.person().gone
