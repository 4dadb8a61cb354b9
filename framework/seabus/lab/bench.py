# SPDX-License-Identifier: Apache-2.0
"""One worker's place in a lab: it holds one host at a time, and changes it when a test needs another."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from seabus.errors import CapabilityError, DeadlineError, HeldError, HostError, QuarantinedError, SeabusError
from seabus.images.guests import GuestImages
from seabus.images.store import Say
from seabus.lab import keeper
from seabus.lab.inventory import Lab, LabHost
from seabus.lab.lease import Leases
from seabus.lab.tenancy import Tenancy
from seabus.lab.world import on_host
from seabus.machine.config import WorldConfig
from seabus.patience import scale
from seabus.session.session import Session

_LOOK_AGAIN: Final = 1.0
_SAY_AGAIN: Final = 10.0
#: Seconds that all hosts, or the keeper of their leases, may be out of reach.
_HOPE: Final = 120.0


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
        self._images = images
        self._leases: Leases = keeper.of(lab)
        self._first = number % len(lab.hosts)
        self._patience = patience
        self._say = say
        self._avoid: set[str] = set()

    @contextlib.contextmanager
    def session(
        self, config: WorldConfig, needs: Sequence[str], *, artefacts: Path, injecting: bool = True
    ) -> Iterator[Session]:
        """A session on a host that has what is needed.

        A host that fails before anything was broken on it is left, and another one tried, once.

        :raises CapabilityError: no host of the lab has what is needed, or a host would have to be another.
        """
        _must_be_possible(config)
        with contextlib.ExitStack() as stack:
            try:
                session = stack.enter_context(self._opened(config, needs, artefacts, injecting))
            except (CapabilityError, DeadlineError):
                raise
            except SeabusError as error:
                self.leave(f"failed before a test: {error}")
                session = stack.enter_context(self._opened(config, needs, artefacts, injecting))
            try:
                yield session
            finally:
                self._look_after(session)

    def leave(self, why: str = "") -> None:
        """Give the present host back.

        :param why: it misbehaved; it must be rebooted, and is not taken again by us.
        """
        tenancy, self.tenancy = self.tenancy, None
        if tenancy is None:
            return
        if why:
            self._avoid.add(tenancy.host.name)
        try:
            asyncio.run(tenancy.give_back(why))
        except SeabusError as error:
            # It is dirty or in quarantine, and noted as such: the others go on.
            self._say(f"{tenancy.host.name}: {error}")

    def close(self) -> None:
        self.leave()
        self._leases.close()

    # Inside

    @contextlib.contextmanager
    def _opened(
        self, config: WorldConfig, needs: Sequence[str], artefacts: Path, injecting: bool
    ) -> Iterator[Session]:
        tenancy = self._settle(config, needs)
        with Session.over(
            on_host(tenancy, config, artefacts=artefacts, say=self._say), injecting=injecting
        ) as session:
            yield session

    def _look_after(self, session: Session) -> None:
        """After a test: a host that is not there any more must not be met by the next one."""
        if self.tenancy is None:
            return
        if session.stage.is_dead("L1"):
            self.leave("its kernel gave up during a test")
        elif not self.tenancy.ssh.alive:
            self.leave("the connection was lost during a test")

    def _settle(self, config: WorldConfig, needs: Sequence[str]) -> Tenancy:
        fitting = self._fitting(needs)
        if self.tenancy is not None and self.tenancy.host in fitting:
            return self.tenancy
        self.leave()
        self.tenancy = self._take(fitting, config)
        return self.tenancy

    def _fitting(self, needs: Sequence[str]) -> list[LabHost]:
        """Hosts that declare what is needed, in the order in which this worker looks at them."""
        hosts = list(self.lab.hosts.values())
        hosts = hosts[self._first :] + hosts[: self._first]
        fitting = [host for host in hosts if set(needs) <= {*host.capabilities, *host.faults}]
        if not fitting:
            raise CapabilityError(
                f"no host of {self.lab.path} has {', '.join(needs)}",
                hint="`capabilities` and `faults` of the lab file say what a host has",
                capability=next(iter(needs), ""),
            )
        return fitting

    def _take(self, hosts: Sequence[LabHost], config: WorldConfig) -> Tenancy:
        late = time.monotonic() + self._patience
        said = -_SAY_AGAIN
        hopeless = time.monotonic() + _HOPE * scale()
        while True:
            reasons = []
            usable = passing = 0
            # A host that we had to leave comes last: it may be the only one that is left.
            for host in sorted(hosts, key=lambda one: one.name in self._avoid):
                try:
                    return asyncio.run(
                        Tenancy.begin(
                            self.lab,
                            self._leases,
                            host.name,
                            images=self._images,
                            config=config,
                            say=self._say,
                        )
                    )
                except HeldError as error:
                    usable += 1
                    reasons.append(str(error))
                except (QuarantinedError, CapabilityError) as error:
                    reasons.append(str(error))
                except SeabusError as error:
                    # A host that boots, or a coordinator that does, is back in a while.
                    self._avoid.add(host.name)
                    passing += 1
                    reasons.append(str(error))
            if usable:
                hopeless = time.monotonic() + _HOPE * scale()
            elif not passing or time.monotonic() > hopeless:
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


def _must_be_possible(config: WorldConfig) -> None:
    """A lab host is what it is: a test that wants another kind of host would pass for the wrong reason."""
    for field in dataclasses.fields(WorldConfig):
        if field.name.startswith(("l0_", "l1_")) and getattr(config, field.name) != field.default:
            raise CapabilityError(
                f"a lab host cannot be given {field.name}={getattr(config, field.name)}",
                hint="run it on emulated hosts",
                capability=field.name,
            )
