# SPDX-License-Identifier: Apache-2.0
"""Firmware reports an uncorrected error in a page of the guest, and the guest consumes it at EL0.

What each level promises, and where, stands beside each link in ``seabus.chains``. Whatever the access was,
QEMU injects one and the same syndrome: a data abort with FnV, never WnR, never an instruction abort (QEMU
target/arm/kvm.c, kvm_inject_arm_sea()). Where that differs from what a CPU reports is data
(``seabus.arch.deviations``), and is asserted here, access by access.
"""

from __future__ import annotations

import pytest

from seabus.arch import Abort, Access, GuestVirtual, Injector, Origin, deviations
from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import scenario
from seabus.chains import guest, host
from seabus.session.session import Session, SessionVictim

pytestmark = pytest.mark.emulated

CONSUMED = (
    host.RECORD,
    host.VMM_TOLD,
    host.UNMAPPED,
    host.VCPU_STOPPED,
    host.ABORT_INJECTED,
    guest.ABORT_TAKEN,
    guest.RECORD,
    guest.VICTIM_SIGNALLED,
    guest.UNMAPPED,
    guest.VICTIM_INFORMED,
)
LOADS = ("read", "load-pair", "simd-load")
STORES = ("write", "store-pair", "simd-store", "atomic-add", "exclusive-add", "zero")


def consume(world: Session, victim: SessionVictim, op: str, *, at: int = 0, offset: int = 0) -> None:
    """Report the page at ``at``, let the victim access it, and judge the whole chain."""
    page = victim.page_at(at)
    fault = world.fault_at(page.host_physical)
    world.inject(fault)
    world.until("L1", "memory_failure", pfn=page.host_physical.pfn)
    victim.touch(op, offset=offset)
    esr = qemu_sea_esr(from_el0=True)
    world.expect(
        host.announces(fault),
        host.loses_page(page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(page, esr=esr, l2_cpus=world.config.l2_cpus),
        guest.takes_abort(page, victim.victim, esr=esr),
        guest.signals_victim(page, victim.victim),
    )


@scenario(
    title="A load or store at EL0 consumes a page of anonymous memory",
    fault="memory record, recoverable, at the page of L1 behind the victim's",
    expects=CONSUMED,
)
@pytest.mark.parametrize("op", [*LOADS, *STORES])
def test_anonymous_page(world: Session, op: str) -> None:
    consume(world, world.victim(), op)


@scenario(
    title="A fetch at EL0 consumes a page of code",
    fault="memory record, recoverable, at a page that is executed",
    expects=CONSUMED,
)
def test_code_page(world: Session) -> None:
    """The guest sees a data abort: QEMU has no other."""
    consume(world, world.victim(kind="code"), "fetch")


@scenario(
    title="An access across a good page and a bad one",
    fault="memory record, recoverable, at the first or the second page of an unaligned access",
    expects=CONSUMED,
)
@pytest.mark.parametrize("op", ["read", "write"])
@pytest.mark.parametrize("bad", [0, 4096], ids=["first", "second"])
def test_across_two_pages(world: Session, op: str, bad: int) -> None:
    """si_addr names the page that is lost, not where the access began."""
    consume(world, world.victim(pages=2), op, at=bad, offset=4096 - 4)


@scenario(
    title="The same with the host's kernel in VHE mode",
    fault="memory record, recoverable",
    expects=CONSUMED,
)
@pytest.mark.seabus(l1_mode="vhe")
@pytest.mark.parametrize("op", ["read", "write"])
def test_vhe_host(world: Session, op: str) -> None:
    assert world.config.l1_mode == "vhe"
    consume(world, world.victim(), op)


@scenario(
    title="The same with the guest's memory in a memfd",
    fault="memory record, recoverable, in shared memory of the VMM",
    expects=CONSUMED,
)
@pytest.mark.seabus(l2_backing="memfd")
def test_memfd_backing(world: Session) -> None:
    consume(world, world.victim(), "read")


@scenario(
    title="The same in a guest with two vCPUs, on either of them",
    fault="memory record, recoverable",
    expects=CONSUMED,
)
@pytest.mark.seabus(l2_cpus=2)
@pytest.mark.parametrize("cpu", [0, 1])
def test_two_vcpus(world: Session, cpu: int) -> None:
    consume(world, world.victim(cpu=cpu), "read")


@scenario(
    title="An instruction that names the page but does not read it",
    fault="memory record, recoverable",
    expects=(host.RECORD, host.VMM_TOLD, host.UNMAPPED, guest.GOES_THROUGH),
    sources=("Arm ARM DDI 0487, PRFM: a prefetch generates no synchronous abort",),
)
@pytest.mark.parametrize("op", ["prefetch", "clean", "sys-fork"])
def test_not_consumed(world: Session, op: str) -> None:
    victim = world.victim()
    fault = world.fault_at(victim.page.host_physical)
    world.inject(fault)
    world.until("L1", "memory_failure")
    victim.touch(op)
    world.expect(
        host.announces(fault),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        guest.goes_through(victim.victim, op=op),
    )


@pytest.mark.parametrize(
    ("access", "fields"),
    [
        (Access.LOAD, {"FAR", "FnV"}),
        (Access.STORE, {"FAR", "FnV", "WnR"}),
        (Access.FETCH, {"FAR", "FnV", "EC"}),
    ],
    ids=["load", "store", "fetch"],
)
def test_known_deviations(access: Access, fields: set[str]) -> None:
    """What the guest of QEMU is told, and a guest on hardware is told otherwise."""
    abort = Abort(origin=Origin.EL0, access=access, address=GuestVirtual(0x1000))
    assert {deviation.field for deviation in deviations(abort, Injector.QEMU)} == fields
