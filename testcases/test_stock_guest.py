# SPDX-License-Identifier: Apache-2.0
"""A guest that somebody brought: a stock Debian with systemd, into which QEMU's guest agent brings ours.

The kernel is the same, all else is not: init, libraries, and the programs that lose a page. QEMU's own guest
agent is a witness: it reads the log as an administrator would, and sees how its programs end.

Systemd takes two minutes to boot at this level, once, so these run only when asked for: ``-m soak``.
"""

from __future__ import annotations

import pytest

from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import scenario
from seabus.chains import guest, guest_qga, host
from seabus.faults.record import MemoryRecord
from seabus.images import stock
from seabus.images.store import Store
from seabus.session.session import Session

pytestmark = [pytest.mark.emulated, pytest.mark.soak]

CHAIN = (
    host.RECORD,
    host.VMM_TOLD,
    host.UNMAPPED,
    host.VCPU_STOPPED,
    host.ABORT_INJECTED,
    guest.ABORT_TAKEN,
    guest.RECORD,
    guest.VICTIM_SIGNALLED,
    guest.UNMAPPED,
    guest_qga.LOGGED,
)
ESR = qemu_sea_esr(from_el0=True)
#: Its root is 100 MiB, which firmware, and then the kernel, has in memory twice.
ROOM = {"l1_memory_mib": 2560, "l2_memory_mib": 768}
#: Owns a few pages, says where the first whole one is, waits, and reads it.
PERL = r"""
mkfifo /run/go && exec perl -e '
    my $memory = "x" x 16384;
    my $start = unpack("J", pack("P", $memory));
    my $page = ($start + 4095) & ~4095;
    open my $told, ">", "/run/page"; print $told $page; close $told;
    open my $go, "<", "/run/go"; <$go>;
    print substr($memory, $page - $start, 8), "\n";
'
"""


@pytest.fixture
def stock_guest(request: pytest.FixtureRequest) -> None:
    """The world's guest is a Debian as it is; asked for before the world."""
    initrd = stock.get(Store(), say=lambda _: None)
    request.node.add_marker(pytest.mark.seabus(l2_initrd=initrd, **ROOM))


@scenario(
    title="A stock guest: the whole chain, and its log as QEMU's guest agent reads it",
    fault="memory record, recoverable, in a Debian with systemd",
    expects=(*CHAIN, guest.VICTIM_INFORMED),
)
@pytest.mark.usefixtures("stock_guest")
def test_consumed(world: Session) -> None:
    victim = world.victim()
    record = MemoryRecord(address=victim.page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure")
    victim.touch("read")
    world.read_guest_log()
    world.expect(
        host.reports(record),
        host.loses_page(victim.page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(victim.page, esr=ESR),
        guest.takes_abort(victim.page, victim.victim, esr=ESR),
        guest.signals_victim(victim.page, victim.victim),
        guest_qga.logged(victim.page),
    )


@scenario(
    title="A stock guest: a program that knows nothing of memory errors is killed, and it alone",
    fault="memory record, recoverable, at a page of a perl process",
    expects=(*CHAIN, guest_qga.PROGRAM_DIES),
)
@pytest.mark.usefixtures("stock_guest")
def test_a_program_dies(world: Session) -> None:
    world.victim()  # brings the bystander
    program = world.program(PERL)
    told = world.guest.run("sh", "-c", "until test -s /run/page; do sleep 0.05; done; cat /run/page")
    page = world.page_of(program.pid, int(told.text))
    record = MemoryRecord(address=page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure")
    world.guest.run("sh", "-c", "echo now >/run/go")
    world.run(program.ended())
    world.read_guest_log()
    world.expect(
        host.reports(record),
        host.loses_page(page, vmm_pid=world.vmm_pid),
        host.stops_vcpu(page, esr=ESR),
        guest.takes_abort(page, program, esr=ESR),
        guest.loses_page(page, program),
        guest_qga.logged(page),
        guest_qga.program_dies(),
    )
