# SPDX-License-Identifier: Apache-2.0
"""What becomes of the VMM where it, or its guest, cannot be saved."""

from __future__ import annotations

from typing import Any, Final

from seabus.arch.addresses import VmmVirtual
from seabus.arch.sigbus import BusCode
from seabus.chains import host
from seabus.chains.host import DELIVERED
from seabus.judge.expectation import Expectation, Link

#: QEMU hw/acpi/ghes.c, ghes_record_cper_errors(): one record at a time for each source.
UNACKNOWLEDGED: Final = (
    "OSPM does not acknowledge previous error, so can not record CPER for current error anymore"
)
_SIGBUS: Final = 7

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
    promise="a thread that blocks SIGBUS dies of its own (Linux kernel/signal.c force_sig_info_to_task()),"
    " and QEMU's main thread does (QEMU accel/kvm/kvm-all.c kvm_on_sigbus())",
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


def complains_of(address: VmmVirtual) -> Expectation:
    """The VMM says that a page of its own is lost."""
    words = f"Hardware memory error at addr {address} for memory used by QEMU itself instead of guest system!"
    return COMPLAINS(after=(host.VMM_TOLD,), what=words)


def is_killed(*, vmm_pid: int, address: int | None = None, pending: bool = False) -> list[Expectation]:
    """Its main thread touches a lost page, and is killed.

    :param address: what it touches, if that is known to the byte.
    :param pending: the SIGBUS that told it may wait to be taken still, and keep this one's siginfo out.
    """
    where: dict[str, Any] = {} if address is None else {"address": address}
    return [
        STRUCK(
            after=(host.RECORD,),
            code=int(BusCode.BUS_MCEERR_AR),
            tid=vmm_pid,
            result=(DELIVERED, host.ALREADY_PENDING) if pending else DELIVERED,
            **where,
        ),
        KILLED(after=(STRUCK,), who="VMM", signal=_SIGBUS, exit=None),
    ]


def gives_up(words: str = UNACKNOWLEDGED) -> Expectation:
    """It cannot tell its guest of an error, and ends by its own will, after a vCPU was stopped.

    :param words: the last line it wrote; by itself that the guest has not acknowledged an earlier error.
    """
    return GIVES_UP(after=(host.VCPU_STOPPED,), who="VMM", exit=1, signal=None, words=words)
