# SPDX-License-Identifier: Apache-2.0
"""The lost page is the guest kernel's own: its text, its heap, the page tables of a process.

A kernel cannot do without its text and its heap, and memory_failure() never gets to say so: the abort comes
in kernel mode, where arm64 asks nobody (arch/arm64/mm/fault.c do_sea(); docs/findings/0005). Who ran into it
is killed by an oops, and a machine that was told to stop at one (panic_on_oops) stops. Where it is text, the
oops itself prints the instructions around, meets the page again, and ends the VMM (docs/findings/0010).

A page table that a process walks is another matter: hardware would report an abort on the walk (DFSC 0x14 to
0x17), in the process's own context. QEMU reports what it reports for any data access, DFSC 0x10; the guest
claims the record, finds a page that it cannot take away, and forces the process to stop.
"""

from __future__ import annotations

import re

import pytest

from seabus.arch.addresses import GuestPhysical
from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import scenario
from seabus.chains import guest, guest_kernel, host, vmm
from seabus.faults.record import MemoryRecord
from seabus.guest import allocations, kernel_map
from seabus.guest.vmm_memory import VmmPage, guest_page
from seabus.session.session import Session, SessionVictim

pytestmark = pytest.mark.emulated

PAGE = 4096
BLOCK = 2 << 20
IN_KERNEL = qemu_sea_esr(from_el0=False)
IN_PROCESS = qemu_sea_esr(from_el0=True)
LOST = (host.RECORD, host.VMM_TOLD, host.UNMAPPED, host.VCPU_STOPPED, host.ABORT_INJECTED)
SOURCES = ("Linux arch/arm64/mm/fault.c do_sea()", "docs/findings/0005-kernel-consumption-oopses.md")


