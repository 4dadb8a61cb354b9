# SPDX-License-Identifier: Apache-2.0
"""Whose a lab host is: the rules of leases as functions of a record and a time, and nothing else.

A lease is exclusive, has an owner, ends by itself, and carries a *fencing token*: a number that grows with
each lease of a host, so whoever lost a lease without noticing is told apart from whoever holds it now.

A host is ``dirty`` from before the first fault on, until somebody has seen that it is clean again: that
survives the death of whoever made it so. After three failed attempts to clean it, it is put in quarantine,
which only a person ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

from seabus.errors import HeldError, LeaseLostError, QuarantinedError

#: Attempts to bring a host back before it is put aside.
ATTEMPTS: Final = 3
#: Why a host is dirty of which nothing worse is known: who gets it examines it before it is rebooted.
TO_BE_EXAMINED: Final = "to be examined"
#: Environment variables in which CI systems name the job that runs.
_JOBS: Final = ("CI_JOB_URL", "GITHUB_RUN_ID", "BUILD_URL", "CI_JOB_ID")


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who holds a lease.

    :param pid: 0 if it is not known: then nothing is known about its end either.
    :param started: when the process began, in clock ticks since its computer was booted (proc_pid_stat(5)):
        pids come round again. No clock that anybody sets comes into it.
    :param job: the CI job, or empty.
    :param boot: of the computer, a random number of each boot; empty: not known.
    :param machine: of the computer, as its installation calls itself (machine-id(5)): two may have one name.
    :param pids: whose numbers its pid is one of (pid_namespaces(7)): a container has numbers of its own.
    """

    user: str
    computer: str
    pid: int
    started: float
    job: str = ""
    boot: str = ""
    machine: str = ""
    pids: str = ""

    @classmethod
    def me(cls) -> Self:
        """This process."""
        job = next((os.environ[name] for name in _JOBS if os.environ.get(name)), "")
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # a container's user may have no name
            user = str(os.getuid())
        return cls(
            user=user,
            computer=socket.gethostname(),
            pid=os.getpid(),
            started=started(os.getpid()) or 0.0,
            job=job,
            boot=boot_id(),
            machine=machine_id(),
            pids=pid_namespace(),
        )

    @classmethod
    def person(cls) -> Self:
        """Whoever sits here, beyond the life of this process."""
        return dataclasses.replace(cls.me(), pid=0, started=0.0)

    def is_as(self, other: Owner | None) -> bool:
        """Whether it is the same person, or runs for the same person."""
        return other is not None and (self.user, self.computer) == (other.user, other.computer)

    @property
    def gone(self) -> bool:
        """Whether the process is known to have ended; of another computer's nothing is known.

        One computer is not told from another by its name, nor one process from another by its number alone.
        """
        if self.computer != socket.gethostname() or self.pid == 0:
            return False
        if self.boot and self.boot != boot_id():
            return self.machine != "" and self.machine == machine_id()
        if self.pids and self.pids != pid_namespace():
            return False
        return started(self.pid) != self.started

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        process = f", process {self.pid}" if self.pid else ""
        return f"{self.user}@{self.computer}{process}{job}"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known about a host between two leases, and during one.

    :param token: of the last lease; it only grows.
    :param owner: of the present lease; None: free.
    :param expires: the end of the present lease, in s of the clock of whoever keeps the record.
    :param reserved: who is next, until ``reserved_until``; nobody else gets it meanwhile.
    :param dirty: why the host must be looked at before its next use; empty: it is clean.
    :param kernel: that it ran, and ``tainted`` what its kernel had said of itself, before it became dirty;
        an empty one: neither is known.
    :param failures: attempts in a row to bring it back that failed.
    :param quarantined: why it was put aside; empty: it was not.
    :param lent_by: the person who has it, while a process of theirs has it; theirs again until ``lent_until``
        when that is done.
    """

    host: str
    token: int = 0
    owner: Owner | None = None
    expires: float = 0.0
    reserved: Owner | None = None
    reserved_until: float = 0.0
    dirty: str = ""
    kernel: str = ""
    tainted: int = 0
    failures: int = 0
    quarantined: str = ""
    lent_by: Owner | None = None
    lent_until: float = 0.0

    @property
    def broken(self) -> bool:
        """Whether worse is known of it than that it is to be examined."""
        return self.dirty not in ("", TO_BE_EXAMINED)

    def held(self, now: float, *, owner_gone: bool = False) -> bool:
        """Whether somebody has it."""
        return self.owner is not None and now < self.expires and not owner_gone

    def acquired(self, owner: Owner, now: float, ttl: float, *, owner_gone: bool = False) -> Record:
        """It, with a new lease.

        :param owner_gone: the present owner is known to have ended.
        :raises HeldError: somebody has it.
        :raises QuarantinedError: it was put aside.
        """
        if self.quarantined:
            raise QuarantinedError(
                f"lab host {self.host} is in quarantine: {self.quarantined}",
                hint=f"repair it, then: seabus lab repaired {self.host}",
            )
        before = self.in_force(now, owner_gone=owner_gone)
        # What a person has taken for themselves is for their own runs, too.
        lender = before.owner if owner.pid and owner.is_as(before.owner) else None
        if lender is not None and lender.pid:
            lender = None
        if before.owner is not None and lender is None:
            raise HeldError(
                f"lab host {self.host} is held by {before.owner}",
                hint=f"seabus lab wait {self.host}, or ask them",
            )
        if lender is None and before.reserved is not None and not owner.is_as(before.reserved):
            raise HeldError(
                f"lab host {self.host} is reserved for {before.reserved}",
                hint=f"seabus lab wait {self.host}, or ask them",
            )
        return dataclasses.replace(
            before,
            token=before.token + 1,
            owner=owner,
            expires=now + ttl,
            reserved=before.reserved if lender else None,
            reserved_until=before.reserved_until if lender else 0.0,
            lent_by=lender,
            lent_until=before.expires if lender else 0.0,
        )

    def in_force(self, now: float, *, owner_gone: bool = False) -> Record:
        """It, without what has ended: a lease, what it was lent from, a reservation."""
        found = self
        if found.owner is not None and not found.held(now, owner_gone=owner_gone):
            found = found.released(found.token)
            if found.owner is not None and not found.held(now):
                found = found.released(found.token)
        if found.reserved is not None and not found.is_reserved(now):
            found = dataclasses.replace(found, reserved=None, reserved_until=0.0)
        return found

    def is_reserved(self, now: float) -> bool:
        """Whether somebody is next."""
        return self.reserved is not None and now < self.reserved_until

    def reserved_for(self, owner: Owner, now: float, ttl: float) -> Record:
        """It, with this owner as the next.

        :raises HeldError: somebody else is.
        """
        if self.is_reserved(now) and not owner.is_as(self.reserved):
            raise HeldError(
                f"lab host {self.host} is reserved for {self.reserved} already", hint="ask them, or wait"
            )
        return dataclasses.replace(self, reserved=owner, reserved_until=now + ttl)

    def must_be(self, token: int, now: float) -> None:
        """That the lease with this token is in force.

        :raises LeaseLostError: it is not.
        """
        if self.owner is None or self.token != token:
            now_it_is = f"{self.owner} has it" if self.owner else "nobody has it"
            raise LeaseLostError(
                f"the lease {token} of lab host {self.host} is over: {now_it_is} (lease {self.token})",
                hint="nothing was broken; run again",
            )
        if now >= self.expires:
            raise LeaseLostError(
                f"the lease {token} of lab host {self.host} ran out {now - self.expires:.0f} s ago",
                hint="was this computer asleep? run again",
            )

    def renewed(self, token: int, now: float, ttl: float) -> Record:
        """It, with more time.

        :raises LeaseLostError: too late.
        """
        self.must_be(token, now)
        return dataclasses.replace(self, expires=now + ttl)

    def soiled(self, token: int, now: float, why: str, *, kernel: str, tainted: int) -> Record:
        """It, known to be dirty from now on.

        :raises LeaseLostError: it is not ours.
        """
        self.must_be(token, now)
        if self.broken:
            return self
        return dataclasses.replace(self, dirty=why, kernel=kernel, tainted=tainted)

    def cleaned(self, token: int, now: float) -> Record:
        """It, seen to be clean. Who was put aside before that stays there until a person has looked.

        :raises LeaseLostError: it is not ours.
        """
        self.must_be(token, now)
        failures = self.failures if self.quarantined else 0
        return dataclasses.replace(self, dirty="", kernel="", tainted=0, failures=failures)

    def failed(self, token: int, now: float, why: str) -> Record:
        """It, after one more attempt to bring it back in vain; the third puts it in quarantine.

        :raises LeaseLostError: it is not ours.
        """
        self.must_be(token, now)
        failures = self.failures + 1
        return dataclasses.replace(
            self,
            dirty=self.dirty or TO_BE_EXAMINED,
            failures=failures,
            quarantined=why if failures >= ATTEMPTS else "",
        )

    def released(self, token: int) -> Record:
        """It, free, or whose it was before; a lease that is over already is nobody's business."""
        if self.token != token:
            return self
        if self.lent_by is not None:
            return dataclasses.replace(
                self,
                token=token + 1,  # a second release by whoever borrowed it is none of the lender's
                owner=self.lent_by,
                expires=self.lent_until,
                lent_by=None,
                lent_until=0.0,
            )
        return dataclasses.replace(self, owner=None, expires=0.0)

    def repaired(self) -> Record:
        """It, out of quarantine, or no longer known to be dirty while nobody has it; still to be examined.

        What it was like before is forgotten: whoever repaired it may have given it another kernel.
        """
        if not self.quarantined and (not self.dirty or self.owner is not None):
            return self
        return dataclasses.replace(
            self, failures=0, quarantined="", dirty=TO_BE_EXAMINED, kernel="", tainted=0
        )

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Record:
        """Back from a file.

        :raises TypeError: it is not a record.
        """
        people = {name: found.get(name) for name in ("owner", "reserved", "lent_by")}
        return cls(**{**found, **{name: Owner(**one) if one else None for name, one in people.items()}})


