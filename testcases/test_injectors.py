# SPDX-License-Identifier: Apache-2.0
"""One page, several ways to declare it bad: the same oracle for each, and the differences as data.

A firmware record and ``hard_offline_page`` both end in memory_failure(), one from a work queue, one in the
context of the writer; the VMM must hear the same of either, and the guest's access must end the same way.
``soft_offline_page`` is asked for while the page can still be read: its content moves, and nobody is told.
Linux mm/memory-failure.c, Documentation/mm/hwpoison.rst.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from seabus.arch.addresses import HostPhysical
from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import scenario
from seabus.chains import guest, host
from seabus.faults.poison import HardOffline, HwpoisonInject, SoftOffline
from seabus.session.session import Session

pytestmark = pytest.mark.emulated

CONSUMED_WITHOUT_RECORD = (
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
Injector = Callable[..., HardOffline | HwpoisonInject]


def _hard_offline(address: HostPhysical) -> HardOffline:
    return HardOffline(address=address)


def _hwpoison_inject(address: HostPhysical) -> HwpoisonInject:
    return HwpoisonInject(address=address)


INJECTORS = [
    pytest.param(_hard_offline, marks=pytest.mark.seabus_needs("hard-offline"), id="hard-offline"),
    pytest.param(_hwpoison_inject, marks=pytest.mark.seabus_needs("hwpoison-inject"), id="hwpoison-inject"),
]


@scenario(
    title="A page of the guest is poisoned by the host's administrator, and consumed",
    fault="hard_offline_page, or the hwpoison injector, at the page of L1 behind the victim's",
    expects=CONSUMED_WITHOUT_RECORD,
    sources=("Linux drivers/base/memory.c hard_offline_page_store()", "Linux mm/hwpoison-inject.c"),
)
@pytest.mark.parametrize("injector", INJECTORS)
def test_poisoned_and_consumed(world: Session, injector: Injector) -> None:
    victim = world.victim()
    world.inject(injector(victim.page.host_physical))
    victim.touch("read")
    esr = qemu_sea_esr(from_el0=True)
    world.expect(
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(victim.page, esr=esr),
        guest.takes_abort(victim.page, victim.victim, esr=esr),
        guest.signals_victim(victim.page, victim.victim),
    )


@scenario(
    title="A page of the guest is poisoned by the host's administrator, and never touched",
    fault="hard_offline_page, or the hwpoison injector",
    expects=(host.VMM_TOLD, host.UNMAPPED),
)
@pytest.mark.parametrize("injector", INJECTORS)
def test_poisoned_and_left_alone(world: Session, injector: Injector) -> None:
    victim = world.victim()
    world.inject(injector(victim.page.host_physical))
    world.settle(0.5)
    world.expect(host.loses_page(victim.page, vmm_pid=world.vmm_pid))


@scenario(
    title="A page of the guest is taken out of service while it can still be read",
    fault="soft_offline_page",
    expects=(host.PAGE_MOVED, guest.READS),
    sources=("Linux mm/memory-failure.c soft_offline_page()",),
)
@pytest.mark.seabus_needs("soft-offline")
@pytest.mark.parametrize("count", [1, 8])
def test_soft_offline_moves_the_content(world: Session, count: int) -> None:
    victim = world.victim(pages=count)
    pages = [victim.page_at(4096 * number) for number in range(count)]
    expected = []
    for number, page in enumerate(pages):
        world.inject(SoftOffline(address=page.host_physical))
        victim.touch("read", offset=4096 * number)
        victim.locate(4096 * number)
        again = f"-{number}" if number else ""
        expected += [
            host.PAGE_MOVED(again=again, pfn=page.host_physical.pfn),
            guest.reads_intact(victim.victim, again=again),
        ]
    world.expect(expected)
