# SPDX-License-Identifier: Apache-2.0
"""What the host (L1) owes: it believes firmware, takes the page away, and tells the VMM - at once, and again
when the guest touches the page."""

from __future__ import annotations

from typing import Any, Final

from seabus.arch.addresses import VmmVirtual
from seabus.arch.sigbus import BusCode
from seabus.faults.fault import Fault
from seabus.faults.record import DamagedRecord, MemoryRecord, SectionRecord
from seabus.guest.translate import Addresses
from seabus.guest.vmm_memory import VmmPage
from seabus.judge.expectation import Expectation, Link

#: GHES source id that QEMU's `virt` gives to records injected by QMP (QEMU include/hw/acpi/ghes.h).
SOURCE_QMP: Final = 1
#: A signal that was not ignored, and not lost (Linux include/trace/events/signal.h).
DELIVERED: Final = 0
#: How memory_failure() ends for a page that is in use: whoever faults on it in that moment holds a reference,
#: and the page counts as not recovered ("still referenced by 1 users"); it is unmapped all the same
#: (Linux mm/memory-failure.c has_extra_refcount()).
IN_USE: Final = ("Recovered", "Failed")
#: One of the same number waits to be taken already; this one, with its address, is dropped.
ALREADY_PENDING: Final = 2

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


READS: Final = Link(
    name="host-process-reads",
    level="L1",
    witness="victim",
    kind="touch",
    promise="whoever lost nothing notices nothing (Linux Documentation/mm/hwpoison.rst)",
)
SYNC_FAILS: Final = Link(
    name="host-process-sync-fails",
    level="L1",
    witness="victim",
    kind="touch",
    promise="what was written and is lost is an I/O error (Linux mm/memory-failure.c me_pagecache_dirty())",
)
FIRMWARE_BLAMED: Final = Link(
    name="host-blames-firmware",
    level="L1",
    witness="kernel-log",
    kind="complaint",
    promise="a record that cannot be read is said to be firmware's fault"
    " (Linux drivers/acpi/apei/ghes.c __ghes_check_estatus())",
)
RECORD_ON_CONSOLE: Final = Link(
    name="host-record-on-console",
    level="L1",
    witness="console",
    kind="ghes",
    promise="a kernel that gives up says why (Linux drivers/acpi/apei/ghes.c ghes_panic())",
)
PANICS: Final = Link(
    name="host-panics",
    level="L1",
    witness="console",
    kind="panic",
    promise="a fatal error stops the host before it can spread (Linux drivers/acpi/apei/ghes.c ghes_panic())",
)
LAST_WORDS: Final = Link(
    name="host-last-words",
    level="L1",
    witness="kernel-log",
    kind="trouble",
    promise="a panic is in the log as well, if anybody still reads that (Linux kernel/panic.c vpanic())",
)
STAYS_LOST: Final = Link(
    name="frame-stays-lost",
    level="L1",
    witness="kpageflags",
    kind="frame",
    promise="a lost page frame is nobody's until the host reboots (Linux Documentation/mm/hwpoison.rst)",
)
PAGE_MOVED: Final = Link(
    name="page-moved",
    level="L1",
    witness="pagemap",
    kind="moved",
    promise="what can still be read is moved to a good page (Linux mm/memory-failure.c soft_offline_page())",
)
PROCESS_TOLD: Final = Link(
    name="host-process-told",
    level="L1",
    witness="trace",
    kind="sigbus",
    promise="whoever maps the page and asked for early kill is told at once, each process once"
    " (Linux mm/memory-failure.c collect_procs(), Documentation/mm/hwpoison.rst)",
)
PROCESS_HEARS: Final = Link(
    name="host-process-hears",
    level="L1",
    witness="victim",
    kind="siginfo",
    promise="siginfo of an action-optional error names the page and its size (Linux kernel/signal.c)",
)
PROCESS_SIGNALLED: Final = Link(
    name="host-process-signalled",
    level="L1",
    witness="trace",
    kind="sigbus",
    promise="a process that touches a lost page is signalled (Linux arch/arm64/mm/fault.c)",
)
PROCESS_INFORMED: Final = Link(
    name="host-process-informed",
    level="L1",
    witness="victim",
    kind="siginfo",
    promise="siginfo names the access and how much is lost (Linux arch/arm64/mm/fault.c)",
)


