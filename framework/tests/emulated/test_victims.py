# SPDX-License-Identifier: Apache-2.0
"""Victims in a real guest: every kind of memory, every op, and what poison of the guest's own does to them.

Only the emulated guest is ever poisoned here.
"""

from __future__ import annotations

import errno
from typing import Any

import pytest

from seabus.arch.addresses import HostPhysical
from seabus.arch.sigbus import SIGBUS, BusCode, SigbusInfo
from seabus.channel.agent import Agent
from seabus.errors import AgentError
from seabus.guest.disk import mount_disk
from seabus.guest.touch import Op, Touch
from seabus.guest.victim import Victim
from seabus.plugin import Worlds
from seabus.world.world import World

pytestmark = pytest.mark.emulated

PAGE = 4096
HUGE = 2 << 20
#: Between the devices and PCI of QEMU's virt machine nothing answers (QEMU hw/arm/virt.c, base_memmap).
HOLE = HostPhysical(0x0F00_0000)
#: Abort from EL0, IL, DFSC 0x10: synchronous external abort, not on a table walk (Arm ARM, ESR_EL1).
EXTERNAL_ABORT = 0x9200_0010

KINDS: list[dict[str, Any]] = [
    {"kind": "anon"},
    {"kind": "anon", "locked": True},
    {"kind": "thp"},
    {"kind": "hugetlb"},
    {"kind": "hugetlb", "shared": True},
    {"kind": "hugetlb", "page_size": 65536},
    {"kind": "shmem"},
    {"kind": "memfd"},
    {"kind": "memfd", "page_size": HUGE},
    {"kind": "file"},
    {"kind": "file", "dirty": True},
    {"kind": "file", "path": "/ram/file"},
    {"kind": "zero"},
    {"kind": "code"},
    {"kind": "code-file"},
]


async def reserve(agent: Agent) -> None:
    """Huge pages, and a file system that is nothing but page cache."""
    await agent.write("/proc/sys/vm/nr_hugepages", b"8")
    await agent.write("/sys/kernel/mm/hugepages/hugepages-64kB/nr_hugepages", b"8")
    (await agent.run("mkdir", "-p", "/ram")).must_succeed()
    (await agent.run("mount", "-t", "ramfs", "ramfs", "/ram")).must_succeed()


async def poison(victim: Victim, offset: int = 0, *, thread: int = 0) -> Touch:
    return await victim.touch(op="madvise", advice="hwpoison", offset=offset, size=PAGE, thread=thread)


def assert_consumed(signal: SigbusInfo | None, address: int, *, lsb: int = 12) -> None:
    assert signal is not None
    assert (signal.signo, signal.code) == (SIGBUS, BusCode.BUS_MCEERR_AR)
    assert (signal.address, signal.lsb) == (address, lsb)


def test_every_kind_holds_its_data(seabus_worlds: Worlds) -> None:
    async def play(world: World) -> None:
        await reserve(world.l2)
        for options in KINDS:
            victim = await Victim.make(world.l2, **options)
            for offset in (0, PAGE - 8, victim.length - 8):
                assert (await victim.touch(offset=offset)).intact, options
            wants_huge = victim.page_size > PAGE
            assert victim.huge == (victim.length if wants_huge else 0), options
            assert (victim.filesystem is None) == ("file" not in victim.kind and victim.kind != "memfd")
            if victim.kind.startswith("code"):
                called = await victim.touch(op="fetch", offset=24)
                assert (called.value, called.intact) == (3, True)
            await victim.end()
        with pytest.raises(AgentError, match="huge pages") as missing:
            await Victim.make(world.l2, kind="hugetlb", page_size=1 << 30)
        assert missing.value.errno == errno.ENOMEM

    seabus_worlds.run(play)


ACCESSES: list[Op] = ["read", "load-pair", "simd-load", "write", "store-pair", "simd-store"]
ADDITIONS: list[Op] = ["atomic-add", "exclusive-add"]
NO_DATA: list[Op] = ["prefetch", "clean", "clean-invalidate", "invalidate-code"]
COPIES: list[Op] = ["sys-write", "sys-vmsplice", "sys-vm-read"]
SUCCEEDING: list[Op] = ["sys-fork", "mlock", "munlock", "msync", "sys-futex-wake-op", "sys-futex-requeue"]