def boot_id() -> str:
    """Of the computer this runs on: a random number of each boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def machine_id() -> str:
    """Of this computer's installation (machine-id(5)); empty where there is none, as in many containers."""
    with contextlib.suppress(OSError):
        return Path("/etc/machine-id").read_text().strip()
    return ""


def pid_namespace() -> str:
    """The numbers that our pid is one of, as the kernel calls them (pid_namespaces(7)); empty: not known."""
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def started(pid: int) -> float | None:
    """When a process began, in clock ticks since boot; None: it has ended, waited for or not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc_pid_stat(5): field 2 is a name in parentheses, with anything in it; 3 is the state, 22 the start.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else float(fields[19])


class Leases(Protocol):
    """Who keeps the records of a lab's hosts. All of these may be called from any thread."""

    @property
    def name(self) -> str:
        """What tells this keeper from others, without blanks: tokens of two mean nothing to each other."""

    def records(self) -> list[Record]:
        """One for each host of the lab, in the lab file's order."""

    def acquire(self, host: str, *, ttl: float, owner: Owner | None = None) -> int:
        """Take a host; the lease's token. What a person holds is lent to a process of theirs.

        :param owner: by itself this process.

        :raises HeldError: somebody has it.
        :raises QuarantinedError: it was put aside.
        """

    def reserve(self, host: str, *, ttl: float) -> None:
        """Be the next who gets a host, for so many seconds from now.

        :raises HeldError: somebody else is.
        """

    def check(self, host: str, token: int) -> Record:
        """The record, if this lease is in force.

        :raises LeaseLostError: it is not.
        """

    def renew(self, host: str, token: int, *, ttl: float) -> None:
        """Give it more time.

        :raises LeaseLostError: too late.
        """

    def soil(self, host: str, token: int, why: str, *, kernel: str, tainted: int) -> None:
        """Note that the host is about to be broken, and how it was before.

        :raises LeaseLostError: it is not ours to break.
        """

    def clean(self, host: str, token: int) -> None:
        """Note that it is as it was."""

    def fail(self, host: str, token: int, why: str) -> Record:
        """Note that it could not be brought back; what is known of it then."""

    def release(self, host: str, token: int) -> None:
        """Give it back."""

    def repaired(self, host: str) -> None:
        """A person ends its quarantine."""

    def close(self) -> None:
        """Leave the keeper of the records in peace."""