def reports(record: MemoryRecord, *, again: str = "", optional: bool = False) -> Expectation:
    """The host's kernel logs the record that firmware left.

    :param optional: it logs two in five seconds and no more (drivers/acpi/apei/ghes.c, ghes_print_estatus()).
    """
    return RECORD(again=again, optional=optional, **_told(record))


def announces(fault: Fault, *, again: str = "", optional: bool = False) -> list[Expectation]:
    """The host's kernel logs the record that a fault begins with, if it begins with one."""
    return [reports(fault, again=again, optional=optional)] if isinstance(fault, MemoryRecord) else []


def panics(record: MemoryRecord, *, message: str) -> list[Expectation]:
    """The host gives up, and its console tells which record made it."""
    return [
        RECORD_ON_CONSOLE(**_told(record)),
        PANICS(after=(RECORD_ON_CONSOLE,), who="host", message=message),
    ]


def panics_over_page(record: MemoryRecord) -> list[Expectation]:
    """The host gives up over a page, in a moment that may leave time to read the record from its log."""
    message = f"Kernel panic - not syncing: Memory failure on page {record.address.pfn:x}"
    return [
        reports(record, optional=True),
        *panics(record, message=message),
        LAST_WORDS(optional=True, what="panic"),
        LAST_WORDS(again="-trace", optional=True, what="call trace"),
    ]


def tells_vmm(
    *,
    vmm_pid: int,
    again: str = "",
    may_be_pending: bool = False,
    address: VmmVirtual | None = None,
    lsb: int = 12,
) -> Expectation:
    """The VMM, which asked for early kill, is told of a page it maps.

    :param address: of the page, where that is known.
    :param lsb: log2 of the bytes that are lost with it.
    :param may_be_pending: an earlier SIGBUS may not have been taken yet; then this one is dropped.
    """
    where: dict[str, Any] = {} if address is None else {"address": int(address)}
    return VMM_TOLD(
        again=again,
        after=(RECORD,),
        code=int(BusCode.BUS_MCEERR_AO),
        tid=vmm_pid,
        result=(DELIVERED, ALREADY_PENDING) if may_be_pending else DELIVERED,
        lsb=lsb,
        **where,
    )


def takes_page(
    pfn: int, *, result: str | tuple[str, ...] = "Recovered", page_type: str | None = None, again: str = ""
) -> Expectation:
    """memory_failure() deals with a page frame.

    :param result: how that ended, by the kernel's own words; several: any of these.
    :param page_type: how the kernel calls the page; None: whatever it calls it.
    """
    named: dict[str, Any] = {} if page_type is None else {"page_type": page_type}
    return UNMAPPED(again=again, after=(RECORD, VMM_TOLD), pfn=pfn, result=result, **named)


def loses_page(
    addresses: Addresses, *, vmm_pid: int, again: str = "", lsb: int = 12, may_be_pending: bool = False
) -> list[Expectation]:
    """memory_failure() takes a page of the guest away from the VMM, and tells it.

    :param lsb: log2 of the bytes that are lost, by what backs the guest.
    :param may_be_pending: another page was lost just before, see :func:`tells_vmm`.
    """
    page_type = None if lsb == 12 else "huge page"
    return [
        tells_vmm(
            vmm_pid=vmm_pid,
            again=again,
            address=addresses.vmm_virtual.page(),
            lsb=lsb,
            may_be_pending=may_be_pending,
        ),
        takes_page(addresses.host_physical.pfn, again=again, page_type=page_type),
    ]