def test_every_op_works_on_good_memory(seabus_worlds: Worlds) -> None:
    async def play(world: World) -> None:
        victim = await Victim.make(world.l2, pages=2)
        across = PAGE - 4
        for op in (*ACCESSES, *COPIES):
            assert (await victim.touch(op=op, offset=across)).intact, op
        for op in ADDITIONS:
            assert (await victim.touch(op=op, offset=64)).intact, op
            assert (await victim.touch(offset=64)).intact, op
        for op in (*NO_DATA, *SUCCEEDING):
            assert (await victim.touch(op=op)).result == 0, op
        block = (await victim.touch(op="zero", offset=256)).result
        assert block is not None
        assert block >= 16
        assert (await victim.touch(offset=256)).value == 0
        assert (await victim.touch(op="sys-read", size=5000)).result == 5000
        assert (await victim.touch(op="sys-futex-wait")).errno == errno.ETIMEDOUT
        assert (await victim.touch(op="sys-mincore", size=2 * PAGE)).result == 2
        direct = await victim.touch(op="sys-direct-write", path="/tmp/direct")
        assert direct.result == PAGE or direct.errno == errno.EINVAL
        partner = await victim.partner()
        for op in ("sys-vm-read", "sys-ptrace-peek"):
            assert (await partner.touch(op=op, offset=8, target=victim)).intact
        assert (await victim.touch(op="fsync")).errno == errno.EBADF
        moved = await victim.moved()
        assert moved.address != victim.address
        for offset in (0, 256, across):
            assert (await moved.touch(offset=offset)).intact
        assert (await moved.touch(op="renew")).result == 0
        assert (await moved.touch()).intact
        # An atomic access that crosses into the next page is no access at all.
        unaligned = await moved.touch(op="exclusive-add", offset=across)
        assert unaligned.signal is not None
        assert unaligned.signal.code == BusCode.BUS_ADRALN

    seabus_worlds.run(play)


