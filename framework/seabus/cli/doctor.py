# SPDX-License-Identifier: Apache-2.0
"""``seabus doctor``: what this computer has and lacks, one line each, with the fix."""

from __future__ import annotations

import argparse
import json
import os
import platform
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import psutil

from seabus import folders
from seabus.errors import CapabilityError, SeabusError
from seabus.faults import record
from seabus.images import compiler, emulator, guests, recipe
from seabus.images.emulator import EmulatorImage
from seabus.images.store import Store
from seabus.machine import capabilities

Mark = Literal["ok", "note", "missing"]

_PACKAGES: Final = {"setpriv": "util-linux", "flock": "util-linux"}
_NEED_DISK_MIB: Final = 4096
#: Its kinds of world, about 1 GB each, and the images.
_CATALOGUE_MIB: Final = 12288
_NEED_MEMORY_MIB: Final = 3072
_ID_FILES: Final = (Path("/etc/subuid"), Path("/etc/subgid"))
#: What the images are made with that is no program: what it is, its package, and where it may be.
_FILES: Final = (
    (
        "Debian's archive keys",
        "debian-archive-keyring",
        ("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"),
    ),
    (
        "arm64 C library",
        "libc6-dev" if platform.machine() == "aarch64" else "libc6-dev-arm64-cross",
        ("/usr/aarch64-linux-gnu/lib/libc.a", "/usr/lib/aarch64-linux-gnu/libc.a"),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that was looked at."""

    mark: Mark
    thing: str
    found: str
    fix: str = ""


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "doctor",
        help="what this computer has and lacks",
        description="Look at all that Seabus needs, one line each, with the fix. Exit code 3: one is unmet.",
    )
    parser.add_argument("--json", action="store_true", help="a list of objects")
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    lines = [line for look in _LOOKS for line in _looked(look)]
    if arguments.json:
        print(json.dumps([asdict(line) for line in lines], indent=1))
    else:
        for line in lines:
            print(f"{line.mark:<8} {line.thing:<22} {line.found}")
            if line.fix:
                print(f"{'':<8} {'':<22} -> {line.fix}")
    return 3 if any(line.mark == "missing" for line in lines) else 0


def _looked(look: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    """What one look finds; one that fails is a line of its own and does not end the others."""
    try:
        yield from look()
    except SeabusError as error:
        yield Line(mark="missing", thing=look.__name__.strip("_"), found=error.message, fix=error.hint)
    except OSError as error:
        yield Line(mark="missing", thing=look.__name__.strip("_"), found=str(error), fix="see the message")


def _computer() -> Iterator[Line]:
    version = platform.python_version()
    yield Line(mark="ok", thing="python", found=version)
    try:
        found = f"{platform.machine()}, {os.cpu_count()} cores ({recipe.host_architecture()})"
        yield Line(mark="ok", thing="computer", found=found)
    except CapabilityError as error:
        yield Line(mark="missing", thing="computer", found=error.message, fix=error.hint)
    if sys.platform != "linux":
        yield Line(mark="missing", thing="system", found=sys.platform, fix="run on Linux")


def _tools() -> Iterator[Line]:
    for program in ("mmdebstrap", "setpriv", "flock"):
        path = shutil.which(program)
        if path:
            yield Line(mark="ok", thing=program, found=path)
        else:
            fix = f"sudo apt-get install {_PACKAGES.get(program, program)}"
            yield Line(mark="missing", thing=program, found="not installed", fix=fix)
    try:
        yield Line(mark="ok", thing="arm64 compiler", found=compiler.compiler())
    except CapabilityError as error:
        yield Line(mark="missing", thing="arm64 compiler", found=error.message, fix=error.hint)
    for thing, package, places in _FILES:
        there = next((place for place in places if Path(place).exists()), None)
        fix = "" if there else f"sudo apt-get install {package}"
        mark: Mark = "ok" if there else "missing"
        yield Line(mark=mark, thing=thing, found=there or "not installed", fix=fix)
    if os.geteuid() != 0:
        yield _user_namespaces()
        yield _subordinate_ids()


def _user_namespaces() -> Line:
    allowed = shutil.which("newuidmap") and (
        subprocess.run(["unshare", "--user", "true"], capture_output=True, check=False).returncode == 0
    )
    if allowed:
        return Line(mark="ok", thing="user namespaces", found="allowed: images build without root")
    return Line(
        mark="missing",
        thing="user namespaces",
        found="not allowed, or newuidmap is missing",
        fix="sudo apt-get install uidmap && sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    )


def _subordinate_ids() -> Line:
    """mmdebstrap looks the user's name up in both files, whatever else a directory knows."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    without = [
        str(file)
        for file in _ID_FILES
        if not file.exists() or not any(line.startswith(f"{user}:") for line in file.read_text().splitlines())
    ]
    if not without:
        return Line(mark="ok", thing="subordinate ids", found=f"{user} has some")
    return Line(
        mark="missing",
        thing="subordinate ids",
        found=f"no line for {user} in {' and '.join(without)}",
        fix=f"echo {user}:100000:65536 | sudo tee -a {' '.join(without)}   (a range that nobody else has)",
    )


def _room() -> Iterator[Line]:
    cache = folders.cache()
    free = shutil.disk_usage(cache).free >> 20
    fix = "free some room, `seabus image clean`, or set SEABUS_CACHE"
    enough = free >= _NEED_DISK_MIB
    mark: Mark = "ok" if free >= _CATALOGUE_MIB else "note" if enough else "missing"
    found = f"{free} MiB free in {cache}"
    if mark == "note":
        found += f": enough for `seabus run`; all kinds of world of the catalogue take {_CATALOGUE_MIB} MiB"
    yield Line(mark=mark, thing="disk", found=found, fix="" if enough else fix)
    memory = psutil.virtual_memory().available >> 20
    enough = memory >= _NEED_MEMORY_MIB
    yield Line(
        mark="ok" if enough else "missing",
        thing="memory",
        found=f"{memory} MiB available",
        fix="" if enough else "a boot uses about 2.5 GiB, each clone about 80 MiB of its own",
    )
    yield Line(mark="ok", thing="run folder", found=str(folders.running()))


def _kvm() -> Iterator[Line]:
    if platform.machine() != "aarch64":
        found = "not for arm64 on this computer: L0 is emulated (TCG), KVM runs inside it"
    elif Path("/dev/kvm").exists():
        found = "/dev/kvm is there; worlds are emulated (TCG) all the same"
    else:
        found = "no /dev/kvm; worlds are emulated (TCG)"
    yield Line(mark="note", thing="KVM", found=found)


def _images() -> Iterator[Line]:
    store = Store()
    for kind, inputs in (("emulator", emulator.inputs), ("guests", guests.inputs)):
        try:
            entry = store.find(kind, inputs())
        except SeabusError as error:
            yield Line(mark="note", thing=f"{kind} image", found=error.message, fix=error.hint)
            continue
        if entry is None:
            fix = "seabus image build (or just `seabus run`)"
            yield Line(mark="note", thing=f"{kind} image", found="not built yet", fix=fix)
            continue
        yield Line(mark="ok", thing=f"{kind} image", found=entry.path.name)
        if kind == "emulator":
            yield from _emulator(EmulatorImage(entry=entry))
    templates = sum(path.name.startswith("template-") for path in store.entries())
    yield Line(mark="note", thing="templates", found=f"{templates} in the cache")


def _emulator(image: EmulatorImage) -> Iterator[Line]:
    try:
        found = capabilities.probe(image.command)
        yield Line(mark="ok", thing="emulator", found=f"{found.version}, {found.machine}")
        record.check(found)
        yield Line(mark="ok", thing="record injection", found="inject-ghes-v2-error")
    except SeabusError as error:
        yield Line(mark="missing", thing="emulator", found=error.message, fix=error.hint)


_LOOKS: Final[tuple[Callable[[], Iterator[Line]], ...]] = (
    _computer,
    _tools,
    _room,
    _kvm,
    _images,
)
