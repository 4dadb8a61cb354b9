# SPDX-License-Identifier: Apache-2.0
"""A level has not the means to hear of an error: no GHES, APEI switched off, or no wish to recover.

What the levels above do then is promised as well. (That a run which needs those means is no pass is tested
with the plugin: framework/tests/plugin/test_without_means.py.)
"""

from __future__ import annotations

import pytest

from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import scenario
from seabus.chains import guest, host, vmm
from seabus.faults.record import MemoryRecord
from seabus.session.session import Session

pytestmark = pytest.mark.emulated

HOST_LOSES = (host.RECORD, host.VMM_TOLD, host.UNMAPPED)
ESR = qemu_sea_esr(from_el0=True)


@scenario(
    title="A guest without GHES: the VMM cannot tell it, and ends",
    fault="memory record, recoverable, in a guest whose machine has ras=off",
    expects=(*HOST_LOSES, host.VCPU_STOPPED, vmm.GIVES_UP),
    sources=("QEMU target/arm/kvm.c kvm_arch_on_sigbus_vcpu(): hardware_memory_error()",),
)
@pytest.mark.seabus(l2_ras=False)
def test_guest_without_ghes(world: Session) -> None:
    victim = world.victim()
    record = MemoryRecord(address=victim.page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure")
    victim.touch("read")
    world.expect(
        host.reports(record),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.signals_vcpu(victim.page),
        vmm.gives_up("Hardware memory error!"),
    )


@scenario(
    title="A guest whose kernel has APEI switched off: the abort is nobody's, and the page stays",
    fault="memory record, recoverable, in a guest with hest_disable",
    expects=(
        *HOST_LOSES,
        host.VCPU_STOPPED,
        host.ABORT_INJECTED,
        guest.ABORT_TAKEN,
        guest.UNCLAIMED_SIGNALLED,
        guest.UNCLAIMED_INFORMED,
    ),
    sources=("Linux arch/arm64/mm/fault.c do_sea(): apei_claim_sea() fails",),
)
@pytest.mark.seabus(l2_append="hest_disable")
def test_guest_without_apei(world: Session) -> None:
    """Not BUS_MCEERR_AR, no address, and the syndrome is told: a program cannot know which page it lost."""
    victim = world.victim()
    record = MemoryRecord(address=victim.page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure")
    victim.touch("read")
    world.expect(
        host.reports(record),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(victim.page, esr=ESR),
        guest.ABORT_TAKEN(after=(host.VCPU_STOPPED,), esr=ESR, far=0, tid=victim.tid),
        guest.unclaimed(victim.victim, esr=ESR),
    )


@scenario(
    title="A host that was told not to recover stops at the first error",
    fault="memory record, recoverable, in a host with vm.memory_failure_recovery=0",
    expects=(host.RECORD, host.RECORD_ON_CONSOLE, host.PANICS, host.LAST_WORDS),
    sources=("Linux mm/memory-failure.c memory_failure(): sysctl_memory_failure_recovery",),
)
def test_host_that_must_not_recover(world: Session) -> None:
    world.host.write("/proc/sys/vm/memory_failure_recovery", b"0")
    world.host.write("/proc/sys/kernel/printk", b"7")  # nobody may live to read the log
    victim = world.victim()
    record = MemoryRecord(address=victim.page.host_physical)
    world.inject(record)
    world.expect(host.panics_over_page(record))
