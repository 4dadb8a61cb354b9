# SPDX-License-Identifier: Apache-2.0
"""What becomes of the VMM itself: it gives up, or says that it will not do what it was asked."""

from __future__ import annotations

from typing import Final

from seabus.chains import guest, host
from seabus.judge.expectation import Expectation, Link

GIVES_UP: Final = Link(
    name="vmm-gives-up",
    level="L1",
    witness="process",
    kind="ended",
    promise="a VMM that cannot tell its guest of an error must not let it run on (QEMU target/arm/kvm.c"
    " kvm_arch_on_sigbus_vcpu())",
)

REFUSES: Final = Link(
    name="vmm-refuses",
    level="L1",
    witness="monitor",
    kind="answer",
    promise="what cannot be read cannot be migrated, and the VMM says so (QEMU migration/migration.c"
    " migrate_prepare(): kvm_hwpoisoned_mem())",
)
AGREES: Final = Link(
    name="vmm-agrees",
    level="L1",
    witness="monitor",
    kind="answer",
    promise="what is whole again can be migrated (QEMU accel/kvm/kvm-all.c kvm_unpoison_all())",
)
MIGRATED: Final = Link(
    name="guest-migrated",
    level="L1",
    witness="monitor",
    kind="migrated",
    promise="each page of the guest was read and written out (QEMU migration/ram.c)",
)
REMAPPED: Final = Link(
    name="vmm-remaps",
    level="L1",
    witness="pagemap",
    kind="moved",
    promise="a reset gives the guest a new page for each that is lost"
    " (QEMU system/physmem.c qemu_ram_remap())",
)
BOOTED: Final = Link(
    name="guest-lives-anew",
    level="L2",
    witness="agent",
    kind="booted",
    promise="a guest can be booted again after an error",
)


def lives_anew() -> Expectation:
    """The guest was booted again, and its agent answers."""
    return BOOTED(after=(guest.UNMAPPED,), another_life=True)


def refuses(command: str, *, why: str) -> Expectation:
    """The VMM refuses, in these words, and lives on."""
    return REFUSES(after=(host.UNMAPPED,), command=command, refused=why)


def migrates() -> list[Expectation]:
    """The VMM agrees to migrate its guest, and does."""
    return [
        AGREES(after=(BOOTED,), command="migrate", refused=None),
        MIGRATED(after=(AGREES,), command="migrate", status="completed", why=None),
    ]


def gives_up(words: str) -> Expectation:
    """The VMM ends by its own will, after a vCPU was stopped.

    :param words: the last line it wrote.
    """
    return GIVES_UP(after=(host.VCPU_STOPPED,), who="VMM", words=words)
