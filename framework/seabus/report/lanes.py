# SPDX-License-Identifier: Apache-2.0
"""Who acts at which level: the lanes that an error travels through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from seabus.judge.expectation import Expectation
from seabus.observe.events import Event, Level


@dataclass(frozen=True, slots=True)
class Lane:
    """One who acts, or is acted upon."""

    level: Level
    who: str


FIRMWARE: Final = Lane("L0", "firmware")
HOST: Final = Lane("L1", "kernel")
PROCESS: Final = Lane("L1", "process")
VMM: Final = Lane("L1", "VMM")
GUEST: Final = Lane("L2", "kernel")
VICTIM: Final = Lane("L2", "victim")

#: From where errors come to where they go.
ORDER: Final = (FIRMWARE, HOST, PROCESS, VMM, GUEST, VICTIM)
#: Those that are shown whether anything happens there or not: that nothing does tells something.
ALWAYS: Final = (FIRMWARE, HOST, VMM, GUEST, VICTIM)
#: What the levels are.
LEVELS: Final[Mapping[Level, str]] = {"L0": "machine", "L1": "host", "L2": "guest"}

_OF_VMM: Final = frozenset(("vmm", "vmm-log", "process", "monitor"))
_OF_PROCESS: Final = frozenset(("victim", "bystander"))


def lane_of(event: Event | Expectation) -> Lane:
    """Where something happens, or should."""
    if event.level == "L0":
        return FIRMWARE
    if event.kind == "sigbus":
        return _signalled(event.level, event.fields)
    if event.witness in _OF_PROCESS:
        return PROCESS if event.level == "L1" else VICTIM
    if event.level == "L2":
        return GUEST
    # What is injected at L1 is done to its kernel, whichever way.
    return VMM if event.witness in _OF_VMM and event.kind != "inject" else HOST


def of_expectation(expected: Expectation) -> Lane:
    """Where something should have happened: of a signal its link tells whom it is for."""
    if expected.kind == "sigbus" and expected.level == "L1" and "comm" not in expected.fields:
        return PROCESS if "process" in (expected.link or expected.name) else VMM
    return lane_of(expected)


def _signalled(level: Level, fields: Mapping[str, Any]) -> Lane:
    """Whoever gets a signal: QEMU's threads are called after it, or after the vCPU that they run."""
    if level == "L2":
        return VICTIM
    names = fields.get("comm", "")
    comm = str(names[0] if isinstance(names, tuple) and names else names)
    return VMM if comm.startswith("qemu") or comm.endswith("/KVM") else PROCESS