@pytest.mark.parametrize(
    ("options", "lsb"),
    [
        ({"kind": "anon"}, 12),
        ({"kind": "anon", "locked": True}, 12),
        ({"kind": "thp"}, 12),  # split: one of its pages is lost
        ({"kind": "hugetlb"}, 21),  # not split: all of it is
        ({"kind": "hugetlb", "page_size": 65536}, 16),
        ({"kind": "shmem"}, 12),
        ({"kind": "code"}, 12),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else str(value),
)
def test_poison_is_met_by_a_signal(seabus_worlds: Worlds, options: dict[str, Any], lsb: int) -> None:
    """And the kernel's own accesses by EFAULT; a new page in its place is a good one."""

    async def play(world: World) -> None:
        await reserve(world.l2)
        victim = await Victim.make(world.l2, **options)
        injected = await poison(victim)
        assert injected.result == 0
        assert_consumed(injected.signal, int(victim.address), lsb=lsb)
        access: Op = "fetch" if victim.kind == "code" else "load-pair"
        assert_consumed((await victim.touch(op=access)).signal, int(victim.address), lsb=lsb)
        reads: list[Op] = ["sys-write", "sys-vm-read", "sys-futex-wait", "sys-futex-wake-op", "sys-vmsplice"]
        for op in reads:
            copied = await victim.touch(op=op)
            assert copied.errno == errno.EFAULT, op
            assert copied.signal is None, op
        assert (await victim.touch(op="prefetch")).result == 0
        heard = await victim.signals()
        assert [signal.touching for signal in heard.signals] == [True, True]
        if victim.kind == "thp":
            assert (await victim.touch(op="huge")).result == 0
            assert (await victim.touch(offset=PAGE)).intact
        if victim.kind == "code" or (victim.kind == "shmem"):
            return  # no data to put back; a shared page stays with its file
        assert (await victim.touch(op="renew", size=victim.page_size)).result == 0
        assert (await victim.touch()).intact

    seabus_worlds.run(play)


def test_a_poisoned_file_page_is_an_io_error(seabus_worlds: Worlds) -> None:
    async def play(world: World) -> None:
        victim = await Victim.make(world.l2, kind="file", path="/tmp/file")
        assert (await victim.touch(op="sys-pread")).intact
        assert (await poison(victim)).result == 0
        assert (await victim.touch(op="sys-pread")).errno == errno.EIO
        with pytest.raises(AgentError) as failed:
            await world.l2.read("/tmp/file")
        assert failed.value.errno == errno.EIO

    seabus_worlds.run(play)


def test_a_clean_page_of_a_disk_is_read_again(seabus_worlds: Worlds) -> None:
    async def play(world: World) -> None:
        victim = await Victim.make(world.l2, kind="file", path=await mount_disk(world.l2), pages=2)
        assert (await victim.touch()).intact
        injected = await poison(victim)
        assert (injected.result, injected.signal) == (0, None)
        assert (await victim.touch()).intact
        assert (await victim.touch(op="sys-pread")).intact
        assert (await victim.signals()).count == 0

    seabus_worlds.run(play)


def test_a_dirty_page_of_a_disk_is_lost_and_that_is_said_once(seabus_worlds: Worlds) -> None:
    async def play(world: World) -> None:
        path = await mount_disk(world.l2)
        victim = await Victim.make(world.l2, kind="file", path=path, pages=2, dirty=True)
        assert_consumed((await poison(victim)).signal, int(victim.address))
        assert_consumed((await victim.touch()).signal, int(victim.address))
        assert (await victim.touch(offset=PAGE)).intact
        assert (await victim.touch(op="msync")).errno == errno.EIO
        assert (await victim.touch(op="msync")).result == 0
        other = await mount_disk(world.l2, "/run/other-disk")
        assert (await victim.touch(op="sys-direct-write", path=other)).errno == errno.EFAULT
        assert (await victim.touch(op="sys-direct-write", path=other, offset=PAGE)).result == PAGE

    seabus_worlds.run(play)


def test_soft_offline_moves_the_data(seabus_worlds: Worlds) -> None:
    async def play(world: World) -> None:
        victim = await Victim.make(world.l2)

        async def frame() -> str:
            pages = await world.l2.request("pagemap", pid=victim.pid, address=hex(int(victim.address)))
            return str(pages["pages"][0]["pfn"])

        before = await frame()
        assert (await victim.touch(op="madvise", advice="soft-offline")).result == 0
        assert await frame() not in (before, "0x0")
        assert (await victim.touch()).intact
        assert (await victim.signals()).count == 0

    seabus_worlds.run(play)


def test_every_process_that_maps_a_page_is_told(seabus_worlds: Worlds) -> None:
    """At once, to the thread that asked for it; or when it touches; or in no way, if it will not hear."""

    async def play(world: World) -> None:
        origin = await Victim.make(world.l2, kind="shmem")
        early = await origin.partner(threads=3)
        late = await origin.partner()
        deaf = await origin.partner(mce_kill="early", disposition="ignore")
        assert (await early.touch(op="mce-kill", policy="early", thread=2)).result == 0
        assert (await poison(origin)).result == 0
        (told,) = (await early.heard()).signals
        assert (told.info.code, told.touching) == (BusCode.BUS_MCEERR_AO, False)
        assert (told.info.address, told.info.lsb) == (int(early.address), 12)
        assert told.info.tid == early.tids[2]
        for quiet in (late, deaf):
            heard = await quiet.signals()
            assert (heard.count, heard.died) == (0, None)
        for partner in (early, late):
            assert_consumed((await partner.touch()).signal, int(partner.address))
        assert (await deaf.touch()).died == {"signal": SIGBUS}

    seabus_worlds.run(play)


def test_private_pages_part_before_and_not_after(seabus_worlds: Worlds) -> None:
    """A page of two processes that is yet to be copied on write is both of theirs."""

    async def play(world: World) -> None:
        parent = await Victim.make(world.l2, pages=2)
        child = await parent.partner()
        assert (await child.touch(op="write", offset=PAGE)).intact
        for offset in (0, PAGE):
            assert (await poison(parent, offset)).result == 0
        assert_consumed((await child.touch()).signal, int(child.address))
        assert (await child.touch(offset=PAGE)).intact
        assert_consumed((await parent.touch(offset=PAGE)).signal, int(parent.address) + PAGE)

    seabus_worlds.run(play)


def test_a_loop_ends_as_its_page_goes_bad(seabus_worlds: Worlds) -> None:
    async def play(world: World) -> None:
        victim = await Victim.make(world.l2, threads=2)
        async with victim.looping(thread=1) as loop:
            assert (await poison(victim)).result == 0
            ended = await loop.ended()
        assert_consumed(ended.signal, int(victim.address))
        assert ended.signal is not None
        assert ended.signal.tid == victim.tids[1]
        assert ended.accesses
        assert ended.wrong == 0

    seabus_worlds.run(play)


def test_death_by_the_default_disposition(seabus_worlds: Worlds) -> None:
    async def play(world: World) -> None:
        victim = await Victim.make(world.l2, disposition="default")
        assert (await poison(victim)).died == {"signal": SIGBUS}
        assert (await victim.signals()).died == {"signal": SIGBUS}

    seabus_worlds.run(play)


def test_a_hole_in_the_physical_map(seabus_worlds: Worlds) -> None:
    """No poison at all: an external abort, which nobody claims.

    In L1 any access meets it. From L2 the VMM answers what it can decode as a device that is not there, and
    injects an abort for the rest, such as a pair (KVM_CAP_ARM_NISV_TO_USER; QEMU target/arm/kvm.c).
    """

    async def play(world: World) -> None:
        levels: list[tuple[Agent, list[Op]]] = [
            (world.l1, ["read", "load-pair", "write"]),
            (world.l2, ["load-pair", "simd-load", "atomic-add"]),
        ]
        for agent, ops in levels:
            victim = await Victim.make(agent, kind="physical", physical=HOLE)
            for op in ops:
                signal = (await victim.touch(op=op)).signal
                assert signal is not None, (agent.level, op)
                assert (signal.signo, signal.code) == (SIGBUS, BusCode.BUS_OBJERR)
                assert signal.address == int(victim.address)
                if agent is world.l2:
                    assert signal.esr == EXTERNAL_ABORT
            await victim.end()
        emulated = await Victim.make(world.l2, kind="physical", physical=HOLE)
        read = await emulated.touch()
        assert (read.value, read.intact) == (0, None)

    seabus_worlds.run(play)