def lose(world: Session, page: VmmPage) -> MemoryRecord:
    record = MemoryRecord(address=page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure", pfn=page.host_physical.pfn)
    return record


@pytest.fixture
def text(world: Session) -> VmmPage:
    """The page of the guest kernel's text with what answers a read of /proc/version."""
    world.guest.hush()
    where = world.run(kernel_map.KernelMap.of(world.guest.agent))
    symbol = world.run(kernel_map.symbol(world.guest.agent, "version_proc_show"))
    return world.vmm.guest_page(where.of_image(symbol))


@scenario(
    title="A page of the guest kernel's text is lost: its oops reads it again, and the VMM ends",
    fault="memory record, recoverable, at a page of the guest kernel's text",
    expects=(*LOST, guest.ABORT_TAKEN, vmm.GIVES_UP),
    sources=(*SOURCES, "Linux arch/arm64/kernel/traps.c dump_kernel_instr()"),
)
def test_text(world: Session) -> None:
    """The page has what answers a read of /proc/version."""
    where = world.run(kernel_map.KernelMap.of(world.guest.agent))
    symbol = world.run(kernel_map.symbol(world.guest.agent, "version_proc_show"))
    page = world.vmm.guest_page(where.of_image(symbol))
    world.guest.hush()
    world.victim()
    record = lose(world, page)
    world.command("cat", "/proc/version")
    first, abort = host.stops_vcpu(page, esr=IN_KERNEL, from_el=1)
    second, _ = host.stops_vcpu(page, esr=0, again="-again")
    world.expect(
        host.reports(record),
        host.tells_vmm(vmm_pid=world.vmm_pid, address=page.vmm_virtual),
        host.takes_page(page.host_physical.pfn),
        first,
        abort,
        guest.ABORT_TAKEN(after=(host.VCPU_STOPPED,), esr=IN_KERNEL, far=0, optional=True),
        second,
        vmm.gives_up(),
    )


GO = "echo >/run/go"
#: A program reads a byte, which makes the kernel fill a buffer of a page; told to, it goes on with that.
#: Another one has the file open as well: when the last one closes it, the kernel frees the buffer, and writes
#: into it.
READER = """
mkfifo /run/go; exec 3</proc/version; sleep 600 <&3 & dd bs=1 count=1 <&3 of=/dev/null 2>/dev/null
echo >/run/ready; read go </run/go; exec dd bs=1 count=1 <&3 of=/dev/null
"""


@scenario(
    title="An object of the guest kernel's heap is lost: who reads it is killed by an oops",
    fault="memory record, recoverable, at a page of the guest kernel's slab",
    expects=(*LOST, guest.ABORT_TAKEN, guest_kernel.OOPS, guest_kernel.COMMAND_DIES, guest.READS),
    sources=(*SOURCES, "Linux fs/seq_file.c seq_read_iter(): a buffer of a page"),
)
def test_slab(world: Session) -> None:
    world.guest.hush()
    victim = world.victim()
    page, reader = world.run(reading(world))
    record = lose(world, page)
    world.guest.run("sh", "-c", GO)
    world.command_ended(reader, program="dd")
    victim.touch("read")
    world.expect(
        host.reports(record),
        host.tells_vmm(vmm_pid=world.vmm_pid, address=page.vmm_virtual),
        host.takes_page(page.host_physical.pfn),
        host.stops_vcpu(page, esr=IN_KERNEL, from_el=1),
        guest_kernel.aborts(esr=IN_KERNEL, tid=reader),
        guest_kernel.oopses_for_command("dd"),
        guest.reads_intact(victim.victim),
    )


@scenario(
    title="An object of the guest kernel's heap is lost, and the guest stops at an oops: it panics",
    fault="memory record, recoverable, at a page of the guest kernel's slab",
    expects=(*LOST, guest.ABORT_TAKEN, guest_kernel.PANICS),
    sources=(*SOURCES, "Linux arch/arm64/kernel/traps.c die(): panic_on_oops"),
)
def test_slab_of_a_guest_that_stops(world: Session) -> None:
    world.guest.write("/proc/sys/kernel/panic_on_oops", b"1")
    world.guest.write("/proc/sys/kernel/printk", b"1")  # an emergency is printed, and nothing beside it
    victim = world.victim()
    page, reader = world.run(reading(world))
    record = lose(world, page)
    world.guest.run("sh", "-c", GO)
    victim.touch("read")
    world.expect(
        host.reports(record),
        host.tells_vmm(vmm_pid=world.vmm_pid, address=page.vmm_virtual),
        host.takes_page(page.host_physical.pfn),
        host.stops_vcpu(page, esr=IN_KERNEL, from_el=1),
        guest.ABORT_TAKEN(after=(host.VCPU_STOPPED,), esr=IN_KERNEL, far=0, tid=reader, optional=True),
        guest_kernel.panics(),
    )


async def reading(world: Session) -> tuple[VmmPage, int]:
    """A program that has read a part of a file: the page of the kernel's buffer for it, its process id."""
    agent, stage = world.guest.agent, world.stage
    where = await kernel_map.KernelMap.of(agent)
    async with allocations.watched(agent) as made:
        reader = await agent.spawn("/bin/sh", "-c", READER, output="/run/reader.log")
        (await agent.run("sh", "-c", "until test -e /run/ready; do sleep 0.02; done")).must_succeed()
    buffer = next(one.address for one in made.made if one.comm == "dd" and one.address and one.size == PAGE)
    address = where.of_memory(buffer)
    return await guest_page(stage.world.l1, stage.world.l2_qmp, stage.world.vmm_pid, address), reader


@scenario(
    title="A page table of a process is lost: the walk is the process's abort, and its SIGBUS has no address",
    fault="memory record, recoverable, at the level 3 table that maps 2 MiB of a process of the guest",
    expects=(
        *LOST,
        guest.ABORT_TAKEN,
        guest.RECORD,
        guest.UNMAPPED,
        guest_kernel.FORCED,
        guest_kernel.FORCED_INFORMED,
    ),
    sources=("Arm ARM DDI 0487, DFSC of ESR_EL1", "Linux mm/memory-failure.c"),
)
def test_page_table(world: Session) -> None:
    """DAMON walks all page tables now and then; it is told not to, so that the process is the first."""
    world.guest.write("/sys/module/damon_stat/parameters/enabled", b"N")
    made, victim = world.run(populated(world))
    mapped = victim.page_at(-int(victim.address) % BLOCK)
    table = next(
        frame
        for one in made.made
        if one.pfn and one.size == PAGE and "MOVABLE" not in one.flags
        for frame in [GuestPhysical(one.pfn << 12)]
        if maps(world, frame) == mapped.guest_physical.pfn
    )
    assert "pgtable" in world.guest.page_flags(table)
    page = world.vmm.guest_page(table)
    record = lose(world, page)
    victim.touch("read", offset=-int(victim.address) % BLOCK)
    world.expect(
        host.reports(record),
        host.tells_vmm(vmm_pid=world.vmm_pid, address=page.vmm_virtual),
        host.takes_page(page.host_physical.pfn),
        host.stops_vcpu(page, esr=IN_PROCESS),
        guest.ABORT_TAKEN(after=(host.VCPU_STOPPED,), esr=IN_PROCESS, far=0, tid=victim.tid),
        guest.RECORD(
            after=(guest.ABORT_TAKEN,),
            source=guest.SOURCE_SEA,
            severity="recoverable",
            physical_address=int(table),
        ),
        guest.UNMAPPED(
            after=(guest.RECORD,), pfn=table.pfn, result="Ignored", page_type="reserved kernel page"
        ),
        guest_kernel.forces(victim.victim),
    )


async def populated(world: Session) -> tuple[allocations.Allocations, SessionVictim]:
    """A victim with whole blocks of 2 MiB, and what was allocated for it: its page tables, too."""
    async with allocations.watched(world.guest.agent) as made:
        victim = await world.stage.victim(pages=2 * BLOCK // PAGE)
    return made, SessionVictim(world, victim)


def maps(world: Session, table: GuestPhysical) -> int:
    """The page frame that the first entry of a table maps (Arm ARM, VMSAv8-64 descriptors)."""
    said = world.run(
        world.world.l2_qmp.execute("human-monitor-command", {"command-line": f"xp /1gx {table}"})
    )
    entry = re.search(r": (0x[0-9a-f]+)", said)
    return (int(entry[1], 16) >> 12) & ((1 << 36) - 1) if entry else 0
