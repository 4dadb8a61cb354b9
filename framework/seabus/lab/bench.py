# SPDX-License-Identifier: Apache-2.0
"""One worker's place in a lab: it holds one host at a time, and changes it when a test needs another.

A host that misbehaves is left, and the test moved to another one, once, if nothing was broken on it yet.
Whether it misbehaves is not told by the error alone: the host is asked. Its power is cycled if it does not
answer as it did before; a host that does is given back as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seabus.errors import (
    AgentError,
    BootError,
    CapabilityError,
    ChannelError,
    DeadlineError,
    DiskError,
    HeldError,
    HostError,
    LeaseLostError,
    MachineError,
    QuarantinedError,
    SeabusError,
)
from seabus.images.guests import GuestImages
from seabus.images.store import Say
from seabus.lab import health, keeper
from seabus.lab.inventory import Lab, LabHost
from seabus.lab.lease import Leases
from seabus.lab.tenancy import Tenancy
from seabus.lab.world import on_host
from seabus.machine.config import WorldConfig
from seabus.patience import scale
from seabus.session.session import Session
from seabus.world.needs import NEEDS
from seabus.world.standstill import PATIENCE, answers

_LOOK_AGAIN: Final = 1.0
_SAY_AGAIN: Final = 10.0
#: Seconds that all hosts, or the keeper of their leases, may be out of reach; more where a host boots slowly.
_HOPE: Final = 120.0
#: Words that :mod:`seabus.lab.health` looks for: of these the lab file's word is not enough.
_EXAMINED: Final = frozenset(
    {"einj", "hard-offline", "hwpoison-inject", "kvm", "soft-offline", "tracing", "unpoison"}
)


@dataclass(frozen=True)
class Move:
    """A test that runs elsewhere than it began.

    :param host: that was left before anything was broken on it.
    :param why: one line.
    """

    host: str
    why: str


class Bench:
    """See the module. To be closed.

    :param number: of the worker: workers begin to look at different hosts.
    :param patience: seconds to wait for a host that others hold.
    """

    def __init__(
        self, lab: Lab, images: GuestImages, *, number: int = 0, patience: float = 3600.0, say: Say
    ) -> None:
        self.lab = lab
        self.tenancy: Tenancy | None = None
        #: What the last session was moved from while it was set up.
        self.moved: Move | None = None
        self._images = images
        self._leases: Leases = keeper.of(lab)
        self._first = number % len(lab.hosts)
        self._patience = patience
        self._say = say
        #: Hosts that we had to leave, and why: they come last.
        self._left: dict[str, str] = {}
        #: Words that the lab file says of a host, and that are not so.
        self._untrue: dict[str, set[str]] = {}

    @contextlib.contextmanager
    def session(
        self,
        config: WorldConfig,
        needs: Sequence[str],
        *,
        artefacts: Path,
        injecting: bool = True,
        movable: bool = True,
    ) -> Iterator[Session]:
        """A session on a host that has what is needed.

        A host that fails before anything was broken on it is left, and another one tried, once; then
        :attr:`moved` says so.

        :param movable: False if the test was moved before.
        :raises CapabilityError: no host of the lab has what is needed, or a host would have to be another.
        :raises BootError: the guest does not come up, on a host that is well.
        :raises DeadlineError: others held all hosts for too long.
        """
        _must_be_possible(config)
        self.moved = None
        wanted = [word for word in needs if word not in NEEDS or NEEDS[word].level == "L1"]
        tenancy = self._settle(config, wanted)
        with contextlib.ExitStack() as stack:
            try:
                session = stack.enter_context(self._opened(tenancy, config, artefacts, injecting))
            except (MachineError, HostError) as error:
                # What a machine refused may be the host's fault even if that answers (a full disk), so that
                # another one is tried; but a guest that does not boot is no other guest there.
                unclear = isinstance(error, MachineError) and not isinstance(error, BootError)
                self.moved = self.move_from(tenancy.host.name, error, unclear=unclear and movable)
                if self.moved is None or not movable:
                    raise
                tenancy = self._settle(config, wanted)
                session = stack.enter_context(self._opened(tenancy, config, artefacts, injecting))
            try:
                yield session
            finally:
                self._look_after(session)

    def move_from(self, name: str, error: SeabusError, *, unclear: bool = False) -> Move | None:
        """Leave a host because of an error that a test met there, if the host may be to blame.

        :param unclear: it may be, even though the error says nothing of it and the host is well.
        :return: None if it is not to blame, and was not left.
        """
        tenancy = self.tenancy
        if tenancy is None or tenancy.host.name != name:
            # It was seen to misbehave, and left, when the test ended.
            return Move(name, self._left[name]) if name in self._left else None
        if tenancy.lost or isinstance(error, LeaseLostError):
            self._abandon()
            return Move(name, self._left[name])
        if isinstance(error, CapabilityError):
            return None
        wrong = asyncio.run(_what_is_wrong(tenancy))
        # Somebody did not answer, though the host does: a reboot is not called for, but another try is.
        silent = isinstance(error, ChannelError | DeadlineError) and not isinstance(error, AgentError)
        if not (wrong or silent or unclear or type(error) in (HostError, DiskError)):
            return None
        why = f"{wrong}: {error}" if wrong else str(error)
        self.leave(why if wrong else "")
        self._left[name] = why
        return Move(name, why)

    def leave(self, why: str = "") -> None:
        """Give the present host back; one whose lease is lost is not touched.

        :param why: it misbehaved; it must be rebooted, and is taken again by us only if there is no other.
        """
        if self.tenancy is not None and self.tenancy.lost:
            self._abandon()
        tenancy, self.tenancy = self.tenancy, None
        if tenancy is None:
            return
        if why:
            self._left[tenancy.host.name] = why
        try:
            asyncio.run(tenancy.give_back(why))
        except SeabusError as error:
            # It is dirty or in quarantine, and noted as such: the others go on.
            self._say(f"{tenancy.host.name}: {error}")

    def close(self) -> None:
        self.leave()
        self._leases.close()

    # Inside

    def _abandon(self) -> None:
        """Somebody else may have the host by now: it is not touched."""
        tenancy, self.tenancy = self.tenancy, None
        assert tenancy is not None
        why = self._left[tenancy.host.name] = f"its lease {tenancy.token} was lost"
        self._say(f"{tenancy.host.name}: {why}")
        with contextlib.suppress(SeabusError):
            asyncio.run(tenancy._leave())

    @contextlib.contextmanager
    def _opened(
        self, tenancy: Tenancy, config: WorldConfig, artefacts: Path, injecting: bool
    ) -> Iterator[Session]:
        with Session.over(
            on_host(tenancy, config, artefacts=artefacts, say=self._say), injecting=injecting
        ) as session:
            yield session

    def _look_after(self, session: Session) -> None:
        """After a test: a host that is not there any more must not be met by the next one."""
        if self.tenancy is None:
            return
        if self.tenancy.lost:
            self.leave()
        elif session.stage.is_dead("L1"):
            self.leave("its kernel gave up during a test")
        elif not self.tenancy.ssh.alive:
            self.leave("the connection was lost during a test")

    def _settle(self, config: WorldConfig, needs: Sequence[str]) -> Tenancy:
        """The host that we have, if it will do, or another one."""
        if self.tenancy is not None and self.tenancy.lost:
            self.leave()
        elif self.tenancy is not None and not self.tenancy.ssh.alive:
            self.leave("the connection was lost between two tests")
        fitting = self._fitting(needs)
        if (
            self.tenancy is not None
            and self.tenancy.host in fitting
            and self._has_indeed(self.tenancy, needs)
        ):
            return self.tenancy
        self.leave()
        self.tenancy = self._take(needs, config)
        return self.tenancy

    def _fitting(self, needs: Sequence[str]) -> list[LabHost]:
        """Hosts that declare what is needed, in the order in which this worker looks at them."""
        hosts = list(self.lab.hosts.values())
        hosts = hosts[self._first :] + hosts[: self._first]
        declaring = [host for host in hosts if set(needs) <= {*host.capabilities, *host.faults}]
        fitting = [host for host in declaring if not set(needs) & self._untrue.get(host.name, set())]
        if not fitting:
            raise CapabilityError(
                f"no host of {self.lab.path} has {', '.join(needs)}",
                hint="; ".join(self._untruths(declaring, needs))
                or "`capabilities` and `faults` of the lab file say what a host has",
                capability=next(iter(needs), ""),
            )
        return fitting

    def _untruths(self, hosts: Sequence[LabHost], needs: Sequence[str]) -> list[str]:
        return [
            f"the lab file says {word} of {host.name}, which has none"
            for host in hosts
            for word in needs
            if word in self._untrue.get(host.name, set())
        ]

    def _has_indeed(self, tenancy: Tenancy, needs: Sequence[str]) -> bool:
        """Whether a host has what the lab file says of it; what it has not is noted, and said.

        One that does not say so is left.
        """
        try:
            untrue = asyncio.run(_untrue(tenancy, needs))
        except SeabusError as error:
            self._say(f"{tenancy.host.name}: {error}")
            self.leave(str(error))
            return False
        self._untrue.setdefault(tenancy.host.name, set()).update(untrue)
        for text in self._untruths([tenancy.host], untrue):
            self._say(text)
        return not untrue

    def _take(self, needs: Sequence[str], config: WorldConfig) -> Tenancy:
        hosts = self._fitting(needs)
        hope = max(_HOPE, *(float(host.boot_seconds) for host in hosts)) * scale()
        late = time.monotonic() + self._patience
        said = -_SAY_AGAIN
        hopeless = time.monotonic() + hope
        while True:
            reasons = []
            usable = passing = 0
            # A host that we had to leave comes last: it may be the only one that is left.
            for host in sorted(self._fitting(needs), key=lambda one: one.name in self._left):
                try:
                    self.tenancy = asyncio.run(
                        Tenancy.begin(
                            self.lab,
                            self._leases,
                            host.name,
                            images=self._images,
                            config=config,
                            say=self._say,
                        )
                    )
                    if self._has_indeed(self.tenancy, needs):
                        return self.tenancy
                    self.leave()
                    reasons += self._untruths([host], needs) or [f"{host.name} did not say what it has"]
                except HeldError as error:
                    usable += 1
                    reasons.append(str(error))
                except (QuarantinedError, CapabilityError) as error:
                    reasons.append(str(error))
                except SeabusError as error:
                    # A host that boots, or a coordinator that does, is back in a while.
                    self._left.setdefault(host.name, str(error))
                    passing += 1
                    reasons.append(str(error))
            if usable:
                hopeless = time.monotonic() + hope
            elif self._fitting(needs) and (not passing or time.monotonic() > hopeless):
                raise HostError(
                    f"no host of {self.lab.path} can be used",
                    hint="seabus lab who",
                    details={"reasons": "\n".join(reasons)},
                )
            if time.monotonic() > late:
                raise DeadlineError(
                    f"waited {self._patience:g} s for a lab host", details={"held": "\n".join(reasons)}
                )
            if time.monotonic() - said > _SAY_AGAIN:
                self._say(f"waiting for a lab host: {'; '.join(reasons)}")
                said = time.monotonic()
            time.sleep(_LOOK_AGAIN)  # keepers of leases tell nobody when one ends


async def _what_is_wrong(tenancy: Tenancy) -> str:
    """How a host is not the one that was taken, or empty; poison is not looked at: that may be ours."""
    if not tenancy.ssh.alive:
        return "the connection was lost"
    if not await answers(tenancy.ssh.run("true", within=PATIENCE)):
        return "it does not answer"
    try:
        now = await health.examine(tenancy.host.name, tenancy.ssh)
    except SeabusError as error:
        return f"it does not say how it is ({error})"
    if now.boot_id != tenancy.health.boot_id:
        return "it was booted meanwhile"
    if now.kernel != tenancy.health.kernel:
        return f"its kernel is {now.kernel}, and was {tenancy.health.kernel}"
    return ""


async def _untrue(tenancy: Tenancy, needs: Sequence[str]) -> list[str]:
    """Needed words that a probe of the host does not bear out; of others the lab file's word is taken."""
    found = []
    for word in needs:
        if word in tenancy.health.has:
            continue
        need = NEEDS.get(word)
        if word in _EXAMINED or (need and (await tenancy.ssh.run("sh", "-c", need.script)).exit != 0):
            found.append(word)
    return found


def _must_be_possible(config: WorldConfig) -> None:
    """A lab host is what it is: a test that wants another kind of host would pass for the wrong reason."""
    for field in dataclasses.fields(WorldConfig):
        if field.name.startswith(("l0_", "l1_")) and getattr(config, field.name) != field.default:
            raise CapabilityError(
                f"a lab host cannot be given {field.name}={getattr(config, field.name)}",
                hint="run it on emulated hosts",
                capability=field.name,
            )
    if config.l2_backing.startswith("hugetlb"):
        raise CapabilityError(
            f"no pages of hugetlbfs are set aside on a lab host, as l2_backing={config.l2_backing} needs",
            hint="run it on emulated hosts",
            capability="l2_backing",
        )
