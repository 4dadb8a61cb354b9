# SPDX-License-Identifier: Apache-2.0
"""L2: what QEMU's guest agent sees, in a guest that somebody brought."""

from __future__ import annotations

from typing import Final

from seabus.chains.guest import RECORD, SOURCE_SEA, VICTIM_SIGNALLED
from seabus.guest.translate import Addresses
from seabus.judge.expectation import Expectation, Link

_SIGBUS: Final = 7

LOGGED: Final = Link(
    name="guest-log-by-qga",
    level="L2",
    witness="qga",
    kind="ghes",
    promise="an administrator finds the record in the kernel's log (Linux drivers/acpi/apei/ghes.c)",
)
PROGRAM_DIES: Final = Link(
    name="program-dies",
    level="L2",
    witness="qga",
    kind="ended",
    promise="a program that does not handle SIGBUS is killed by it (Linux Documentation/mm/hwpoison.rst)",
)


def logged(addresses: Addresses) -> Expectation:
    """The record in the guest's log."""
    return LOGGED(
        after=(RECORD,),
        source=SOURCE_SEA,
        severity="recoverable",
        physical_address=int(addresses.guest_physical),
    )


def program_dies() -> Expectation:
    """A program that does not handle SIGBUS is killed by it."""
    return PROGRAM_DIES(after=(VICTIM_SIGNALLED,), who="program", exit=None, signal=_SIGBUS)
