# SPDX-License-Identifier: Apache-2.0
"""What becomes of the VMM where it, or its guest, cannot be saved."""

from __future__ import annotations

from typing import Final

from seabus.arch.addresses import VmmVirtual
from seabus.arch.sigbus import BusCode
from seabus.chains import guest, host
from seabus.chains.host import DELIVERED
from seabus.guest.translate import Addresses
from seabus.guest.vmm_memory import VmmPage
from seabus.judge.expectation import Expectation, Link

#: QEMU hw/acpi/ghes.c, ghes_record_cper_errors(): one record at a time for each source.
UNACKNOWLEDGED: Final = (
    "OSPM does not acknowledge previous error, so can not record CPER for current error anymore"
)
_SIGBUS: Final = 7
_SI_TKILL: Final = -6  # Linux include/uapi/asm-generic/siginfo.h

STRUCK: Final = Link(
    name="vmm-struck",
    level="L1",
    witness="trace",
    kind="sigbus",
    promise="the VMM, too, is signalled where it touches a lost page (Linux arch/arm64/mm/fault.c)",
)
KILLED: Final = Link(
    name="vmm-killed",
    level="L1",
    witness="process",
    kind="ended",
    promise="a thread that blocks SIGBUS, as QEMU's main thread does, dies of its own"
    " (Linux kernel/signal.c force_sig_info_to_task(), QEMU accel/kvm/kvm-all.c kvm_on_sigbus())",
)
RAISES: Final = Link(
    name="vmm-raises",
    level="L1",
    witness="trace",
    kind="sigbus",
    promise="a VMM that gets a SIGBUS while it has one to deal with has it kill itself"
    " (QEMU system/cpus.c sigbus_handler(), accel/kvm/kvm-all.c kvm_on_sigbus_vcpu())",
)
GIVES_UP: Final = Link(
    name="vmm-gives-up",
    level="L1",
    witness="process",
    kind="ended",
    promise="a VMM that cannot tell its guest of an error does not let it go on"
    " (QEMU target/arm/kvm.c kvm_arch_on_sigbus_vcpu())",
)
COMPLAINS: Final = Link(
    name="vmm-complains",
    level="L1",
    witness="vmm",
    kind="complaint",
    promise="an error in the VMM's own memory is none of its guest's"
    " (QEMU target/arm/kvm.c kvm_arch_on_sigbus_vcpu())",
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


def complains_of(address: VmmVirtual) -> Expectation:
    """The VMM says that a page of its own is lost."""
    words = f"Hardware memory error at addr {address} for memory used by QEMU itself instead of guest system!"
    return COMPLAINS(after=(host.VMM_TOLD,), what=words)


def is_killed(
    page: Addresses | VmmPage, *, vmm_pid: int, pending: bool = False, lsb: int = 12
) -> list[Expectation]:
    """Its main thread touches a lost page, and is killed.

    :param page: the one that it touches, anywhere in it.
    :param lsb: log2 of the bytes that are lost, all of which may be touched.
    :param pending: the SIGBUS that told it may wait to be taken still, and keep this one's siginfo out.
    """
    return [
        STRUCK(
            after=(host.RECORD,),
            code=int(BusCode.BUS_MCEERR_AR),
            tid=vmm_pid,
            result=(DELIVERED, host.ALREADY_PENDING) if pending else DELIVERED,
            lsb=lsb,
            page=int(page.vmm_virtual.page(lsb)),
        ),
        KILLED(after=(STRUCK,), who="VMM", signal=_SIGBUS, exit=None),
    ]


def lets_itself_be_killed() -> list[Expectation]:
    """A vCPU's thread is signalled a second time before it has told the guest of the first."""
    return [
        RAISES(after=(host.VCPU_STOPPED,), code=_SI_TKILL, comm="CPU 0/KVM", result=DELIVERED),
        KILLED(after=(RAISES,), who="VMM", signal=_SIGBUS, exit=None),
    ]


def gives_up(words: str = UNACKNOWLEDGED) -> Expectation:
    """It cannot tell its guest of an error, and ends by its own will, after a vCPU was stopped.

    :param words: the last line it wrote; by itself that the guest has not acknowledged an earlier error.
    """
    return GIVES_UP(after=(host.VCPU_STOPPED,), who="VMM", exit=1, signal=None, words=words)
