# SPDX-License-Identifier: Apache-2.0
"""A process of the host loses a page of its page cache, on a file system with a disk behind it.

What the disk still has costs nothing: the page is dropped, nobody is signalled, not even who asked for early
kill, and the next access reads it again (mm/memory-failure.c, hwpoison_user_mappings(): "corrupted page was
clean: dropped without side effects"). What was written and not yet saved is lost: who touches it is
signalled, and fsync(2) says EIO (me_pagecache_dirty(), mapping_set_error()).

The disk is a FUSE file system of our own agent's: the host here is all initramfs, where no page is clean.
FUSE keeps a reference to a dirty page, so the kernel calls that outcome "Failed": the page is unmapped and
never used again all the same.
"""

from __future__ import annotations

import errno

import pytest

from seabus.catalogue import scenario
from seabus.chains import guest, host
from seabus.faults.record import MemoryRecord
from seabus.guest.disk import mount_disk
from seabus.guest.touch import MceKill
from seabus.session.session import Session, SessionVictim

pytestmark = pytest.mark.emulated

POLICIES = ["early", "late"]
CLEAN = ("Linux mm/memory-failure.c me_pagecache_clean(), hwpoison_user_mappings()",)
DIRTY = ("Linux mm/memory-failure.c me_pagecache_dirty()",)


def on_disk(world: Session, kind: str, mce_kill: MceKill, *, dirty: bool = False) -> SessionVictim:
    path = world.run(mount_disk(world.world.l1))
    return world.victim(level="L1", kind=kind, path=path, dirty=dirty, mce_kill=mce_kill)


def strike(world: Session, victim: SessionVictim) -> tuple[MemoryRecord, int]:
    page = victim.host_page()
    record = MemoryRecord(address=page)
    world.inject(record)
    world.until("L1", "memory_failure")
    return record, page.pfn


@scenario(
    title="A clean page of a file, or of a program's text, is read back: nobody is signalled",
    fault="memory record, recoverable, at a clean page of the host's page cache",
    expects=(host.RECORD, host.UNMAPPED, host.READS, guest.READS),
    sources=CLEAN,
)
@pytest.mark.parametrize("mce_kill", POLICIES)
@pytest.mark.parametrize(("kind", "op"), [("code-file", "fetch"), ("file", "read")], ids=["text", "file"])
def test_clean(world: Session, kind: str, op: str, mce_kill: MceKill) -> None:
    inside = world.victim()
    victim = on_disk(world, kind, mce_kill)
    record, pfn = strike(world, victim)
    victim.touch(op)
    inside.touch("read")
    world.expect(
        host.reports(record),
        host.takes_page(pfn, page_type="clean LRU page"),
        host.READS(after=(host.UNMAPPED,), op=op, intact=True, tid=victim.tid),
        guest.reads_intact(inside.victim),
    )


@scenario(
    title="A dirty page of a file is lost: who touches it is signalled, and fsync says so",
    fault="memory record, recoverable, at a dirty page of the host's page cache",
    expects=(
        host.RECORD,
        host.UNMAPPED,
        host.PROCESS_SIGNALLED,
        host.PROCESS_INFORMED,
        host.SYNC_FAILS,
    ),
    sources=DIRTY,
)
@pytest.mark.parametrize("access", ["read", "write"])
def test_dirty(world: Session, access: str) -> None:
    victim = on_disk(world, "file", "late", dirty=True)
    record, pfn = strike(world, victim)
    victim.touch(access)
    victim.touch("fsync")
    world.expect(
        host.reports(record),
        host.takes_page(pfn, page_type="dirty LRU page", result="Failed"),
        host.signals_process(int(victim.address), tid=victim.tid),
        host.SYNC_FAILS(after=(host.UNMAPPED,), op="fsync", errno=errno.EIO, tid=victim.tid),
    )


@scenario(
    title="A dirty page of a file is lost, of a process that asked for early kill: it is told at once",
    fault="memory record, recoverable, at a dirty page of the host's page cache",
    expects=(host.RECORD, host.PROCESS_TOLD, host.PROCESS_HEARS, host.UNMAPPED, host.SYNC_FAILS),
    sources=DIRTY,
)
def test_dirty_early(world: Session) -> None:
    victim = on_disk(world, "file", "early", dirty=True)
    record, pfn = strike(world, victim)
    victim.hear()
    victim.touch("fsync")
    world.expect(
        host.reports(record),
        host.tells_process(int(victim.address), tid=victim.tid),
        host.takes_page(pfn, page_type="dirty LRU page", result="Failed"),
        host.SYNC_FAILS(after=(host.UNMAPPED,), op="fsync", errno=errno.EIO, tid=victim.tid),
    )
