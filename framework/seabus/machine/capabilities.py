# SPDX-License-Identifier: Apache-2.0
"""What an emulator can do, found by asking it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
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
    version = _ask(command, "--version").splitlines()[0]
    machines = _ask(command, "-machine", "help")
    alias = re.search(r"^virt\s.*\(alias of (virt-[\d.]+)\)", machines, re.MULTILINE)
    if alias is None:
        raise CapabilityError(
            f"{command[-1]} has no machine type `virt`",
            hint="give a qemu-system-aarch64 with --l0-qemu",
        )
    return EmulatorCapabilities(
        version=version,
        machine=alias.group(1),
        monitor_object="monitor-qmp" in _ask(command, "-object", "help"),
        commands=_commands(command),
    )


def _commands(command: Sequence[str]) -> tuple[str, ...]:
    """Of a machine without anything."""
    nothing = ("-nodefaults", "-machine", "none", "-display", "none", "-qmp", "stdio")
    for line in _ask(command, *nothing, said=_QUESTIONS).splitlines():
        answer = json.loads(line).get("return")
        if isinstance(answer, list):
            return tuple(sorted(entry["name"] for entry in answer))
    raise CapabilityError(f"{command[-1]} does not tell its monitor's commands", hint="run `seabus doctor`")


def _ask(command: Sequence[str], *arguments: str, said: str = "") -> str:
    try:
        result = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=False,
            input=said,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CapabilityError(
            f"the emulator {command[-1]} does not start: {error}",
            hint="run `seabus doctor`; --l0-qemu chooses another",
        ) from error
    if result.returncode != 0:
        raise CapabilityError(
            f"the emulator {command[-1]} does not start",
            hint="run `seabus doctor`; --l0-qemu chooses another",
            details={"its words": result.stderr[-2000:]},
        )
    return result.stdout
