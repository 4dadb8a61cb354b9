# SPDX-License-Identifier: Apache-2.0
"""The emulator process: started with limits, tied to our life, reaped before we return."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shlex
import shutil
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import psutil

from seabus.errors import CapabilityError, MachineError
from seabus.machine import keeper
from seabus.machine.run_folder import RunFolder
from seabus.patience import deadline

_QUIT_SECONDS: Final = 5.0
_LAST_BYTES: Final = 2000
#: MiB of address space that an emulator's program needs for itself, translated code included.
OWN_MIB: Final = 6144
MOST_DESCRIPTORS: Final = 256


class EmulatorProcess:
    """A running emulator.

    It dies with the *thread* that starts it (it is tied to us by a parent-death signal), so it is
    started by the event loop's own thread and never by a pool.

    :param stderr: the file that receives what the emulator says.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        argv: Sequence[str],
        stderr: Path,
        *,
        keeping: socket.socket | None = None,
        pid: int | None = None,
    ) -> None:
        self._process = process
        self._argv = argv
        self._stderr = stderr
        self._keeping = keeping
        self._pid = pid or process.pid

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        *,
        descriptors: Iterable[int],
        stderr: Path,
        memory_mib: int,
        file_mib: int,
        keepable: RunFolder | None = None,
    ) -> EmulatorProcess:
        """Start and limit an emulator.

        :param memory_mib: address space it may use beyond what its program needs.
        :param file_mib: the largest file it may write, so that a console cannot fill the disk.
        :param keepable: its run folder, if it may have to outlive us (:meth:`keep`).
        :raises CapabilityError: it cannot be executed.
        """
        # First of all the tie to our life: QEMU's own `exit-with-parent` comes only after its 30 ms of
        # start-up, and whoever is killed in between leaves an emulator behind.
        argv = tied(argv)
        descriptors = tuple(descriptors)
        keeping, keepers = socket.socketpair() if keepable else (None, None)
        if keepable and keepers:
            started = keeper.command(
                argv,
                control=keepers.fileno(),
                lock=keepable.lock,
                folder=keepable.path,
                descriptors=descriptors,
            )
            inherited = (*descriptors, keepers.fileno(), keepable.lock)
        else:
            started, inherited = argv, descriptors
        with stderr.open("ab") as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *started,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=inherited,
                    start_new_session=True,  # Ctrl-C is for us; we end it in our own order
                    # Python ignores SIGXFSZ: inherited, a log at its limit is an error, not a death.
                    restore_signals=False,
                )
            except OSError as error:
                raise CapabilityError(
                    f"cannot execute {argv[0]}: {error.strerror}", hint="run `seabus doctor`"
                ) from error
        if keepers:
            keepers.close()
        pid = await _told(keeping) if keeping else process.pid
        _limit(pid, memory_mib=memory_mib, file_mib=file_mib)
        return cls(process, argv, stderr, keeping=keeping, pid=pid)

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    def command_line(self) -> str:
        """The argv, quoted for a shell."""
        return shlex.join(self._argv)

    def last_words(self) -> str:
        """The end of what it wrote to its standard error."""
        with contextlib.suppress(OSError):
            return self._stderr.read_bytes()[-_LAST_BYTES:].decode(errors="backslashreplace")
        return ""

    async def ended(self) -> int:
        """Wait for its end; the exit status, or minus the signal."""
        return await self._process.wait()

    def ended_error(self) -> MachineError:
        """The error to raise when it is gone and should not be."""
        code = self._process.returncode
        how = f"status {code}" if code is not None and code >= 0 else f"signal {-(code or 0)}"
        return MachineError(
            f"the L0 emulator ended by itself ({how})",
            hint="its own words and the consoles are in the artefacts",
            details={"L0 emulator": self.last_words()},
        )

    async def keep(self, seconds: float, *, beside: keeper.Beside | None = None) -> None:
        """Let it run on without us, for so long at most: it is its keeper's now.

        :param beside: run next to it, on our ends of its channels, once :meth:`kill` has let go of it.
        """
        assert self._keeping is not None, "started without a keeper"
        keeper.keep(self._keeping, seconds, beside)
        async with deadline(_QUIT_SECONDS, "the keeper to take the emulator over"):
            await self._process.wait()

    async def kill(self) -> None:
        """End it at once and reap it; a clone has nothing to save. One that was kept runs on."""
        if self._keeping:
            self._keeping.close()  # upon which the keeper ends it, and itself
        else:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        async with deadline(_QUIT_SECONDS, f"the killed emulator {self.pid} to end"):
            await self._process.wait()

    def private_mib(self) -> float:
        """Memory written by this process alone, in MiB; pages of the template are not counted."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "Private_Dirty":
                return int(value.split()[0]) / 1024
        return 0.0


async def _told(keeping: socket.socket) -> int:
    """The emulator's pid, from its keeper."""
    keeping.setblocking(False)
    async with deadline(_QUIT_SECONDS, "the keeper to start the emulator"):
        word = await asyncio.get_running_loop().sock_recv(keeping, 64)
    if not word:
        raise MachineError("the emulator's keeper ended", hint="see emulator.log in the artefacts")
    return int(word)


def _limit(pid: int, *, memory_mib: int, file_mib: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        child = psutil.Process(pid)
        for kind, limit in (
            (psutil.RLIMIT_AS, (memory_mib + OWN_MIB) << 20),
            (psutil.RLIMIT_FSIZE, file_mib << 20),
            (psutil.RLIMIT_CORE, 0),
            (psutil.RLIMIT_NOFILE, MOST_DESCRIPTORS),
        ):
            hard = child.rlimit(kind)[1]
            ceiling = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            child.rlimit(kind, (ceiling, ceiling))


def tied(argv: Sequence[str]) -> list[str]:
    """A command that is killed when the thread dies that starts it, and so never outlives us.

    :raises CapabilityError: there is no setpriv (util-linux).
    """
    program = shutil.which("setpriv")
    if program is None:
        raise CapabilityError(
            "there is no setpriv, which ties a program to our life",
            hint="sudo apt-get install util-linux",
        )
    return [program, "--pdeathsig", "KILL", *argv]
