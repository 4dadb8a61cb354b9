# SPDX-License-Identifier: Apache-2.0
"""What comes after an error: a reset of the guest, another VMM, a migration, a snapshot.

Page frames of the host stay lost until it reboots. The guest's own pages are the VMM's to replace: QEMU keeps
a list of those that are lost, gives the guest new ones at a reset (accel/kvm/kvm-all.c kvm_unpoison_all()),
and refuses to migrate before (migration/migration.c migrate_prepare()).
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import KnownDefectError, known_defect, scenario
from seabus.chains import guest, host, vmm
from seabus.faults.record import MemoryRecord
from seabus.judge.expectation import Expectation
from seabus.judge.verdict import NotAsExpectedError
from seabus.patience import STEP, scale
from seabus.session.session import Session, SessionVictim

pytestmark = pytest.mark.emulated

TOLD = (host.RECORD, host.VMM_TOLD, host.UNMAPPED)
CONSUMED = (
    *TOLD,
    host.VCPU_STOPPED,
    host.ABORT_INJECTED,
    guest.ABORT_TAKEN,
    guest.RECORD,
    guest.VICTIM_SIGNALLED,
    guest.UNMAPPED,
    guest.VICTIM_INFORMED,
)
ESR = qemu_sea_esr(from_el0=True)
NOT_NOW = "Can't migrate this vm with hardware poisoned memory, please reboot the vm and try again"
SNAPSHOT = "/run/snapshot.qcow2"
#: Its main thread is signalled and is gone, without an answer; of the fault all is as it must be.
KILLED_BY_READING = (
    r"- the VMM died: without a word\n  - missing: vmm-refuses [^\n]*\n"
    r"  - extra at L1: sig=7 errno=0 code=4 comm=qemu-system-aar [^\n]*$"
)


def lose(world: Session, victim: SessionVictim, *, again: str = "") -> list[Expectation]:
    """The page goes bad, and nobody touches it."""
    record = MemoryRecord(address=victim.page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure", pfn=victim.page.host_physical.pfn)
    return [
        host.reports(record, again=again),
        *host.loses_page(victim.page, vmm_pid=world.vmm_pid, again=again),
    ]


def consume(world: Session, victim: SessionVictim, *, again: str = "") -> list[Expectation]:
    """The page goes bad, and the victim reads it."""
    told = lose(world, victim, again=again)
    victim.touch("read")
    return [
        *told,
        *host.stops_vcpu(victim.page, esr=ESR, again=again),
        *guest.takes_abort(victim.page, victim.victim, esr=ESR, again=again),
        *guest.signals_victim(victim.page, victim.victim, again=again),
    ]


@scenario(
    title="A guest that lost a page is reset: it gets another, and can be migrated",
    fault="memory record, recoverable, consumed; another one in the guest's next life",
    expects=(*CONSUMED, vmm.BOOTED, vmm.REMAPPED, host.STAYS_LOST, vmm.AGREES, vmm.MIGRATED),
    sources=("QEMU system/physmem.c qemu_ram_remap()", "Linux Documentation/mm/hwpoison.rst"),
)
def test_reset(world: Session) -> None:
    victim = world.victim()
    before = consume(world, victim)
    world.reset_guest()
    world.look_behind(victim.page)
    world.look_at_frame(victim.page.host_physical)
    world.migrate("file:/run/guest.state")
    world.expect(
        before,
        vmm.lives_anew(),
        vmm.REMAPPED(after=(vmm.BOOTED,), pfn=victim.page.host_physical.pfn, elsewhere=True),
        host.frame_stays_lost(victim.page),
        vmm.migrates(),
        consume(world, world.victim(), again="-anew"),
    )


@scenario(
    title="Another VMM is started after one lost a page of its guest",
    fault="memory record, recoverable, consumed; another one in the next guest",
    expects=(*CONSUMED, vmm.BOOTED, host.STAYS_LOST),
    sources=("Linux Documentation/mm/hwpoison.rst",),
)
def test_another_vmm(world: Session) -> None:
    victim = world.victim()
    before = consume(world, victim)
    world.restart_vmm()
    world.look_at_frame(victim.page.host_physical)
    world.expect(
        before,
        vmm.lives_anew(),
        host.frame_stays_lost(victim.page),
        consume(world, world.victim(), again="-anew"),
    )


@scenario(
    title="A guest that lost a page, and consumed it, is not migrated",
    fault="memory record, recoverable",
    expects=(*CONSUMED, vmm.REFUSES),
)
def test_migration_after_it_was_consumed(world: Session) -> None:
    chain = consume(world, world.victim())
    world.ask_vmm("migrate", uri="file:/run/guest.state")
    world.expect(chain, vmm.refuses("migrate", why=NOT_NOW))


@scenario(
    title="A guest that lost a page, and does not know, is not migrated either",
    fault="memory record, recoverable, not consumed",
    expects=(*TOLD, vmm.REFUSES),
)
def test_migration_before_it_is_consumed(world: Session) -> None:
    chain = lose(world, world.victim())
    world.ask_vmm("migrate", uri="file:/run/guest.state")
    world.expect(chain, vmm.refuses("migrate", why=NOT_NOW))


@scenario(
    title="A snapshot of a guest that lost a page is refused, like a migration",
    fault="memory record, recoverable",
    expects=(*CONSUMED, vmm.REFUSES),
    sources=("docs/findings/0030-snapshot-kills-poisoned-guest.md",),
)
@pytest.mark.xfail(
    raises=KnownDefectError, strict=True, reason="QEMU reads the page and dies: docs/findings/0030"
)
def test_snapshot(world: Session) -> None:
    chain = consume(world, world.victim())
    with_disk(world)
    world.ask_vmm("snapshot-save", **{"job-id": "save", "tag": "now", "vmstate": "disk", "devices": ["disk"]})
    with known_defect("docs/findings/0030", NotAsExpectedError, match=KILLED_BY_READING):
        world.expect(chain, vmm.refuses("snapshot-save", why=NOT_NOW))


def with_disk(world: Session) -> None:
    """Give the VMM an image that can hold the state of a machine."""
    qmp = world.world.l2_qmp

    def do(command: str, **arguments: Any) -> Any:  # noqa: ANN401 - any schema
        return world.run(qmp.execute(command, arguments))

    def create(**options: object) -> None:
        do("blockdev-create", **{"job-id": "create", "options": options})
        late = time.monotonic() + STEP * scale()
        while do("query-jobs")[0]["status"] != "concluded":
            assert time.monotonic() < late, "waited for an image to be made"
        do("job-dismiss", id="create")

    create(driver="file", filename=SNAPSHOT, size=0)
    do("blockdev-add", driver="file", filename=SNAPSHOT, **{"node-name": "file"})
    create(driver="qcow2", file="file", size=1 << 30)
    do("blockdev-add", driver="qcow2", file="file", **{"node-name": "disk"})
