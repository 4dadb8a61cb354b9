# SPDX-License-Identifier: Apache-2.0
"""What a page of the guest that went bad and was consumed must cause, level by level, as data.

====  =======  ==================================================================================
 1    L1       the kernel reports the firmware's record (Linux drivers/acpi/apei/ghes.c)
 2    L1       SIGBUS, action optional, to the VMM's main thread, which asked for early kill
 3    L1       memory_failure() takes the page from the VMM (Linux mm/memory-failure.c)
 4    L1       the guest touches the page: SIGBUS, action required, to the vCPU's thread
 5    L1       the VMM puts a data abort into the guest (QEMU target/arm/kvm.c)
 6    L2       the guest takes a synchronous external abort with that ESR (Linux arch/arm64/mm/fault.c)
 7    L2       its kernel reports the record the VMM wrote, naming the guest's physical page
 8    L2       SIGBUS, action required, to the victim
 9    L2       memory_failure() takes the page from the victim
10    L2       the victim's handler gets it: code, address, size
====  =======  ==================================================================================
"""

from __future__ import annotations

from typing import Final

from seabus.arch.esr import qemu_sea_esr
from seabus.arch.sigbus import BusCode
from seabus.faults.fault import MemoryRecord
from seabus.guest.translate import Addresses
from seabus.guest.victim import Victim
from seabus.judge.expectation import Expectation

_PAGE_BITS: Final = 12
#: GHES source ids of QEMU's `virt` (QEMU include/hw/acpi/ghes.h): 0 synchronous, 1 injected by QMP.
_SOURCE_SEA: Final = 0
_SOURCE_QMP: Final = 1
#: Not ignored, and not lost (Linux include/trace/events/signal.h, TRACE_SIGNAL_DELIVERED).
_DELIVERED: Final = 0


def expectations(
    record: MemoryRecord, addresses: Addresses, victim: Victim, *, vmm_pid: int, l2_cpus: int
) -> list[Expectation]:
    """The chain a consumed page must cause, with every value that is known beforehand."""
    esr = qemu_sea_esr(from_el0=True)
    vcpus = tuple(f"CPU {number}/KVM" for number in range(l2_cpus))
    return [
        Expectation(
            name="host-record",
            level="L1",
            witness="kernel-log",
            kind="ghes",
            fields={
                "source": _SOURCE_QMP,
                "severity": "recoverable",
                "physical_address": int(addresses.host_physical),
                "fru_id": str(record.nonce),
            },
            promise="firmware's record reaches the host kernel (Linux drivers/acpi/apei/ghes.c)",
        ),
        Expectation(
            name="vmm-told",
            level="L1",
            witness="trace",
            kind="sigbus",
            fields={"code": int(BusCode.BUS_MCEERR_AO), "tid": vmm_pid, "result": _DELIVERED},
            after=("host-record",),
            promise="a VMM that asked for early kill is told at once (Linux mm/memory-failure.c)",
        ),
        Expectation(
            name="host-unmapped",
            level="L1",
            witness="trace",
            kind="memory_failure",
            fields={"pfn": addresses.host_physical.pfn, "result": "Recovered"},
            after=("vmm-told",),
            promise="the page is taken away and never used again (Linux mm/memory-failure.c)",
        ),
        Expectation(
            name="vcpu-stopped",
            level="L1",
            witness="trace",
            kind="sigbus",
            fields={
                "code": int(BusCode.BUS_MCEERR_AR),
                "comm": vcpus,
                "result": _DELIVERED,
            },
            after=("host-unmapped",),
            promise="KVM signals the thread whose guest touched it (Linux arch/arm64/kvm/mmu.c)",
        ),
        Expectation(
            name="abort-injected",
            level="L1",
            witness="vmm-log",
            kind="exception",
            fields={"exception": "Data Abort", "from_el": 0, "to_el": 1, "esr": esr, "far": 0},
            after=("vcpu-stopped",),
            promise="the VMM puts an SEA into the guest (QEMU target/arm/kvm.c)",
        ),
        Expectation(
            name="abort-taken",
            level="L2",
            witness="kprobe",
            kind="sea",
            fields={"esr": esr, "far": 0, "tid": victim.tid},
            after=("vcpu-stopped",),
            promise="the guest takes it with the VMM's syndrome (Arm ARM DDI 0487, ESR_EL1)",
        ),
        Expectation(
            name="guest-record",
            level="L2",
            witness="kernel-log",
            kind="ghes",
            fields={
                "source": _SOURCE_SEA,
                "severity": "recoverable",
                "physical_address": int(addresses.guest_physical),
            },
            after=("abort-taken",),
            promise="the abort is claimed by APEI with the VMM's record (QEMU hw/acpi/ghes.c)",
        ),
        Expectation(
            name="victim-signalled",
            level="L2",
            witness="trace",
            kind="sigbus",
            fields={"code": int(BusCode.BUS_MCEERR_AR), "tid": victim.tid, "result": _DELIVERED},
            after=("guest-record",),
            promise="the consumer, and nobody else, is signalled (Linux mm/memory-failure.c)",
        ),
        Expectation(
            name="guest-unmapped",
            level="L2",
            witness="trace",
            kind="memory_failure",
            fields={"pfn": addresses.guest_physical.pfn, "result": "Recovered"},
            after=("guest-record",),
            promise="the guest gives the page up as well (Linux mm/memory-failure.c)",
        ),
        Expectation(
            name="victim-informed",
            level="L2",
            witness="victim",
            kind="siginfo",
            fields={
                "code": int(BusCode.BUS_MCEERR_AR),
                "address": int(addresses.guest_virtual),
                "lsb": _PAGE_BITS,
                "tid": victim.tid,
            },
            after=("victim-signalled",),
            promise="siginfo names the access and how much is lost (Linux arch/arm64/mm/fault.c)",
        ),
    ]
