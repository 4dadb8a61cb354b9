# SPDX-License-Identifier: Apache-2.0
"""A lab made of emulators: each host is an L1 with a network interface and sshd, and can be power-cycled.

Everything from the SSH connection on is what it would be with servers in a rack; only the addresses differ.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from seabus.errors import HostError, SeabusError
from seabus.images import emulator, guests
from seabus.images.store import Say, Store
from seabus.lab.keys import KeyPair, new_key_pair
from seabus.machine import capabilities
from seabus.machine.argv import Boot, l1_append
from seabus.machine.config import WorldConfig
from seabus.patience import deadline
from seabus.world import boot
from seabus.world.world import EmulatedWorld, Parts, emulated

#: A host that does not come up is one that power cycles cannot mend: nobody needs to wait longer.
#: Marks a folder that is ours to empty: a lab file may be anybody's.
_OURS: Final = ".emulated-lab"
_UP_SECONDS: Final = 240.0
#: The power switch says when a host is up: one that does not answer then has gone down again.
_BOOT_SECONDS: Final = 90
_SSHD_CONFIG: Final = """\
Port 22
HostKey /etc/ssh/host_key
PasswordAuthentication no
UseDNS no
ClientAliveInterval 15
Subsystem sftp /usr/lib/openssh/sftp-server
"""
_NETWORK: Final = """\
set -e
modprobe virtio_net
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
chmod 600 /etc/ssh/host_key
chmod 700 /root /root/.ssh
/usr/sbin/sshd -f /etc/ssh/sshd_config
"""


@dataclass
class EmulatedHost:
    """One host of the lab.

    :param folder: keeps its console and its emulator's words.
    :param port: on the loopback address, leads to its sshd.
    """

    name: str
    folder: Path
    port: int
    key: KeyPair
    up: asyncio.Event = field(default_factory=asyncio.Event)
    off: asyncio.Event = field(default_factory=asyncio.Event)
    on: asyncio.Event = field(default_factory=asyncio.Event)
    failure: SeabusError | None = None

    @property
    def console(self) -> Path:
        return self.folder / "console-l1.log"


class EmulatedLab:
    """The hosts, and the power switch of each. Made by :meth:`open`."""

    def __init__(self, folder: Path, parts: Parts, cold: Boot, user: KeyPair, say: Say) -> None:
        self.folder = folder
        #: Leases go by it: another lab in a folder of the same name has other hosts, in another state.
        self.name = f"{folder.name}-{secrets.token_hex(4)}"
        self.hosts: dict[str, EmulatedHost] = {}
        self._parts = parts
        self._cold = cold
        self._user = user
        self._say = say

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, folder: Path, names: Sequence[str], *, say: Say, config: WorldConfig | None = None
    ) -> AsyncIterator[EmulatedLab]:
        """Hosts that are up, and ``lab.toml`` in an empty folder; everything ends with the body.

        Images must have been built before (``seabus image build``).

        :raises BootError: a host does not come up.
        """
        parts, cold = _ingredients(config or WorldConfig(), folder, say)
        lab = cls(folder, parts, cold, new_key_pair(), say)
        identity = folder / "id_lab"
        identity.touch(mode=0o600)
        identity.write_text(lab._user.private)
        tasks = []
        for name in names:
            place = folder / name
            place.mkdir()
            lab.hosts[name] = EmulatedHost(name, place, _free_port(), new_key_pair())
            lab.hosts[name].on.set()
            tasks.append(asyncio.create_task(lab._keep(lab.hosts[name]), name=name))
        server = await asyncio.start_unix_server(lab._serve, folder / "power")
        try:
            for host in lab.hosts.values():
                await lab.wait_up(host)
            (folder / "lab.toml").write_text(lab.lab_file())
            yield lab
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def lab_file(self) -> str:
        """The text of the lab file."""
        power = [sys.executable, "-m", "seabus", "lab", "emulated-power", str(self.folder / "power")]
        text = f"[lab]\nname = {json.dumps(self.name)}\n"
        for host in self.hosts.values():
            text += (
                f"\n[hosts.{host.name}]\n"
                'address = "127.0.0.1"\n'
                f"port = {host.port}\n"
                'user = "root"\n'
                f"identity = {json.dumps(str(self.folder / 'id_lab'))}\n"
                f"host-key = {json.dumps(host.key.public)}\n"
                'faults = ["hard-offline", "hwpoison-inject", "madvise", "soft-offline"]\n'
                f"boot-seconds = {_BOOT_SECONDS}\n"
                f"power-cycle = {json.dumps([*power, host.name, 'cycle'])}\n"
                f"console = {json.dumps(['tail', '-n', '+1', '-F', str(host.console)])}\n"
            )
        return text

    async def wait_up(self, host: EmulatedHost) -> None:
        """Until its sshd answers.

        :raises SeabusError: why it never will.
        """
        async with deadline(_UP_SECONDS, f"lab host {host.name} to come up"):
            await host.up.wait()
        if host.failure:
            raise host.failure

    async def switch(self, name: str, verb: str) -> None:
        """The power switch: ``off``, ``on`` or ``cycle``; returns when that is done, up or down.

        :raises HostError: no such host or verb.
        """
        if name not in self.hosts or verb not in ("off", "on", "cycle"):
            raise HostError(f"there is no {verb} of a host {name}", hint="off, on or cycle, and its name")
        host = self.hosts[name]
        if verb in ("off", "cycle"):
            host.on.clear()
            host.up.clear()
            host.off.set()
        if verb in ("on", "cycle"):
            host.on.set()
            await self.wait_up(host)

    async def _keep(self, host: EmulatedHost) -> None:
        """Run a host whenever its power is on."""
        while True:
            await host.on.wait()
            host.off.clear()
            host.failure = None
            try:
                await self._run(host)
            except SeabusError as error:
                host.failure = error
                host.on.clear()
                host.up.set()
                self._say(f"{host.name}: {error}")

    async def _run(self, host: EmulatedHost) -> None:
        ram = host.folder / "ram"
        ram.unlink(missing_ok=True)
        if host.console.exists():
            host.console.rename(host.console.with_suffix(".log.before"))
        cold = Boot(
            kernel=self._cold.kernel,
            initrd=self._cold.initrd,
            append=self._cold.append,
            ssh_port=host.port,
        )
        async with emulated(
            self._parts, purpose=f"lab {host.name}", ram=ram, artefacts=host.folder, boot=cold
        ) as world:
            ram.unlink()  # it lives as long as the emulator does
            await boot.boot_l1(world, say=lambda text: self._say(f"{host.name}: {text}"))
            await self._open_door(world, host)
            host.up.set()
            self._say(f"{host.name}: up, port {host.port}")
            ends = [asyncio.create_task(world.process.ended()), asyncio.create_task(host.off.wait())]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in ends:
                    end.cancel()
            if not host.off.is_set():
                # A panic resets the machine, and `-no-reboot` ends the emulator: like a server, it comes up
                # again when somebody presses the button.
                host.on.clear()
                host.up.clear()
                self._say(f"{host.name}: went down by itself")

    async def _open_door(self, world: EmulatedWorld, host: EmulatedHost) -> None:
        for path, text in (
            ("/etc/ssh/sshd_config", _SSHD_CONFIG),
            ("/etc/ssh/host_key", host.key.private),
            ("/root/.ssh/authorized_keys", f"{self._user.public}\n"),
        ):
            (await world.l1.run("mkdir", "-p", str(Path(path).parent))).must_succeed()
            await world.l1.write(path, text.encode(), mode=0o600)
        (await world.l1.run("sh", "-c", _NETWORK, within=60)).must_succeed()
        async with deadline(_UP_SECONDS, f"sshd of lab host {host.name}"):
            # A forwarded port is open before anybody listens behind it.
            while not await _greets(host.port):  # noqa: ASYNC110 - a server far away sets no event here
                await asyncio.sleep(0.1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection: ``NAME VERB``; the answer is ``ok`` or a reason."""
        try:
            name, _, verb = (await reader.readline()).decode().strip().partition(" ")
            await self.switch(name, verb)
            answer = "ok"
        except SeabusError as error:
            answer = str(error)
        with contextlib.suppress(ConnectionError):
            writer.write(f"{answer}\n".encode())
            await writer.drain()
        writer.close()


