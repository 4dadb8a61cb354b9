# SPDX-License-Identifier: Apache-2.0
"""The leases of one computer, with the files and locks they are kept in, played by a machine.

Two users, and two processes of each, acquire, lend, break and give back; processes are killed, at rest or in
the middle of writing a record; the computer is booted again. Time is the machine's own.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from seabus.errors import HeldError, LeaseLostError, QuarantinedError
from seabus.lab.embedded import EmbeddedLeases
from seabus.lab.inventory import Lab, LabHost
from seabus.lab.lease import Owner, Record

TTL = 10.0
HOSTS = {name: LabHost(name=name, address="a", host_key="k") for name in ("h1", "h2")}
PERSONS = [Owner(user=user, computer="lab", pid=0, started=0.0) for user in "ab"]
#: Who acts: a person, or one of the two processes of each.
WHO = st.sampled_from([(user, process) for user in range(2) for process in range(3)])
HOST = st.sampled_from(sorted(HOSTS))
#: When a process that changes a record is killed: mostly not.
DEATHS = st.sampled_from(["", "", "", "before", "half way", "after"])


class KilledError(BaseException):
    """kill -9: nothing of the process runs any more."""


class Mortal(EmbeddedLeases):
    """Who has them may be killed as it writes."""

    def __init__(self, machine: Files) -> None:
        lab = Lab(path=Path("x"), name="t", hosts=HOSTS)
        super().__init__(lab, folder=machine.folder, clock=lambda: machine.now)
        self._machine = machine

    def _gone(self, owner: Owner) -> bool:
        return owner.pid in self._machine.dead

    def _write(self, record: Record) -> None:
        death, self._machine.death = self._machine.death, ""
        if death == "half way":
            (self._folder / f"{record.host}.new").write_text('{"boot": "')
        if death in ("before", "half way"):
            raise KilledError
        super()._write(record)
        if death == "after":
            raise KilledError


@dataclass
class Belief:
    """Somebody holds a host until a time, or thinks so."""

    owner: Owner
    until: float


class Files(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="seabus-test-"))
        self.now = 100.0
        self.pids = itertools.count(100)
        self.processes = {(user, process): self.born(user) for user in range(2) for process in (1, 2)}
        self.dead: set[int] = set()
        #: What becomes of whoever writes next.
        self.death = ""
        self.believers: dict[tuple[str, int], Belief] = {}
        self.highest = dict.fromkeys(HOSTS, 0)
        self.broken = dict.fromkeys(HOSTS, False)
        self.patches = contextlib.ExitStack()
        self.boot_id = self.patches.enter_context(mock.patch("seabus.lab.embedded.boot_id"))
        self.boot_id.return_value = "boot 0"
        self.person = self.patches.enter_context(mock.patch.object(Owner, "person"))
        self.leases = Mortal(self)

    def teardown(self) -> None:
        self.patches.close()
        shutil.rmtree(self.folder)

    def born(self, user: int) -> Owner:
        return Owner(user=PERSONS[user].user, computer="lab", pid=next(self.pids), started=0.0)

    def owner(self, who: tuple[int, int]) -> Owner:
        user, process = who
        return self.processes[user, process] if process else PERSONS[user]

    def dies(self, owner: Owner) -> None:
        """A process, if it is one, and another one takes its place."""
        for who, living in self.processes.items():
            if living == owner:
                self.dead.add(owner.pid)
                self.processes[who] = self.born(who[0])

    def alive(self, belief: Belief) -> bool:
        return self.now < belief.until and belief.owner.pid not in self.dead

    def rightful(self, host: str) -> list[int]:
        """Tokens that are in force, by what the files say."""
        found = []
        for where, token in self.believers:
            if where == host:
                with contextlib.suppress(LeaseLostError):
                    self.leases.check(host, token)
                    found.append(token)
        return found

    # What happens

    @rule(seconds=st.floats(0, 12))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(who=WHO)
    def is_killed(self, who: tuple[int, int]) -> None:
        self.dies(self.owner(who))

    @rule()
    def the_computer_is_booted(self) -> None:
        """Every process is gone, time starts again, and what was broken is still broken."""
        self.boot_id.return_value += " and again"
        self.now = 1.0
        for owner in list(self.processes.values()):
            self.dies(owner)
        self.believers.clear()

    @rule(host=HOST, who=WHO, death=DEATHS)
    def acquire(self, host: str, who: tuple[int, int], death: str) -> None:
        owner = self.owner(who)
        holders = [one for (at, _), one in self.believers.items() if at == host and self.alive(one)]
        self.death = death
        try:
            token = self.leases.acquire(host, ttl=TTL, owner=owner)
        except HeldError:
            assert holders or self.leases._read(host).is_reserved(self.now)
        except QuarantinedError:
            assert self.leases._read(host).quarantined
        except KilledError:
            self.dies(owner)
            if death == "after":  # a person has it, and finds that out
                self.believers[host, self.leases._read(host).token] = Belief(owner, self.now + TTL)
        else:
            # Nobody had it, or only the person whose process it is: they lend it.
            assert all(one.owner.pid == 0 and one.owner.is_as(owner) and owner.pid for one in holders)
            assert token > self.highest[host]
            self.believers[host, token] = Belief(owner, self.now + TTL)
        self.death = ""
        self.highest[host] = max(self.highest[host], self.leases._read(host).token)

    @rule(host=HOST, user=st.integers(0, 1), seconds=st.floats(0, 30))
    def reserve(self, host: str, user: int, seconds: float) -> None:
        self.person.return_value = PERSONS[user]
        with contextlib.suppress(HeldError):
            self.leases.reserve(host, ttl=seconds)

    @precondition(lambda self: self.believers)
    @rule(data=st.data(), what=st.sampled_from(["renew", "soil", "clean", "fail", "release"]), death=DEATHS)
    def act(self, data: st.DataObject, what: str, death: str) -> None:
        """Whoever believes to hold a lease acts on it, and perhaps is killed at that."""
        host, token = data.draw(st.sampled_from(sorted(self.believers)))
        belief = self.believers[host, token]
        if belief.owner.pid in self.dead:
            return
        is_rightful = token in self.rightful(host)
        before = self.leases._read(host)
        self.death = death
        try:
            self.call(what, host, token)
        except LeaseLostError:
            assert not is_rightful
            assert self.leases._read(host) == before
        except KilledError:
            self.dies(belief.owner)
            if death == "after":
                self.done(what, host, token)
            else:
                assert self.leases._read(host) == before  # whole, whatever was half written
        else:
            # Whoever is late may still give back what nobody has taken since.
            assert is_rightful or what == "release" or self.leases._read(host) == before
            self.done(what, host, token)
        self.death = ""
        self.highest[host] = max(self.highest[host], self.leases._read(host).token)

    def call(self, what: str, host: str, token: int) -> None:
        match what:
            case "renew":
                self.leases.renew(host, token, ttl=TTL)
            case "soil":
                self.leases.soil(host, token, "broke it", kernel="k", tainted=1)
            case "clean":
                self.leases.clean(host, token)
            case "fail":
                self.leases.fail(host, token, "no")
            case _:
                self.leases.release(host, token)

    def done(self, what: str, host: str, token: int) -> None:
        match what:
            case "renew":
                self.believers[host, token].until = self.now + TTL
            case "soil":
                self.broken[host] = True
            case "clean":
                self.broken[host] = False
            case "release":
                self.gave_back(host, token)

    def gave_back(self, host: str, token: int) -> None:
        """A person has again what their process gave back, by another token; they give back nothing lent."""
        record = self.leases._read(host)
        given = self.believers[host, token]
        if self.alive(given) and record.lent_by == given.owner:
            return
        if self.alive(given) and record.owner == given.owner and record.token != token:
            # It had been lent, and its borrower is dead: theirs by another token, which they had to name.
            self.believers[host, record.token] = self.believers.pop((host, token))
            return
        del self.believers[host, token]
        if given.owner.pid == 0 or record.owner is None:
            return
        for (at, old), belief in list(self.believers.items()):
            if at == host and belief.owner == record.owner and self.alive(belief):
                self.believers[host, record.token] = self.believers.pop((host, old))

    @rule(host=HOST)
    def repaired(self, host: str) -> None:
        self.leases.repaired(host)

    # What must hold

    @invariant()
    def one_has_it(self) -> None:
        assert all(len(self.rightful(host)) <= 1 for host in HOSTS)

    @invariant()
    def nobody_is_robbed(self) -> None:
        """Whoever is alive and in time has it, or has lent it to a run of theirs."""
        for (host, token), belief in self.believers.items():
            if self.alive(belief) and token not in self.rightful(host):
                record = self.leases._read(host)
                assert belief.owner.pid == 0
                assert belief.owner in (record.owner, record.lent_by)

    @invariant()
    def what_is_broken_is_known(self) -> None:
        assert all(record.dirty or not self.broken[record.host] for record in self.leases.records())

    @invariant()
    def the_dead_are_in_nobodys_way(self) -> None:
        for record in self.leases.records():
            assert record.owner is None or record.owner.pid not in self.dead


TestFiles = Files.TestCase
TestFiles.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
