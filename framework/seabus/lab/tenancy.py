# SPDX-License-Identifier: Apache-2.0
"""A lab host that is ours for a while: leased, connected, known to be well, and with our agent on it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import threading
import time
from pathlib import Path
from typing import Any, Final

from seabus.errors import CapabilityError, HostError, LeaseLostError, SeabusError
from seabus.guest import vmm
from seabus.guest.vmm import VmmFiles
from seabus.images.guests import GuestImages
from seabus.images.store import Say
from seabus.lab import fence, hand_back, health
from seabus.lab.fence import Mark
from seabus.lab.health import Health
from seabus.lab.inventory import Lab, LabHost
from seabus.lab.lease import Leases, Record
from seabus.lab.ssh import SshHost
from seabus.lab.ssh_login import is_silence
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
        self.mark = Mark(token=token, keeper=leases.name)
        self.ssh: SshHost
        self.health: Health
        self.agent_argv: tuple[str, ...] = ()
        #: Of the configuration it was begun with; see :meth:`files_for`.
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
        self._latent = False
        self._images: GuestImages
        self._files: dict[tuple[Path, Path], VmmFiles] = {}
        self._lost: LeaseLostError | None = None
        self._renewed = _clock()
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
            tenancy._images = images
            await tenancy._furnish_or_go(config)
        except BaseException:
            await tenancy._leave()
            raise
        return tenancy

    async def permit(self, kind: str, pfn: int | None = None) -> None:
        """That the host may be broken now, in this way, by us.

        :raises CapabilityError: the lab file does not allow this kind for this host.
        :raises LeaseLostError: it is not ours any more.
        :raises HostError: it was rebooted since it was examined.
        """
        if kind not in self.host.faults:
            raise CapabilityError(
                f"the lab file does not allow {kind} on {self.host.name}",
                hint=f"add it to `faults` of [hosts.{self.host.name}], or ask for another host",
                capability=kind,
            )
        if self._lost:
            raise self._lost
        why = f"given {kind} under lease {self.token}"
        if pfn is not None:
            self.pfns.add(pfn)
        # What firmware was told to break may show only when somebody meets it.
        self._latent |= kind == "einj"
        try:
            self._soil(why)
            await fence.must_hold(self.host.name, self.ssh, self.mark, boot_id=self.health.boot_id, dirty=why)
        except LeaseLostError as error:
            self._lost = error
            raise

    @property
    def lost(self) -> bool:
        """Whether the lease is over, or was not renewed in time: the host may be somebody else's."""
        return self._lost is not None or _clock() - self._renewed > TTL

    async def files_for(self, config: WorldConfig) -> VmmFiles:
        """What the VMM of a configuration needs, on the host; copied there if it is not yet.

        :raises CapabilityError: the host has no QEMU, or no firmware for it.
        :raises DiskError: the host has no room.
        """
        kernel = config.l2_kernel or self._images.kernel
        initrd = config.l2_initrd or self._images.initrd("l2")
        if (kernel, initrd) not in self._files:
            self._files[kernel, initrd] = VmmFiles(
                program=self.host.qemu,
                firmware=self.host.firmware,
                kernel=await self._push(kernel, "l2-Image"),
                initrd=await self._push(initrd, "l2-initrd"),
            )
        return self._files[kernel, initrd]

    async def give_back(self, why: str = "") -> None:
        """Leave the host as it was, or rebooted, or known to be dirty; and let go of it.

        A host that is not ours any more is left as it is.

        :param why: it misbehaved, and must be rebooted whatever it says.
        :raises LeaseLostError: it was broken under a lease that is over: who has it now finds it dirty.
        :raises QuarantinedError: it could not be brought back.
        """
        try:
            if why:
                self._soil(why)
            if self._soiled:
                self._leases.check(self.host.name, self.token)
                left = [why] if why else await self._what_is_left()
                if not left and self._latent:
                    left = ["what EINJ has broken may not have been met yet"]
                if left:
                    self._say(f"{self.host.name}: not clean: {'; '.join(left)}")
                    await self._reach_again()
                    await self._bring_back()
                else:
                    self._leases.clean(self.host.name, self.token)
            await self._tidy_up()
        except LeaseLostError as error:
            self._lost = error
            raise
        finally:
            await self._leave()

    # Inside

    async def _enter(self) -> None:
        """Connect; a host that was left dirty, or does not answer, is rebooted first."""
        name = self.host.name
        record = self._leases.check(name, self.token)
        try:
            self.ssh = await SshHost.connect(self.host)
            self.health = await health.examine(name, self.ssh)
        except SeabusError as error:
            if not (record.broken or is_silence(error)):
                raise  # it is up, and somebody else, or not for us
            self._say(f"{name}: {error}")
            await self._bring_back()
        else:
            if dirty := await self._dirt(record):
                self._leases.soil(name, self.token, dirty, kernel="", tainted=0)
                self._say(f"{name}: not clean: {dirty}")
                await self._bring_back()
            elif record.dirty:
                self._leases.clean(name, self.token)
        self.health = dataclasses.replace(
            self.health,
            huge_pages=await hand_back.remember_huge_pages(self.ssh, self.health.huge_pages),
        )

    async def _dirt(self, record: Record) -> str:
        """Put the fence up on a host that answers; why it must be rebooted, or empty."""
        recorded = record.dirty if record.broken else ""
        try:
            health.must_be_usable(self.host.name, self.health)
        except CapabilityError:
            if not recorded:
                raise  # else it may be for what was done to it
        # Before its power is touched: whoever has it by another keeper of leases keeps it.
        known = await fence.put_up(self.host.name, self.ssh, self.mark)
        if recorded or known:
            return recorded or known
        if record.dirty:  # to be examined
            return "; ".join(hand_back.what_is_wrong(self.health, record))
        return (
            f"{self.health.corrupted_kib} KiB of its memory are poisoned" if self.health.corrupted_kib else ""
        )

    async def _bring_back(self) -> None:
        self.ssh, self.health = await hand_back.bring_back(
            self.host,
            self._leases,
            self.mark,
            self._leases.check(self.host.name, self.token),
            reached=getattr(self, "ssh", None),
            boots={self.health.boot_id} if hasattr(self, "health") else set(),
            say=self._say,
        )

    async def _reach_again(self) -> None:
        """A lost connection says nothing about the host: if it answers, it is asked whose it is."""
        if not self.ssh.alive:
            with contextlib.suppress(SeabusError):
                again = await SshHost.connect(self.host)
                await self.ssh.close()
                self.ssh = again

    async def _what_is_left(self) -> list[str]:
        return await hand_back.is_clean(self.ssh, self.mark, self.health, self.pfns)

    async def _tidy_up(self) -> None:
        """Take what is ours off the host, and the fence down, if it is still ours to do so."""
        name = self.host.name
        try:
            self._leases.check(name, self.token)
            await fence.must_hold(name, self.ssh, self.mark)
            await hand_back.tidy(self.ssh, self.host)
            await fence.take_down(name, self.ssh, self.mark)
        except SeabusError as error:
            # With its fence up, the next holder takes it for dirty.
            if isinstance(error, LeaseLostError):
                self._lost = error
            self._say(f"{name}: left as it is: {error}")

    async def _furnish_or_go(self, config: WorldConfig) -> None:
        try:
            await self._furnish(config)
        except SeabusError:
            await self._tidy_up()  # nothing was broken: it need not be rebooted by the next one
            raise

    async def _furnish(self, config: WorldConfig) -> None:
        self.ssh.must_succeed(await self.ssh.run("mkdir", "-p", self.host.folder))
        agent = await self._push(self._images.agent, "seabus-agent", mode=0o755)
        self.agent_argv = (agent, "--stdio", "--may-poison", "--idle", str(_IDLE))
        files = await self.files_for(config)
        for path in (files.program, files.firmware):
            if (await self.ssh.run("test", "-r", path)).exit != 0:
                raise CapabilityError(
                    f"lab host {self.host.name} has no {path}",
                    hint="install QEMU and its UEFI there, or say where they are: `qemu`, `firmware`",
                )
        self.monitor_object = await boot.has_monitor_object(self.ssh, files.program)

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
                asked = _clock()
                self._leases.renew(self.host.name, self.token, ttl=TTL)
                self._renewed = asked
            except LeaseLostError as error:
                self._lost = error
                return
            except (SeabusError, OSError) as error:
                # Who keeps the leases is asked again, a full disk as well; if it stays so the lease runs out.
                self._say(f"{self.host.name}: {error}")


def _clock() -> float:
    """Seconds, those counted in which this computer was asleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