async def _greets(port: int) -> bool:
    """Whether an SSH server says its name."""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return (await reader.readline()).startswith(b"SSH-")
        finally:
            writer.close()
    return False


def press(switch: Path, name: str, verb: str) -> None:
    """Use the power switch of a host, from another process.

    :raises HostError: it cannot be reached, or answers anything but success.
    """
    try:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(_UP_SECONDS)
            wire.connect(str(switch))
            wire.sendall(f"{name} {verb}\n".encode())
            answer = wire.makefile().readline().strip()
    except OSError as error:
        raise HostError(
            f"the power switch {switch} does not answer: {error}", hint="is `seabus lab emulate` running?"
        ) from error
    if answer != "ok":
        raise HostError(f"{name} cannot be switched {verb}: {answer or 'no answer'}")


def _ingredients(config: WorldConfig, folder: Path, say: Say) -> tuple[Parts, Boot]:
    store = Store()
    image, guest_images = emulator.get(store, say=say), guests.get(store, say=say)
    initrd = folder / "initrd"
    boot.write_l1_initrd(
        initrd,
        guest_images.initrd("l1"),
        l2_kernel=guest_images.kernel,
        l2_initrd=guest_images.initrd("l2"),
        l1_qemu=None,
    )
    parts = Parts(
        command=image.command,
        firmware=image.firmware,
        config=config,
        capabilities=capabilities.probe(image.command),
    )
    return parts, Boot(kernel=guest_images.kernel, initrd=initrd, append=l1_append(config))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def clear(folder: Path) -> Path:
    """An empty folder for a lab, made or emptied.

    :raises HostError: there is something else in it.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _OURS).exists():
        raise HostError(f"{folder} is neither empty nor a lab of emulators", hint="name another folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _OURS).touch()
    return folder
