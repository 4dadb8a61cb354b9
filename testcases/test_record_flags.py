# SPDX-License-Identifier: Apache-2.0
"""The same page, reported with the flags that an entry may carry (UEFI 2.11 N.2.2, table N.6).

Linux acts on one of them alone, and on that only where the error was corrected: "error threshold exceeded"
announces a page that will fail, so its content is moved to another while it can still be read, and nobody is
signalled (drivers/acpi/apei/ghes.c ghes_handle_memory_failure(), MF_SOFT_OFFLINE; Documentation/mm/
hwpoison.rst). "Latent" - there, and not consumed - is what recoverable records are treated as anyway.
No flag makes a recoverable error less, or a corrected one more, than its severity says.
"""

from __future__ import annotations

import pytest

from seabus.arch.cper import Severity
from seabus.catalogue import scenario
from seabus.chains import guest, host
from seabus.faults.record import MemoryRecord
from seabus.session.session import Session

pytestmark = pytest.mark.emulated

#: UEFI 2.11 table N.6.
FLAGS = {
    "containment-warning": 1 << 1,
    "latent": 1 << 5,
    "overflow": 1 << 7,
    "primary": 1 << 0,
    "propagated": 1 << 6,
    "reset": 1 << 2,
    "resource-not-accessible": 1 << 4,
}
THRESHOLD = 1 << 3
GHES = ("Linux drivers/acpi/apei/ghes.c ghes_handle_memory_failure()",)


@scenario(
    title="A corrected error over its threshold: the page is moved, and nobody notices",
    fault="memory record, corrected, error threshold exceeded",
    expects=(host.RECORD, host.PAGE_MOVED, guest.READS),
    sources=GHES,
)
@pytest.mark.parametrize("count", [1, 2], ids=["one-page", "two-pages"])
def test_over_threshold(world: Session, count: int) -> None:
    victim = world.victim(pages=count)
    pages = [victim.page_at(4096 * number) for number in range(count)]
    expected = []
    for number, page in enumerate(pages):
        record = MemoryRecord(address=page.host_physical, severity=Severity.CORRECTED, flags=THRESHOLD)
        world.inject(record)
        victim.moves(4096 * number)
        victim.touch("read", offset=4096 * number)
        again = f"-{number}" if number else ""
        expected += [
            host.reports(record, again=again),
            host.PAGE_MOVED(again=again, after=(host.RECORD,), pfn=page.host_physical.pfn),
            guest.reads_intact(victim.victim, again=again),
        ]
    world.expect(expected)


@scenario(
    title="A threshold that was exceeded says nothing of an error that is informational",
    fault="memory record, informational, error threshold exceeded",
    expects=(host.RECORD, guest.READS),
    sources=GHES,
)
def test_informational_over_threshold(world: Session) -> None:
    logged_only(world, Severity.INFORMATIONAL, THRESHOLD)


@scenario(
    title="A corrected error with any other flag is logged only",
    fault="memory record, corrected, with a flag",
    expects=(host.RECORD, guest.READS),
    sources=GHES,
)
@pytest.mark.parametrize("flag", sorted(FLAGS))
def test_corrected(world: Session, flag: str) -> None:
    logged_only(world, Severity.CORRECTED, FLAGS[flag])


def logged_only(world: Session, severity: Severity, flags: int) -> None:
    victim = world.victim()
    record = MemoryRecord(address=victim.page.host_physical, severity=severity, flags=flags)
    world.inject(record)
    world.settle(0.3)
    victim.locate()
    victim.touch("read")
    world.expect(host.reports(record), guest.reads_intact(victim.victim))


@scenario(
    title="A recoverable error takes the page, whatever its flags say",
    fault="memory record, recoverable, with a flag",
    expects=(host.RECORD, host.VMM_TOLD, host.UNMAPPED),
    sources=GHES,
)
@pytest.mark.parametrize("flag", [*sorted(FLAGS), "threshold-exceeded"])
def test_recoverable(world: Session, flag: str) -> None:
    victim = world.victim()
    record = MemoryRecord(address=victim.page.host_physical, flags=FLAGS.get(flag, THRESHOLD))
    world.inject(record)
    world.until("L1", "memory_failure")
    world.expect(host.reports(record), host.loses_page(victim.page, vmm_pid=world.vmm_pid))
