# SPDX-License-Identifier: Apache-2.0
"""The commands of the lab file that work on a host from outside: its power, and its console."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import IO, Final

from seabus.errors import HostError
from seabus.lab.inventory import LabHost
from seabus.machine.process import tied
from seabus.patience import deadline

_TAIL: Final = 1000


async def cycle(host: LabHost) -> None:
    """Take its power away and give it back.

    :raises HostError: there is no command for it, or it fails.
    """
    if not host.power_cycle:
        raise HostError(
            f"lab host {host.name} must be rebooted, and the lab file has no `power-cycle` for it",
            hint="reboot it by hand, then: seabus lab repaired " + host.name,
        )
    process = await _start(host, "power-cycle", host.power_cycle, asyncio.subprocess.PIPE)
    try:
        async with deadline(host.boot_seconds, f"{host.name}'s power-cycle"):
            output, _ = await process.communicate()
    except BaseException:
        _end(process)
        raise
    if process.returncode != 0:
        raise HostError(
            f"{host.name}'s power-cycle ended with status {process.returncode}",
            hint=f"try it by hand: {' '.join(host.power_cycle)}",
            details={"power-cycle": output[-_TAIL:].decode(errors="backslashreplace")},
        )


@contextlib.asynccontextmanager
async def console(host: LabHost, keep: Path) -> AsyncIterator[None]:
    """Record its console into a file while the body runs, if the lab file says how."""
    if not host.console:
        yield
        return
    with keep.open("ab") as output:
        process = await _start(host, "console", host.console, output)
        try:
            yield
        finally:
            _end(process)
            await process.wait()


async def _start(
    host: LabHost, key: str, argv: Sequence[str], output: int | IO[bytes]
) -> asyncio.subprocess.Process:
    """A command of the lab file, in a session of its own, and killed with us: nobody else would end it."""
    if shutil.which(argv[0]) is None:
        raise HostError(
            f"{host.name}'s {key} cannot be run: there is no program {argv[0]}",
            hint=f"correct `{key}` in the lab file, or install it",
        )
    return await asyncio.create_subprocess_exec(
        *tied(argv),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )


def _end(process: asyncio.subprocess.Process) -> None:
    # Its whole session: a console command may be a script.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