def signals_vcpu(
    page: Addresses | VmmPage,
    *,
    l2_cpus: int = 1,
    again: str = "",
    lsb: int = 12,
    busy: bool = False,
    beside: bool = False,
) -> Expectation:
    """The guest touches a page, and the thread of its vCPU is signalled.

    :param page: which the guest touches; KVM tells its address in the VMM.
    :param lsb: log2 of the bytes that are lost, as the VMM is told.
    :param busy: the guest uses the page all the time, and may be stopped as soon as it is unmapped.
    :param beside: it may as well touch any other that is lost with it.
    """
    where: dict[str, Any] = {"address": int(page.vmm_virtual.page())}
    if beside:
        where = {"page": int(page.vmm_virtual.page(lsb))}
    return VCPU_STOPPED(
        again=again,
        after=(RECORD if busy else UNMAPPED,),
        code=int(BusCode.BUS_MCEERR_AR),
        comm=tuple(f"CPU {number}/KVM" for number in range(l2_cpus)),
        result=DELIVERED,
        lsb=lsb,
        **where,
    )


def stops_vcpu(
    page: Addresses | VmmPage,
    *,
    esr: int,
    far: int = 0,
    from_el: int = 0,
    l2_cpus: int = 1,
    again: str = "",
    lsb: int = 12,
    busy: bool = False,
    beside: bool = False,
) -> list[Expectation]:
    """The guest touches a page: the vCPU's thread is signalled, and the VMM answers with an abort."""
    return [
        signals_vcpu(page, l2_cpus=l2_cpus, again=again, lsb=lsb, busy=busy, beside=beside),
        ABORT_INJECTED(
            again=again,
            after=(VCPU_STOPPED,),
            exception="Data Abort",
            from_el=from_el,
            to_el=1,
            esr=esr,
            far=far,
        ),
    ]


def frame_stays_lost(addresses: Addresses) -> Expectation:
    """The host's kernel keeps the frame poisoned, and nobody maps it."""
    return STAYS_LOST(after=(UNMAPPED,), pfn=addresses.host_physical.pfn, poisoned=True, mapped=0)


def tells_process(address: int, *, tid: int, lsb: int = 12, again: str = "") -> list[Expectation]:
    """A process of the host, not the VMM, that asked for early kill is told of a page that it maps."""
    told: dict[str, Any] = {"code": int(BusCode.BUS_MCEERR_AO), "address": address, "lsb": lsb, "tid": tid}
    return [
        PROCESS_TOLD(again=again, **told, result=DELIVERED),
        PROCESS_HEARS(again=again, after=(PROCESS_TOLD,), **told),
    ]


def signals_process(address: int, *, tid: int, lsb: int = 12, again: str = "") -> list[Expectation]:
    """A process of the host, not the VMM, touches a lost page and is told which."""
    told: dict[str, Any] = {"code": int(BusCode.BUS_MCEERR_AR), "address": address, "lsb": lsb, "tid": tid}
    return [
        PROCESS_SIGNALLED(again=again, after=() if again else (UNMAPPED,), **told, result=DELIVERED),
        PROCESS_INFORMED(again=again, after=(PROCESS_SIGNALLED,), **told),
    ]


def panics_of_unknown(record: MemoryRecord) -> list[Expectation]:
    """The host gives up for a severity that it does not know."""
    told = {**_told(record), "severity": "unknown"}
    return [
        RECORD_ON_CONSOLE(**told),
        PANICS(
            after=(RECORD_ON_CONSOLE,),
            who="host",
            message="Kernel panic - not syncing: GHES: Fatal hardware error",
        ),
    ]


def logs(
    record: SectionRecord | DamagedRecord, *, physical_address: int | None = None, again: str = ""
) -> Expectation:
    """The host's kernel logs a record of another kind, or a damaged one.

    :param physical_address: the address that the kernel's text names, if the record's kind has one.
    """
    return RECORD(
        again=again,
        source=SOURCE_QMP,
        severity=record.severity.name.lower().replace("informational", "info"),
        physical_address=physical_address,
        fru_id=str(record.nonce),
    )


def _told(record: MemoryRecord) -> dict[str, Any]:
    return {
        "source": SOURCE_QMP,
        "severity": record.severity.name.lower().replace("informational", "info"),
        "physical_address": int(record.address),
        "fru_id": str(record.nonce),
    }
