# SPDX-License-Identifier: Apache-2.0
"""A page of the guest goes bad, and nobody touches it.

The VMM asked for early kill (prctl PR_MCE_KILL), so the host tells it at once: action optional. QEMU on arm
does not pass that on (QEMU target/arm/kvm.c, kvm_arch_on_sigbus_vcpu() drops BUS_MCEERR_AO), so the guest
must stay silent: no abort, no record, no signal - not at once, and not later.
"""

from __future__ import annotations

import pytest

from seabus.catalogue import scenario
from seabus.chains import guest, host
from seabus.session.session import Session

pytestmark = pytest.mark.emulated

HOST_LOSES = (host.RECORD, host.VMM_TOLD, host.UNMAPPED)


@scenario(
    title="A page nobody touches: the VMM is told, the guest is not",
    fault="memory record, recoverable",
    expects=HOST_LOSES,
)
@pytest.mark.parametrize("seconds", [0.0, 2.0], ids=["at-once", "2s"])
def test_the_guest_stays_silent(world: Session, seconds: float) -> None:
    victim = world.victim()
    fault = world.fault_at(victim.page.host_physical)
    world.inject(fault)
    world.until("L1", "memory_failure")
    world.settle(seconds)
    world.expect(
        host.announces(fault),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
    )


@scenario(
    title="A page nobody touches, watched for ten minutes",
    fault="memory record, recoverable",
    expects=HOST_LOSES,
)
@pytest.mark.soak
def test_the_guest_stays_silent_for_long(world: Session) -> None:
    test_the_guest_stays_silent(world, 600.0)


@scenario(
    title="The guest touches the pages around the bad one",
    fault="memory record, recoverable, in the middle of three pages",
    expects=(*HOST_LOSES, guest.READS),
)
def test_its_neighbours_are_intact(world: Session) -> None:
    victim = world.victim(pages=3)
    page = victim.page_at(4096)
    fault = world.fault_at(page.host_physical)
    world.inject(fault)
    world.until("L1", "memory_failure")
    for offset in (4096 - 8, 8192):
        victim.touch("read", offset=offset)
    world.expect(
        host.announces(fault),
        host.loses_page(page, vmm_pid=world.vmm_pid),
        guest.reads_intact(victim.victim),
        guest.reads_intact(victim.victim, again="-above"),
    )
