# SPDX-License-Identifier: Apache-2.0
"""Fetches Debian packages with mmdebstrap and leaves them, extracted, in one tar file.

``--variant=extract`` runs no maintainer script, so a foreign architecture needs no emulation, and
nothing of this computer is changed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from seabus.errors import CapabilityError, ImageError
from seabus.images.recipe import Source
from seabus.images.store import Say
from seabus.patience import scale

# The backports suite lies beside the main one on whatever mirror mmdebstrap chose by itself.
_ADD_BACKPORTS: Final = (
    'sed -n "s/ {suite} main/ {suite}-backports main/p" "$1/etc/apt/sources.list"'
    ' >"$1/etc/apt/sources.list.d/backports.list"'
)
# dpkg's own database stays empty in an extracted tree; the manifest wants every version.
_RECORD_VERSIONS: Final = (
    'for deb in "$1"/var/cache/apt/archives/*.deb; do'
    ' dpkg-deb -W --showformat="\\${Package}\\t\\${Version}\\n" "$deb"; done'
    ' >"$1/seabus-packages"'
)
#: Told to end, or with us, all of its process group is told: mmdebstrap itself waits for what it started, and
#: then cleans up. What does not end by that is killed. This shell, the group's first, is the one to tell.
_TIED: Final = """
end() {
    child=$!
    trap '' TERM
    kill -TERM 0
    { sleep "$1"; kill -KILL 0; } >/dev/null 2>&1 &
    wait "$child"
    kill -KILL 0
}
grace=$1; shift
trap 'end "$grace"' TERM
"$@" &
wait $!
"""
_LAST_LINES: Final = 12
_CLEAN_UP_SECONDS: Final = 20
_FETCH_SECONDS: Final = 1800.0


def fetch(packages: Sequence[str], *, architecture: str, source: Source, tar: Path, say: Say) -> None:
    """Put packages and all they depend on into ``tar``.

    :raises CapabilityError: mmdebstrap is not installed, or may not be used by this user.
    :raises ImageError: it failed; its last lines are in the details.
    """
    program = shutil.which("mmdebstrap")
    if program is None:
        raise CapabilityError("mmdebstrap is not installed", hint="sudo apt-get install mmdebstrap")
    # fmt: off
    argv = [
        *(["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []),
        "sh", "-c", _TIED, "sh", str(_CLEAN_UP_SECONDS),
        program,
        "--variant=extract",                    # no maintainer scripts: nothing foreign is run
        f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
        "--format=tar",
        f"--architectures={architecture}",
        "--include=" + ",".join(packages),
        "--aptopt=APT::Install-Recommends \"false\"",
        f"--aptopt=APT::Default-Release \"{source.suite}-backports\"",
        "--aptopt=Acquire::Retries \"3\"",
        "--setup-hook=" + _ADD_BACKPORTS.format(suite=source.suite),
        "--extract-hook=" + _RECORD_VERSIONS,
        source.suite,
        "-",                                    # to our file: an unprivileged mmdebstrap may not open it
        *([f"deb {source.mirror} {source.suite} main"] if source.mirror else []),
    ]
    # fmt: on
    # Unprivileged mmdebstrap works as another user, who may not be able to reach our folder.
    scratch = tar.parent if os.geteuid() == 0 else Path(tempfile.gettempdir())
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with (
        tar.open("wb") as output,
        subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            cwd="/",
            env={**os.environ, "TMPDIR": str(scratch), "LC_ALL": "C.UTF-8"},
            process_group=0,  # it ends a failure with a SIGHUP for all of its group
        ) as process,
    ):
        assert process.stderr is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.terminate()

        watch = threading.Timer(_FETCH_SECONDS * scale(), give_up)
        watch.start()
        try:
            for raw in process.stderr:
                line = raw.decode(errors="replace").rstrip()
                last.append(line)
                if line.startswith("I: ") and line.endswith("..."):
                    say(f"{architecture} packages: {line[3:].rstrip('.')}")
        except BaseException:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2 * _CLEAN_UP_SECONDS)
            process.kill()
            raise
        finally:
            watch.cancel()
    if late.is_set():
        raise ImageError(
            f"mmdebstrap did not fetch the {architecture} packages"
            f" within {_FETCH_SECONDS * scale() / 60:g} min",
            hint="check the network, name a nearer mirror with SEABUS_MIRROR, or raise SEABUS_PATIENCE",
            details={"mmdebstrap": "\n".join(last)},
        )
    if process.returncode != 0:
        raise ImageError(
            f"mmdebstrap could not fetch the {architecture} packages (exit status {process.returncode})",
            hint=_advice("\n".join(last)),
            details={"mmdebstrap": "\n".join(last)},
        )


def _advice(text: str) -> str:
    if "No space left" in text:
        return "free some room, or set SEABUS_CACHE to a larger disk"
    if "failed to parse /etc/subuid" in text or "invalid idmap" in text:
        return (
            "a range of subordinate ids is missing: sudo usermod --add-subuids 100000-165535"
            ' --add-subgids 100000-165535 "$USER", or two lines by hand where the user is of a directory'
        )
    if "newuidmap" in text or "subuid" in text or "unshare" in text:
        return "an administrator must allow unprivileged user namespaces: sudo apt-get install uidmap"
    if "resolve" in text or "Failed to fetch" in text or "connect" in text.lower():
        return "check the network, or name a mirror with SEABUS_MIRROR"
    return "see the last lines below; SEABUS_MIRROR and SEABUS_SUITE choose another source"
