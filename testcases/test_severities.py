# SPDX-License-Identifier: Apache-2.0
"""The same page, reported with other severities (UEFI 2.11 N.2.1, ACPI 6.5 table 18.12).

Only a recoverable error takes a page away. A corrected or informational one is logged. A fatal one stops the
host before it can spread, with its record as the last words.
"""

from __future__ import annotations

import pytest

from seabus.arch.cper import Severity
from seabus.catalogue import scenario
from seabus.chains import guest, host
from seabus.faults.record import MemoryRecord
from seabus.session.session import Session

pytestmark = pytest.mark.emulated


@scenario(
    title="An error that firmware corrected, or only mentions, changes nothing",
    fault="memory record, corrected or informational",
    expects=(host.RECORD, guest.READS),
    sources=("Linux drivers/acpi/apei/ghes.c ghes_handle_memory_failure()",),
)
@pytest.mark.parametrize(
    "severity",
    [
        pytest.param(Severity.CORRECTED, id="corrected"),
        pytest.param(Severity.INFORMATIONAL, id="informational"),
    ],
)
def test_logged_only(world: Session, severity: Severity) -> None:
    victim = world.victim()
    record = MemoryRecord(address=victim.page.host_physical, severity=severity)
    world.inject(record)
    world.settle(0.3)
    victim.locate()  # had the page been moved, that would be seen
    victim.touch("read")
    world.expect(host.reports(record), guest.reads_intact(victim.victim))


@scenario(
    title="A fatal error stops the host, with the record on its console",
    fault="memory record, fatal",
    expects=(host.RECORD_ON_CONSOLE, host.PANICS),
    sources=("Linux drivers/acpi/apei/ghes.c ghes_panic()",),
)
def test_fatal(world: Session) -> None:
    victim = world.victim()
    record = MemoryRecord(address=victim.page.host_physical, severity=Severity.FATAL)
    world.inject(record)
    world.expect(host.panics(record, message="Kernel panic - not syncing: GHES: Fatal hardware error"))
