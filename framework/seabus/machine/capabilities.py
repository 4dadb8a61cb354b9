# SPDX-License-Identifier: Apache-2.0
"""What an emulator can do, found by asking it."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seabus.errors import CapabilityError

_PROBE_SECONDS: Final = 20
_QUESTIONS: Final = "".join(
    json.dumps({"execute": name}) + "\n" for name in ("qmp_capabilities", "query-commands", "quit")
)


@dataclass(frozen=True, kw_only=True)
class EmulatorCapabilities:
    """Answers of one emulator binary.

    :param version: its own version line.
    :param machine: the versioned machine type that ``virt`` stands for.
    :param monitor_object: monitors are objects (``-mon`` warns that it is deprecated).
    :param commands: of its monitor.
    """

    version: str
    machine: str
    monitor_object: bool
    commands: tuple[str, ...] = ()


def probe(command: Sequence[str]) -> EmulatorCapabilities:
    """Ask an emulator.

    :raises CapabilityError: it does not start, or has no ``virt`` machine.
    """
    version = next(iter(_ask(command, "--version").splitlines()), "")
    if not version:
        raise CapabilityError(
            f"{command[-1]} does not tell its version",
            hint="l0_qemu wants a qemu-system-aarch64",
        )
    machines = _ask(command, "-machine", "help")
    alias = re.search(r"^virt\s.*\(alias of (virt-[\d.]+)\)", machines, re.MULTILINE)
    if alias is None:
        raise CapabilityError(
            f"{command[-1]} has no machine type `virt`",
            hint="l0_qemu wants a qemu-system-aarch64",
        )
    return EmulatorCapabilities(
        version=version,
        machine=alias.group(1),
        monitor_object="monitor-qmp" in _ask(command, "-object", "help"),
        commands=_commands(command),
    )


@dataclass(frozen=True, kw_only=True)
class OwnEmulator:
    """An emulator that a user brought.

    :param capabilities: its answers.
    :param libraries: a digest of the shared libraries that it is loaded with; of a script, its shell's.
    """

    capabilities: EmulatorCapabilities
    libraries: str


def own(program: Path) -> OwnEmulator:
    """What a user's own emulator is now; asked once by a process, as long as its file is the same.

    Its file may be the same while what it starts, or is loaded with, was upgraded.

    :raises CapabilityError: it does not start, or has no ``virt`` machine.
    """
    try:
        status = program.stat()
    except OSError as error:
        raise CapabilityError(
            f"the emulator {program} cannot be read: {error.strerror}",
            hint="l0_qemu chooses another",
        ) from error
    return _own(program, status.st_mtime_ns, status.st_size)


@functools.cache
def _own(program: Path, modified_ns: int, size: int) -> OwnEmulator:
    del modified_ns, size  # they make it another one
    return OwnEmulator(capabilities=probe([str(program)]), libraries=_libraries(program))


def _libraries(program: Path) -> str:
    """The dynamic loader tells what it would load, and runs nothing (ld.so(8), LD_TRACE_LOADED_OBJECTS)."""
    told = _ask([str(program)], "--version", environment={"LD_TRACE_LOADED_OBJECTS": "1"})
    return _digest_of(told)


def _digest_of(told: str) -> str:
    """Of all libraries that the loader named."""
    total = hashlib.sha256()
    for name in sorted(set(re.findall(r"(/\S+) \(0x[0-9a-f]+\)", told))):
        try:
            content = Path(name).read_bytes()
        except OSError as error:
            raise CapabilityError(
                f"the emulator's library {name} cannot be read: {error.strerror}",
                hint="l0_qemu chooses another",
            ) from error
        total.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return total.hexdigest()


def _commands(command: Sequence[str]) -> tuple[str, ...]:
    """Of a machine without anything."""
    nothing = ("-nodefaults", "-machine", "none", "-display", "none", "-qmp", "stdio")
    for line in _ask(command, *nothing, said=_QUESTIONS).splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue  # a wrapper's own words
        answer = said.get("return") if isinstance(said, dict) else None
        if isinstance(answer, list):
            return tuple(sorted(entry["name"] for entry in answer))
    raise CapabilityError(f"{command[-1]} does not tell its monitor's commands", hint="run `seabus doctor`")


def _ask(
    command: Sequence[str], *arguments: str, said: str = "", environment: Mapping[str, str] | None = None
) -> str:
    try:
        result = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=False,
            input=said,
            env={**os.environ, **(environment or {})},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CapabilityError(
            f"the emulator {command[-1]} does not start: {error}",
            hint="run `seabus doctor`; l0_qemu chooses another",
        ) from error
    if result.returncode != 0:
        raise CapabilityError(
            f"the emulator {command[-1]} does not start",
            hint="run `seabus doctor`; l0_qemu chooses another",
            details={"its words": result.stderr[-2000:]},
        )
    return result.stdout
