# SPDX-License-Identifier: Apache-2.0
"""A lab host that is ours for a while: leased, connected, known to be well, and with our agent on it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from pathlib import Path
from typing import Any, Final

from seabus.errors import CapabilityError, HostError, LeaseLostError, SeabusError
from seabus.guest import vmm
from seabus.guest.vmm import VmmFiles
from seabus.images.guests import GuestImages
from seabus.images.store import Say
from seabus.lab import fence, hand_back, health
from seabus.lab.health import Health
from seabus.lab.inventory import Lab, LabHost
from seabus.lab.lease import Leases
from seabus.lab.ssh import SshHost
from seabus.machine.config import WorldConfig
from seabus.world import boot

#: Seconds after which a lease ends if its holder says nothing; it does three times as often.
TTL: Final = 60.0
#: Seconds after which our agent on the host ends if we say nothing.
_IDLE: Final = 60
_PUSH_SECONDS: Final = 600.0


class Tenancy:
    """See the module. Made by :meth:`begin`; ended by :meth:`give_back`.

    Its coroutines may be awaited in any event loop, one after the other.
    """

    def __init__(self, host: LabHost, leases: Leases, token: int, say: Say) -> None:
        self.host = host
        self.token = token
        self.ssh: SshHost
        self.health: Health
        self.agent_argv: tuple[str, ...] = ()
        self.files: VmmFiles
        #: How the monitors of the host's QEMU are asked for.
        self.monitor_object = False
        self.worlds = 0
        #: What is known of the guests whose state is kept on the host.
        self.frozen: dict[WorldConfig, dict[str, Any]] = {}
        #: Page frames that may be poisoned.
        self.pfns: set[int] = set()
        self._leases = leases
        self._say = say
        self._soiled = False
        self._lost: SeabusError | None = None
        self._ending = threading.Event()
        self._beats = threading.Thread(target=self._beat, name=f"lease of {host.name}", daemon=True)

    @classmethod
    async def begin(
        cls, lab: Lab, leases: Leases, name: str, *, images: GuestImages, config: WorldConfig, say: Say
    ) -> Tenancy:
        """Take a host and make it ready.

        :raises HeldError: somebody has it.
        :raises QuarantinedError: it is out of order.
        :raises HostError: it cannot be used; it is free again.
        """
        host = lab.host(name)
        tenancy = cls(host, leases, leases.acquire(name, ttl=TTL), say)
        tenancy._beats.start()
        try:
            await tenancy._enter()
            await tenancy._furnish(images, config)
        except BaseException:
            await tenancy._leave()
            raise
        return tenancy

    async def permit(self, kind: str, pfn: int | None = None) -> None:
        """That the host may be broken now, in this way, by us.

        :raises CapabilityError: the lab file does not allow this kind for this host.
        :raises LeaseLostError: it is not ours any more.
        """
        if kind not in self.host.faults:
            raise CapabilityError(
                f"the lab file does not allow {kind} on {self.host.name}",
                hint=f"add it to `faults` of [hosts.{self.host.name}], or ask for another host",
                capability=kind,
            )
        if self._lost:
            raise self._lost
        self._soil(f"given {kind} under lease {self.token}")
        if pfn is not None:
            self.pfns.add(pfn)
        await fence.must_hold(self.host.name, self.ssh, self.token)

    async def give_back(self, why: str = "") -> None:
        """Leave the host as it was, or rebooted, or known to be dirty; and let go of it.

        :param why: it misbehaved, and must be rebooted whatever it says.
        :raises QuarantinedError: it could not be brought back.
        """
        try:
            if why:
                self._soil(why)
            if self._soiled:
                left = [why] if why else await hand_back.is_clean(self.ssh, self.health, self.pfns)
                record = self._leases.check(self.host.name, self.token)
                if left:
                    self._say(f"{self.host.name}: not clean: {'; '.join(left)}")
                    await self.ssh.close()
                    self.ssh, _ = await hand_back.bring_back(
                        self.host, self._leases, self.token, record, say=self._say
                    )
                else:
                    self._leases.clean(self.host.name, self.token)
            with contextlib.suppress(SeabusError):
                await hand_back.tidy(self.ssh, self.host)
                await fence.take_down(self.ssh, self.token)
        finally:
            await self._leave()

    # Inside

    async def _enter(self) -> None:
        """Connect; a host that was left dirty, or does not answer, is rebooted first."""
        record = self._leases.check(self.host.name, self.token)
        if not record.dirty:
            self.ssh = await SshHost.connect(self.host)
            self.health = await health.examine(self.host.name, self.ssh)
        else:
            self.ssh, self.health = await hand_back.bring_back(
                self.host, self._leases, self.token, record, say=self._say
            )
        health.must_be_usable(self.host.name, self.health)
        await fence.put_up(self.host.name, self.ssh, self.token)

    async def _furnish(self, images: GuestImages, config: WorldConfig) -> None:
        folder = self.host.folder
        (await self.ssh.run("mkdir", "-p", folder)).must_succeed()
        agent = await self._push(images.agent, "seabus-agent", mode=0o755)
        self.agent_argv = (agent, "--stdio", "--may-poison", "--idle", str(_IDLE))
        self.files = VmmFiles(
            program=self.host.qemu,
            firmware=self.host.firmware,
            kernel=await self._push(config.l2_kernel or images.kernel, "l2-Image"),
            initrd=await self._push(config.l2_initrd or images.initrd("l2"), "l2-initrd"),
        )
        for path in (self.files.program, self.files.firmware):
            if (await self.ssh.run("test", "-r", path)).exit != 0:
                raise CapabilityError(
                    f"lab host {self.host.name} has no {path}",
                    hint="install QEMU and its UEFI there, or say where they are: `qemu`, `firmware`",
                )

        self.monitor_object = await boot.has_monitor_object(self.ssh, self.files.program)

    async def _push(self, local: Path, name: str, *, mode: int = 0o644) -> str:
        """A file of ours on the host, as its digest says; copied if it is not there."""
        data = await asyncio.to_thread(local.read_bytes)
        wanted = hashlib.sha256(data).hexdigest()
        path = f"{self.host.folder}/{name}-{wanted[:16]}"
        for candidate in (path, f"{vmm.FILES}/{name}"):
            if await self._digest(candidate) == wanted:
                return candidate
        self._say(f"{self.host.name}: copying {name}, {len(data) >> 20} MiB")
        await self.ssh.write(path, data, mode=mode, within=_PUSH_SECONDS)
        if await self._digest(path) != wanted:
            raise HostError(
                f"{path} on lab host {self.host.name} is not what was sent",
                hint="is its disk full, or broken?",
            )
        return path

    async def _digest(self, path: str) -> str:
        result = await self.ssh.run("sha256sum", path, within=120)
        return result.text.split(" ")[0] if result.exit == 0 else ""

    async def _leave(self) -> None:
        self._ending.set()
        await asyncio.to_thread(self._beats.join)
        if hasattr(self, "ssh"):
            await self.ssh.close()
        self._leases.release(self.host.name, self.token)

    def _soil(self, why: str) -> None:
        self._leases.soil(
            self.host.name, self.token, why, kernel=self.health.kernel, tainted=self.health.tainted
        )
        self._soiled = True

    def _beat(self) -> None:
        while not self._ending.wait(TTL / 3):
            try:
                self._leases.renew(self.host.name, self.token, ttl=TTL)
            except LeaseLostError as error:
                self._lost = error
                return
            except SeabusError as error:
                # Who keeps the leases is asked again; if it stays silent the lease runs out.
                self._say(f"{self.host.name}: {error}")
