# SPDX-License-Identifier: Apache-2.0
"""Firmware reports an uncorrected error in a page of the guest, and the guest consumes it.

What each level promises, and where, stands beside each link in ``seabus.chains``.
"""

from __future__ import annotations

import pytest

from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import scenario
from seabus.chains import guest, host
from seabus.faults.record import MemoryRecord
from seabus.session.session import Session

pytestmark = pytest.mark.emulated

HOST_LOSES = (host.RECORD, host.VMM_TOLD, host.UNMAPPED)
CONSUMED = (
    *HOST_LOSES,
    host.VCPU_STOPPED,
    host.ABORT_INJECTED,
    guest.ABORT_TAKEN,
    guest.RECORD,
    guest.VICTIM_SIGNALLED,
    guest.UNMAPPED,
    guest.VICTIM_INFORMED,
)


@scenario(
    title="A load or store at EL0 consumes a page of anonymous memory",
    fault="memory record, recoverable, at the page of L1 behind the victim's",
    expects=CONSUMED,
    sources=("QEMU target/arm/kvm.c kvm_inject_arm_sea(): a data abort with FnV, and never WnR",),
)
@pytest.mark.parametrize("access", ["read", "write"])
@pytest.mark.parametrize(
    "mode", [pytest.param(mode, marks=pytest.mark.seabus(l1_mode=mode)) for mode in ("nvhe", "vhe")]
)
def test_anonymous_page(world: Session, access: str, mode: str) -> None:
    assert world.config.l1_mode == mode
    victim = world.victim()
    record = MemoryRecord(address=victim.page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure")
    victim.touch(access)
    esr = qemu_sea_esr(from_el0=True)
    world.expect(
        host.reports(record),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(esr=esr),
        guest.takes_abort(victim.page, victim.victim, esr=esr),
        guest.signals_victim(victim.page, victim.victim),
    )
