# SPDX-License-Identifier: Apache-2.0
"""A lab host that is a folder: our scripts run for real, with the /proc, /sys, /dev and /run below it."""

from __future__ import annotations

import asyncio
import re
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from seabus.channel.interface import CommandResult
from seabus.errors import ChannelError, HostError, MachineError
from seabus.lab.inventory import LabHost

#: What begins the path of a file that a host has of its own.
_OWN = re.compile(r"(?<![\w.])/(proc|sys|run/seabus|dev/kvm|var/tmp/seabus)(?![\w-])")
# In place of the programs of a host; `kill` takes the process away as the kernel would.
_PROGRAMS = """
uname() { case "$1" in -m) echo aarch64 ;; *) cat "$root/kernel" ;; esac; }
id() { echo 0; }
modprobe() { :; }
kill() { rm -rf "$root/proc/$2"; echo "$2" >>"$root/killed"; }
"""


@dataclass
class FolderHost:
    """The host itself: what stays when nobody is connected.

    :param silent: it does not answer.
    :param swallows_power: power cycles change nothing.
    :param greeting: what its shells print at their start.
    """

    root: Path
    silent: bool = False
    swallows_power: bool = False
    greeting: str = ""
    ran: list[str] = field(default_factory=list)
    cycles: int = 0

    def __post_init__(self) -> None:
        for name in (
            "sys/devices/system/memory",
            "sys/kernel/debug/hwpoison",
            "sys/kernel/mm/transparent_hugepage",
            "sys/kernel/tracing/instances",
            "dev",
            "proc/sys/kernel/random",
        ):
            (self.root / name).mkdir(parents=True)
        (self.root / "sys/devices/system/memory/hard_offline_page").touch()
        (self.root / "dev/kvm").symlink_to("/dev/null")
        (self.root / "kernel").write_text("7.3.4\n")
        self.boots()

    def boots(self) -> None:
        """A new boot, sound and clean."""
        shutil.rmtree(self.root / "run", ignore_errors=True)
        (self.root / "run").mkdir()
        for process in self.root.glob("proc/[0-9]*"):
            shutil.rmtree(process)
        self.put("proc/sys/kernel/random/boot_id", str(uuid.uuid4()))
        self.put("proc/sys/kernel/tainted", "0")
        self.corrupt(0)
        self.put("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never")

    def put(self, path: str, text: str) -> None:
        (self.root / path).write_text(f"{text}\n")

    def corrupt(self, kib: int) -> None:
        self.put("proc/meminfo", f"MemTotal: 8000000 kB\nHardwareCorrupted: {kib} kB")

    def start(self, pid: int, exe: str, *argv: str) -> None:
        """A process, as far as /proc tells."""
        process = self.root / f"proc/{pid}"
        process.mkdir()
        (process / "exe").symlink_to(exe)
        arguments = [_OWN.sub(lambda found: f"{self.root}{found[0]}", one) for one in argv]
        (process / "cmdline").write_bytes(b"".join(one.encode() + b"\0" for one in arguments))

    @property
    def boot_id(self) -> str:
        return (self.root / "proc/sys/kernel/random/boot_id").read_text().strip()

    @property
    def here(self) -> set[str]:
        """The names of what is in /run/seabus."""
        folder = self.root / "run/seabus"
        return {one.name for one in folder.iterdir()} if folder.exists() else set()

    async def cycle(self, host: LabHost) -> None:
        """In place of :func:`seabus.lab.power.cycle`."""
        if not host.power_cycle:
            raise HostError(f"lab host {host.name} must be rebooted, and the lab file has no `power-cycle`")
        self.cycles += 1
        if not self.swallows_power:
            self.boots()
            self.silent = False


class FolderSsh:
    """A connection to it, in place of :class:`seabus.lab.ssh.SshHost`."""

    def __init__(self, host: LabHost, there: FolderHost) -> None:
        self.host = host
        self.there = there
        self.boot = there.boot_id
        self.closed = False

    @property
    def alive(self) -> bool:
        return not self.closed and not self.there.silent and self.boot == self.there.boot_id

    def must_succeed(self, result: CommandResult) -> CommandResult:
        return result.must_succeed()

    async def run(self, *argv: str, stdin: bytes | None = None, within: float = 0) -> CommandResult:
        del stdin, within
        if not self.alive:
            raise ChannelError("the connection was lost")
        root = self.there.root
        command = [_OWN.sub(lambda found: f"{root}{found[0]}", one) for one in argv]
        self.there.ran.append(" ".join(argv))
        if command[:2] == ["sh", "-c"]:
            command[2] = f"root={root}\n{_PROGRAMS}\n{command[2]}"
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
        output, errors = await process.communicate()
        output = f"{self.there.greeting}\n".encode() * bool(self.there.greeting) + output
        return CommandResult(argv=argv, exit=process.returncode, signal=None, stdout=output, stderr=errors)

    async def close(self) -> None:
        self.closed = True


def silence(host: LabHost) -> MachineError:
    """What connecting to a host that is off ends with."""
    return ChannelError(f"lab host {host.name} does not answer")
