# SPDX-License-Identifier: Apache-2.0
"""Records for addresses that are no page of the guest: the guest must not be blamed, nor notice.

memory_failure() ignores what has no struct page and what the kernel itself uses; what belongs to a process
of the host is that process's loss (Linux mm/memory-failure.c).
"""

from __future__ import annotations

import pytest

from seabus.arch.addresses import HostPhysical
from seabus.catalogue import scenario
from seabus.chains import guest, host
from seabus.faults.record import MemoryRecord
from seabus.session.session import Session

pytestmark = pytest.mark.emulated


@scenario(
    title="A record for an address that is no memory",
    fault="memory record, recoverable, for a device, a hole, or beyond the end of memory",
    expects=(host.RECORD, host.UNMAPPED, guest.READS),
    sources=("Linux mm/memory-failure.c memory_failure(): MF_MSG_NON_STRUCT_PAGE?",),
)
@pytest.mark.parametrize(
    "address",
    [
        pytest.param(0x0900_0000, id="uart"),
        pytest.param(0x0F00_0000, id="hole"),
        pytest.param(0x2_0000_0000, id="beyond"),
        pytest.param(0xFFFF_FFFF_F000, id="48-bits"),
    ],
)
def test_no_memory(world: Session, address: int) -> None:
    victim = world.victim()
    record = MemoryRecord(address=HostPhysical(address))
    world.inject(record)
    world.until("L1", "memory_failure")
    victim.touch("read")
    world.expect(
        host.reports(record),
        host.takes_page(address >> 12, result="Ignored", page_type="non struct page pfn"),
        guest.reads_intact(victim.victim),
    )


@scenario(
    title="A record for a page of the host kernel's own text",
    fault="memory record, recoverable, in the kernel's code",
    expects=(host.RECORD, host.UNMAPPED, guest.READS),
    sources=("Linux mm/memory-failure.c: MF_MSG_KERNEL",),
)
def test_kernel_text(world: Session) -> None:
    code = world.host.run("grep", "Kernel code", "/proc/iomem").must_succeed().text
    address = HostPhysical(int(code.split("-")[0], 16) + 0x20_0000)
    victim = world.victim()
    record = MemoryRecord(address=address)
    world.inject(record)
    world.until("L1", "memory_failure")
    victim.touch("read")
    world.expect(
        host.reports(record),
        host.takes_page(address.pfn, result="Ignored", page_type="reserved kernel page"),
        guest.reads_intact(victim.victim),
    )


@scenario(
    title="A process of the host loses a page and touches it",
    fault="memory record, recoverable, at a page of a process beside the VMM",
    expects=(host.RECORD, host.UNMAPPED, host.PROCESS_SIGNALLED, host.PROCESS_INFORMED),
)
@pytest.mark.parametrize("access", ["read", "write"])
def test_host_process(world: Session, access: str) -> None:
    """It did not ask for early kill, so it hears of it when it touches the page; the VMM hears nothing."""
    victim = world.victim(level="L1")
    page = victim.host_page()
    record = MemoryRecord(address=page)
    world.inject(record)
    world.until("L1", "memory_failure")
    victim.touch(access)
    world.expect(
        host.reports(record),
        host.takes_page(page.pfn),
        host.signals_process(int(victim.address), tid=victim.tid),
    )
