# SPDX-License-Identifier: Apache-2.0
"""What the host backs the guest's memory with decides how much is lost with one bad page, and who is told.

A page of 4 KiB is lost alone, also where it was part of a transparent huge page: the host splits that first
(mm/memory-failure.c try_to_split_thp_page(); where it cannot, docs/findings/0002). A page of hugetlbfs cannot
be split and is lost as a whole: si_addr_lsb is 21, and 512 pages of the guest are gone, whoever owns them.
QEMU reports to its guest what the guest touched, 4 KiB at a time, since that is what a CPER from it names
(hw/acpi/ghes.c); so the guest learns of the rest page by page, each by an abort of its own.

Memory in a memfd is shared: every process that maps it is found by the reverse mapping and told, even if it
never touched the page (collect_procs_file(): "a vma covers the page"), and read(2) from the file gives EIO.
Nothing that only a stage-2 table maps can be shown here: KVM asks the VMM's page tables first
(virt/kvm/kvm_main.c hva_to_pfn()), and MMU notifiers take its mapping away with theirs, so whatever the guest
can reach its VMM maps. Only guest_memfd is different, and QEMU has none on arm64.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from seabus.arch.addresses import GuestPhysical
from seabus.arch.esr import qemu_sea_esr
from seabus.arch.sigbus import BusCode
from seabus.catalogue import KnownDefectError, known_defect, scenario
from seabus.chains import guest, host, vmm
from seabus.errors import MachineError
from seabus.faults.record import MemoryRecord
from seabus.judge.expectation import Expectation
from seabus.patience import deadline
from seabus.session.session import Session, SessionVictim

pytestmark = pytest.mark.emulated

HUGE = 2 << 20
HUGE_BITS = 21
GIANT_BITS = 30
ESR = qemu_sea_esr(from_el0=True)
#: 16 MiB: some blocks of 2 MiB of the guest's memory will be all its own.
PAGES = 4096
LOST = (host.RECORD, host.VMM_TOLD, host.UNMAPPED)
CONSUMED = (
    *LOST,
    host.VCPU_STOPPED,
    host.ABORT_INJECTED,
    guest.ABORT_TAKEN,
    guest.RECORD,
    guest.VICTIM_SIGNALLED,
    guest.UNMAPPED,
    guest.VICTIM_INFORMED,
)
HUGETLB = ("Linux mm/memory-failure.c try_memory_failure_hugetlb(), me_huge_page()",)


def strike(world: Session, victim: SessionVictim, offset: int = 0) -> MemoryRecord:
    page = victim.page_at(offset)
    record = MemoryRecord(address=page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure", pfn=page.host_physical.pfn)
    return record


def consumes(
    victim: SessionVictim, offset: int, *, lsb: int, again: str = "", optional: bool = False
) -> list[Expectation]:
    """The victim has read a lost page, and the guest gives that page up."""
    page = victim.page_at(offset)
    return [
        *host.stops_vcpu(page, esr=ESR, again=again, lsb=lsb),
        *guest.takes_abort(page, victim.victim, esr=ESR, again=again, optional=optional),
        *guest.signals_victim(page, victim.victim, again=again),
    ]


@scenario(
    title="A page of a transparent huge page of the host is lost alone",
    fault="memory record, recoverable, in a huge page that backs the guest",
    expects=(*CONSUMED, guest.READS),
    sources=("Linux mm/memory-failure.c try_to_split_thp_page()",),
)
@pytest.mark.seabus(l2_backing="thp")
@pytest.mark.parametrize("op", ["read", "write"])
def test_thp(world: Session, op: str) -> None:
    victim = world.victim(pages=3)
    record = strike(world, victim, 4096)
    for offset in (0, 8192):
        victim.touch("read", offset=offset)
    victim.touch(op, offset=4096)
    world.expect(
        host.reports(record),
        host.loses_page(victim.page_at(4096), vmm_pid=world.vmm_pid),
        guest.reads_intact(victim.victim),
        guest.reads_intact(victim.victim, again="-above"),
        consumes(victim, 4096, lsb=12),
    )


@scenario(
    title="A page of 2 MiB that backs the guest is lost as a whole: each page of it is consumed by itself",
    fault="memory record, recoverable, for 4 KiB of a page of hugetlbfs",
    expects=CONSUMED,
    sources=HUGETLB,
)
@pytest.mark.seabus(l2_backing="hugetlb-2M")
@pytest.mark.parametrize(
    "touched",
    [(5,), (0, 511), (0, 1, 5, 100, 255, 256, 510, 511)],
    ids=["the-one-named", "first-and-last", "eight"],
)
def test_hugetlb(world: Session, touched: tuple[int, ...]) -> None:
    victim = world.victim(pages=PAGES)
    block = victim.blocks(HUGE)[0]
    offsets = [block.offsets[number] for number in touched]
    for offset in offsets:
        victim.page_at(offset)
    named = block.offsets[5]
    record = strike(world, victim, named)
    expected: list[Expectation] = []
    for number, offset in enumerate(offsets):
        victim.touch("read", offset=offset)
        again = f"-{number}" if number else ""
        expected += consumes(victim, offset, lsb=HUGE_BITS, again=again, optional=number > 1)
    world.expect(
        host.reports(record),
        host.loses_page(victim.page_at(named), vmm_pid=world.vmm_pid, lsb=HUGE_BITS),
        expected,
    )


@scenario(
    title="A page of 2 MiB that backs the guest is lost, and no other: the blocks around it are intact",
    fault="memory record, recoverable, for 4 KiB of a page of hugetlbfs",
    expects=(*LOST, guest.READS),
    sources=HUGETLB,
)
@pytest.mark.seabus(l2_backing="hugetlb-2M")
def test_hugetlb_neighbours(world: Session) -> None:
    victim = world.victim(pages=PAGES)
    below, block, above = victim.blocks(HUGE)[:3]
    record = strike(world, victim, block.offsets[0])
    victim.touch("read", offset=below.offsets[-1])
    victim.touch("read", offset=above.offsets[0])
    world.expect(
        host.reports(record),
        host.loses_page(victim.page_at(block.offsets[0]), vmm_pid=world.vmm_pid, lsb=HUGE_BITS),
        guest.reads_intact(victim.victim),
        guest.reads_intact(victim.victim, again="-above"),
    )


@scenario(
    title="A page of 2 MiB with the guest's kernel is lost: the guest cannot take its abort, the VMM ends",
    fault="memory record, recoverable, for 4 KiB that nobody uses beside the guest's kernel",
    expects=(*LOST, host.VCPU_STOPPED, host.ABORT_INJECTED, vmm.GIVES_UP),
    sources=("QEMU hw/acpi/ghes.c ghes_record_cper_errors(): one record at a time", *HUGETLB),
)
@pytest.mark.seabus(l2_backing="hugetlb-2M")
def test_hugetlb_under_the_kernel(world: Session) -> None:
    """The page named is the first of the kernel's image, which is never executed: its neighbours are."""
    victim = world.victim()
    code = world.guest.run("grep", "Kernel code", "/proc/iomem").must_succeed().text
    page = world.vmm.guest_page(GuestPhysical(int(code.split("-")[0], 16)))
    record = MemoryRecord(address=page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure")
    victim.touch("read")
    used: dict[str, Any] = {"lsb": HUGE_BITS, "busy": True, "beside": True}
    first, abort = host.stops_vcpu(page, esr=qemu_sea_esr(from_el0=False), from_el=1, **used)
    again = host.signals_vcpu(page, again="-again", **used)
    world.expect(
        host.reports(record),
        host.tells_vmm(vmm_pid=world.vmm_pid, address=page.vmm_virtual, lsb=HUGE_BITS),
        host.takes_page(page.host_physical.pfn, page_type="huge page", result=host.IN_USE),
        first,
        abort,
        again,
        vmm.gives_up(),
    )


@scenario(
    title="A page of 1 GiB is all the guest has: 4 KiB are lost, and the VMM is killed as it uses a ring",
    fault="memory record, recoverable, for 4 KiB of the one page of hugetlbfs that backs the guest",
    expects=(*LOST, vmm.STRUCK, vmm.KILLED),
    sources=HUGETLB,
)
@pytest.mark.soak
@pytest.mark.seabus(l2_backing="hugetlb-1G", l2_memory_mib=1024, l1_memory_mib=3072)
def test_hugetlb_1g(world: Session) -> None:
    """It has a world of 3 GiB to itself, and so runs only when asked for: ``-m soak``.

    What we say to the guest goes through a ring in its memory, which the VMM's main thread reads.
    """
    victim = world.victim()
    record = strike(world, victim)
    victim.touch("read")
    world.expect(
        host.reports(record),
        host.tells_vmm(vmm_pid=world.vmm_pid, address=victim.page.vmm_virtual, lsb=GIANT_BITS),
        host.takes_page(victim.page.host_physical.pfn, page_type="huge page"),
        vmm.is_killed(victim.page, vmm_pid=world.vmm_pid, pending=True, lsb=GIANT_BITS),
    )


@pytest.mark.xfail(
    strict=True,
    raises=KnownDefectError,
    reason="docs/findings/0020: the split of a huge page reads its other pages, and dies of a lost one",
)
@pytest.mark.seabus(l2_backing="hugetlb-2M")
def test_huge_page_of_the_guest(world: Session) -> None:
    """The guest, too, has one page of 2 MiB there: its reader must be signalled, and the guest go on.

    No scenario, since the guest never answers again: what it says last is all that is waited for.
    """
    victim = world.victim(kind="thp")
    strike(world, victim, 0x5000)

    async def read() -> None:
        touching = asyncio.ensure_future(victim.victim.touch(offset=0x5000))
        dying = asyncio.ensure_future(world.stage.until("L2", "trouble"))
        await asyncio.wait({touching, dying}, return_when=asyncio.FIRST_COMPLETED)
        oops = dying.result() if dying.done() else None
        if not touching.done():
            touching.cancel()
            assert oops, "the touch did not return, and the guest's kernel says nothing"
            raise AssertionError(f"the guest's kernel says: {oops.text}")
        dying.cancel()
        assert (await touching).signal is not None

    with known_defect("docs/findings/0020", AssertionError, match="Internal error: synchronous external abo"):
        world.run(read())


MEMFD = "memory-backend-memfd (deleted)"


@scenario(
    title="A second process maps the guest's memory: it is told as well, though it never touched the page",
    fault="memory record, recoverable, in a memfd that two processes of the host map",
    expects=(*CONSUMED, host.PROCESS_TOLD),
    sources=("Linux mm/memory-failure.c collect_procs_file()",),
)
@pytest.mark.seabus(l2_backing="memfd")
def test_second_mapper(world: Session) -> None:
    """It is another QEMU, which asks for early kill as each does; vhost-user back ends map memory so, too."""
    victim = world.victim()
    area = world.vmm.area(MEMFD)
    other = world.run(second_mapper(world))
    record = strike(world, victim)
    victim.touch("read")
    world.expect(
        host.reports(record),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.PROCESS_TOLD(
            code=int(BusCode.BUS_MCEERR_AO),
            tid=other,
            lsb=12,
            result=host.DELIVERED,
        ),
        consumes(victim, 0, lsb=12),
    )
    assert world.run(world.world.l1.request("alive", pid=other))["alive"]
    assert area.start < victim.page.vmm_virtual < area.end


async def second_mapper(world: Session) -> int:
    """A QEMU without a guest that has the VMM's memory for its own; its process id."""
    l1, pid = world.world.l1, world.vmm_pid
    links = (await l1.run("ls", "-l", f"/proc/{pid}/fd")).must_succeed().text.splitlines()
    descriptor = next(line for line in links if "memfd:" in line).split(" -> ")[0].split()[-1]
    backend = f"memory-backend-file,id=ram,size={world.config.l2_memory_mib}M,share=on"
    words = ["-machine", "none", "-nodefaults", "-display", "none", "-S"]
    words += ["-object", f"{backend},mem-path=/proc/{pid}/fd/{descriptor}"]
    other = await l1.spawn("/usr/bin/qemu-system-aarch64", *words, output="/run/seabus/second.log")
    async with deadline(30, "the second process to map the guest's memory"):
        while b"memfd:" not in await l1.read(f"/proc/{other}/maps"):
            if not (await l1.request("alive", pid=other))["alive"]:
                raise MachineError("the second process ended", hint="/run/seabus/second.log in L1")
    return other


@scenario(
    title="The guest's memory is read as a file: EIO at the lost page, and no signal",
    fault="memory record, recoverable, in a memfd",
    expects=LOST,
    sources=("Linux mm/shmem.c shmem_file_read_iter(): a poisoned folio is EIO",),
)
@pytest.mark.seabus(l2_backing="memfd")
def test_read_as_a_file(world: Session) -> None:
    victim = world.victim()
    at = (victim.page.vmm_virtual - world.vmm.area(MEMFD).start) // 4096
    script = (
        f"for f in /proc/{world.vmm_pid}/fd/*; do case $(readlink $f) in /memfd:*)"
        f" dd if=$f bs=4096 count=1 of=/dev/null skip=$1; exit; esac; done"
    )
    good = world.host.run("sh", "-c", script, "sh", str(at))
    record = strike(world, victim)
    bad = world.host.run("sh", "-c", script, "sh", str(at))
    beside = world.host.run("sh", "-c", script, "sh", str(at + 1))
    world.expect(host.reports(record), host.loses_page(victim.page, vmm_pid=world.vmm_pid))
    assert (good.exit, bad.exit, beside.exit) == (0, 1, 0)
    assert b"Input/output error" in bad.stderr
