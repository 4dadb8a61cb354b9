# SPDX-License-Identifier: Apache-2.0
"""What removes the folder of somebody who was killed: a process of 1 MiB that waits for a lock.

The kernel releases a lock when the last process that holds it is gone, however it went. The undertaker, in a
session of its own, has the lock's file open from the moment it is made, and waits with flock(1); then it ends
what still names the folder in its arguments (an emulator that was killed between fork and its tie to our
life) and removes the folder. Where the owner has cleared up by itself it finds nothing to do.

Should the undertaker be killed as well, the next start sweeps (:mod:`seabus.machine.run_folder`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path
from typing import Final

from seabus.errors import CapabilityError

_FOLDER: Final = "SEABUS_UNDERTAKER_FOLDER"
#: The folder goes by another name first, so that nobody takes it for a living one. It is named in the
#: environment: arguments are what is searched for. Twice, since who was just being started has no name yet.
_SCRIPT: Final = f"""
grave="${{{_FOLDER}%/*}}/.${{{_FOLDER}##*/}}"
[ -e "${_FOLDER}" ] || [ -e "$grave" ] || exit 0
[ -e "$grave" ] || mv "${_FOLDER}" "$grave"
for pause in 0.3 0; do
    for found in $(printf %s "${_FOLDER}/" | grep -lsaF -f - /proc/[0-9]*/cmdline); do
        found=${{found#/proc/}}
        kill -KILL "${{found%/cmdline}}"
    done
    sleep $pause
done
rm -rf "$grave"
"""


class Undertaker:
    """Waits from its construction on; to be dismissed before the lock is let go of.

    :param lock: the locked file.
    :param folder: what goes when nobody holds the lock any more.
    :raises CapabilityError: there is no flock(1).
    """

    def __init__(self, lock: Path, folder: Path) -> None:
        program = shutil.which("flock")
        if program is None:
            raise CapabilityError(
                "there is no flock, which clears up after a killed run",
                hint="sudo apt-get install util-linux",
            )
        self._graves = (folder, folder.with_name(f".{folder.name}"))
        files = [*[os.devnull] * 3, lock]
        self._pid = os.posix_spawn(
            program,
            # By its descriptor: the folder may be renamed before flock has come to open a path in it. And one
            # process alone waits: when that is reaped, nobody is left who might still get the lock.
            ["flock", "/proc/self/fd/3", "sh", "-c", _SCRIPT],
            {**os.environ, _FOLDER: str(folder)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, number, file, os.O_RDWR, 0) for number, file in enumerate(files)
            ],
            setsid=True,  # whoever kills our process group does not mean it
            setsigmask=(),
        )

    @property
    def pid(self) -> int:
        return self._pid

    def dismiss(self) -> None:
        """There is nothing left to bury: end it, and reap it.

        If there is, because whoever should have removed it had no descriptors left, it is left to do that.
        """
        if any(grave.exists() for grave in self._graves):
            return
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.killpg(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
