# SPDX-License-Identifier: Apache-2.0
"""The main job: firmware reports an uncorrected error in a page of a guest, and the guest consumes it.

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

from collections.abc import Callable
from typing import Final, Literal

from seabus.arch.addresses import HostPhysical
from seabus.arch.esr import qemu_sea_esr
from seabus.chains import guest, host
from seabus.faults.fault import Fault
from seabus.guest.translate import Addresses
from seabus.guest.victim import Victim
from seabus.judge.expectation import Expectation
from seabus.session.outcome import Outcome
from seabus.session.stage import Stage
from seabus.world.world import World

Access = Literal["read", "write"]
#: What it says of itself, as a scenario of the catalogue does.
ABOUT: Final = {
    "title": "The guest consumes a page that firmware reported",
    "fault": "memory record, recoverable",
    "sources": [],
}


async def run(
    world: World,
    *,
    inject: bool = True,
    access: Access = "read",
    seed: int | None = None,
    fault_at: Callable[[HostPhysical], Fault] | None = None,
) -> Outcome:
    """Follow one fault through a fresh world.

    :param inject: False makes it the negative control: the same steps, but nothing is injected.
    :param fault_at: what makes a page bad; the way that is usual in such a world if nothing is said.
    :param seed: of what is left to chance.
    :raises MachineError: a channel or a machine failed on the way; that is no verdict on the system.
    """
    async with Stage.open(world, injecting=inject, seed=seed) as stage:
        victim = await stage.victim()
        page = await stage.pages.locate(victim)
        fault = (fault_at or world.fault_at)(page.host_physical)
        if await stage.inject(fault):
            await stage.until("L1", "memory_failure", pfn=page.host_physical.pfn)
            await stage.touch(victim, op=access)
        elif not inject:
            await stage.touch(victim, op=access)
        return await stage.finish(expectations(fault, page, victim, world))


def expectations(fault: Fault, page: Addresses, victim: Victim, world: World) -> list[Expectation]:
    """The chain above, with every value that is known beforehand."""
    esr = qemu_sea_esr(from_el0=True)
    return [
        *host.announces(fault),
        *host.loses_page(page, vmm_pid=world.vmm_pid),
        *host.stops_vcpu(page, esr=esr, l2_cpus=world.config.l2_cpus),
        *guest.takes_abort(page, victim, esr=esr),
        *guest.signals_victim(page, victim),
    ]
