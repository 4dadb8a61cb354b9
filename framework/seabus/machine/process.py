# SPDX-License-Identifier: Apache-2.0
"""The emulator process: started with limits, tied to our life, reaped before we return."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shlex
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import psutil

from seabus.errors import CapabilityError, MachineError
from seabus.patience import deadline

_QUIT_SECONDS: Final = 5.0
_LAST_BYTES: Final = 2000


class EmulatorProcess:
    """A running emulator.

    It dies with the *thread* that starts it (it is tied to us by a parent-death signal), so it is
    started by the event loop's own thread and never by a pool.

    :param stderr: the file that receives what the emulator says.
    """

    def __init__(self, process: asyncio.subprocess.Process, argv: Sequence[str], stderr: Path) -> None:
        self._process = process
        self._argv = argv
        self._stderr = stderr

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        *,
        descriptors: Iterable[int],
        stderr: Path,
        memory_mib: int,
        file_mib: int,
    ) -> EmulatorProcess:
        """Start and limit an emulator.

        :param memory_mib: address space it may use beyond what its program needs.
        :param file_mib: the largest file it may write, so that a console cannot fill the disk.
        :raises CapabilityError: it cannot be executed.
        """
        # First of all the tie to our life: QEMU's own `exit-with-parent` comes only after its 30 ms of
        # start-up, and whoever is killed in between leaves an emulator behind.
        argv = [_setpriv(), "--pdeathsig", "KILL", *argv]
        with stderr.open("ab") as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=tuple(descriptors),
                    start_new_session=True,  # Ctrl-C is for us; we end it in our own order
                    # Python ignores SIGXFSZ: inherited, a log at its limit is an error, not a death.
                    restore_signals=False,
                )
            except OSError as error:
                raise CapabilityError(
                    f"cannot execute {argv[0]}: {error.strerror}", hint="run `seabus doctor`"
                ) from error
        with contextlib.suppress(psutil.NoSuchProcess):
            child = psutil.Process(process.pid)
            for kind, limit in (
                (psutil.RLIMIT_AS, (memory_mib + 6144) << 20),
                (psutil.RLIMIT_FSIZE, file_mib << 20),
                (psutil.RLIMIT_CORE, 0),
                (psutil.RLIMIT_NOFILE, 256),
            ):
                hard = child.rlimit(kind)[1]
                ceiling = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
                child.rlimit(kind, (ceiling, ceiling))
        return cls(process, argv, stderr)

    @property
    def pid(self) -> int:
        return self._process.pid

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

    async def kill(self) -> None:
        """End it at once and reap it; a clone has nothing to save."""
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


def _setpriv() -> str:
    program = shutil.which("setpriv")
    if program is None:
        raise CapabilityError(
            "there is no setpriv, which ties an emulator to our life",
            hint="sudo apt-get install util-linux",
        )
    return program
