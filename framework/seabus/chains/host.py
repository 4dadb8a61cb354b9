# SPDX-License-Identifier: Apache-2.0
"""What the host (L1) owes: it believes firmware, takes the page away, and tells the VMM - at once, and again
when the guest touches the page."""

from __future__ import annotations

from typing import Any, Final

from seabus.arch.sigbus import BusCode
from seabus.faults.record import MemoryRecord
from seabus.guest.translate import Addresses
from seabus.judge.expectation import Expectation, Link

#: GHES source id that QEMU's `virt` gives to records injected by QMP (QEMU include/hw/acpi/ghes.h).
SOURCE_QMP: Final = 1
#: A signal that was not ignored, and not lost (Linux include/trace/events/signal.h).
DELIVERED: Final = 0

RECORD: Final = Link(
    name="host-record",
    level="L1",
    witness="kernel-log",
    kind="ghes",
    promise="firmware's record reaches the host kernel (Linux drivers/acpi/apei/ghes.c)",
)
VMM_TOLD: Final = Link(
    name="vmm-told",
    level="L1",
    witness="trace",
    kind="sigbus",
    promise="a VMM that asked for early kill is told at once (Linux mm/memory-failure.c)",
)
UNMAPPED: Final = Link(
    name="host-unmapped",
    level="L1",
    witness="trace",
    kind="memory_failure",
    promise="the page is taken away and never used again (Linux mm/memory-failure.c)",
)
VCPU_STOPPED: Final = Link(
    name="vcpu-stopped",
    level="L1",
    witness="trace",
    kind="sigbus",
    promise="KVM signals the thread whose guest touched it (Linux arch/arm64/kvm/mmu.c)",
)
ABORT_INJECTED: Final = Link(
    name="abort-injected",
    level="L1",
    witness="vmm-log",
    kind="exception",
    promise="the VMM puts an SEA into the guest (QEMU target/arm/kvm.c)",
)


def reports(record: MemoryRecord) -> Expectation:
    """The host's kernel logs the record that firmware left."""
    return RECORD(
        source=SOURCE_QMP,
        severity=record.severity.name.lower(),
        physical_address=int(record.address),
        fru_id=str(record.nonce),
    )


def loses_page(addresses: Addresses, *, vmm_pid: int) -> list[Expectation]:
    """memory_failure() takes a page of the guest away from the VMM, and tells it."""
    return [
        VMM_TOLD(after=(RECORD,), code=int(BusCode.BUS_MCEERR_AO), tid=vmm_pid, result=DELIVERED),
        UNMAPPED(after=(VMM_TOLD,), pfn=addresses.host_physical.pfn, result="Recovered"),
    ]


def stops_vcpu(*, esr: int, far: Any = 0, from_el: int = 0, l2_cpus: int = 1) -> list[Expectation]:  # noqa: ANN401
    """The guest touches the page: the vCPU's thread is signalled, and the VMM answers with an abort."""
    return [
        VCPU_STOPPED(
            after=(UNMAPPED,),
            code=int(BusCode.BUS_MCEERR_AR),
            comm=tuple(f"CPU {number}/KVM" for number in range(l2_cpus)),
            result=DELIVERED,
        ),
        ABORT_INJECTED(
            after=(VCPU_STOPPED,),
            exception="Data Abort",
            from_el=from_el,
            to_el=1,
            esr=esr,
            far=far,
        ),
    ]
