# SPDX-License-Identifier: Apache-2.0
"""Every way to touch a victim's memory, by itself and through the kernel."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent.test_agent_victims import PAGE, pattern, touch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.conftest import Agent

WIDE = 0x1122334455667788_99AABBCCDDEEFF00


def make(agent: Agent, kind: str = "anon", pages: int = 2, **options: object) -> int:
    return int(agent.ok("victim", kind=kind, pages=pages, **options)["victim"])


def do(agent: Agent, victim: int, op: str, offset: int = 0, **options: object) -> dict[str, Any]:
    return agent.ok("touch", victim=victim, op=op, offset=offset, **options)


def wide_pattern(victim: int, offset: int) -> int:
    return pattern(victim, offset, 8) | pattern(victim, offset + 8, 8) << 64


@pytest.mark.parametrize(("op", "size"), [("load-pair", 16), ("load-pair", 8), ("simd-load", 16)])
def test_wide_loads(agent: Agent, op: str, size: int) -> None:
    victim = make(agent)
    for offset in (0, 16, PAGE - size // 2):
        seen = do(agent, victim, op, offset, size=size)
        whole = wide_pattern(victim, offset)
        assert int(seen["value"], 16) == whole & ((1 << 8 * size) - 1)
        assert seen["expected"] == seen["value"]


@pytest.mark.parametrize("op", ["store-pair", "simd-store"])
def test_wide_stores(agent: Agent, op: str) -> None:
    victim = make(agent)
    wrote = do(agent, victim, op, PAGE - 8, value=hex(WIDE))
    assert int(wrote["value"], 16) == WIDE
    assert wrote["expected"] == wrote["value"]
    seen = do(agent, victim, "load-pair", PAGE - 8)
    assert seen["value"] == seen["expected"] == hex(WIDE)
    assert touch(agent, victim, PAGE)["value"] == "0x1122334455667788"


@pytest.mark.parametrize("op", ["atomic-add", "exclusive-add"])
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_additions(agent: Agent, op: str, size: int) -> None:
    victim = make(agent)
    mask = (1 << 8 * size) - 1
    old = pattern(victim, 16, size)
    seen = do(agent, victim, op, 16, size=size, value=3)
    assert int(seen["value"], 16) == int(seen["expected"], 16) == old
    seen = do(agent, victim, op, 16, size=size)
    assert int(seen["value"], 16) == int(seen["expected"], 16) == (old + 3) & mask
    seen = touch(agent, victim, 16, size)
    assert int(seen["value"], 16) == int(seen["expected"], 16) == (old + 4) & mask
    untouched = touch(agent, victim, 24)
    assert untouched["value"] == untouched["expected"]


@pytest.mark.parametrize("op", ["prefetch", "clean", "clean-invalidate", "invalidate-code"])
def test_what_leaves_memory_as_it_is(agent: Agent, op: str) -> None:
    victim = make(agent)
    seen = do(agent, victim, op, 64)
    assert seen["result"] == 0
    assert "value" not in seen
    assert int(touch(agent, victim, 64)["value"], 16) == pattern(victim, 64, 8)


def test_zeroing(agent: Agent) -> None:
    victim = make(agent)
    block = do(agent, victim, "zero", 130)["result"]
    assert block > 0
    assert block & (block - 1) == 0
    start = 130 // block * block
    for offset in (start, start + block - 8):
        seen = touch(agent, victim, offset)
        assert (seen["value"], seen["expected"]) == ("0x0", "0x0")
    for offset in (start + block, 4000):
        assert int(touch(agent, victim, offset)["value"], 16) == pattern(victim, offset, 8)


@pytest.mark.parametrize("op", ["prefetch", "read", "sys-write"])
def test_offsets_are_checked(agent: Agent, op: str) -> None:
    victim = make(agent, pages=1)
    assert agent.kind("touch", victim=victim, offset=PAGE, op=op, size=1) == "usage"


def test_prefetch_never_faults(agent: Agent) -> None:
    victim = make(agent, "beyond-eof")
    assert do(agent, victim, "prefetch")["result"] == 0


# Through the kernel


@pytest.mark.parametrize("op", ["sys-write", "sys-vmsplice", "sys-vm-read"])
@pytest.mark.parametrize("size", [3, 8, 5000, 8000])
def test_the_kernel_reads(agent: Agent, op: str, size: int) -> None:
    victim = make(agent)
    seen = do(agent, victim, op, 24, size=size)
    assert seen["result"] == size
    assert int(seen["value"], 16) == int(seen["expected"], 16) == pattern(victim, 24, min(size, 8))


def test_the_kernel_writes(agent: Agent) -> None:
    victim = make(agent)
    fed = do(agent, victim, "sys-read", PAGE - 12, size=24, value="0x0807060504030201")
    assert fed["result"] == 24
    for offset in (PAGE - 12, PAGE - 4, PAGE + 4):
        seen = touch(agent, victim, offset)
        assert seen["value"] == seen["expected"] == "0x807060504030201"
    after = touch(agent, victim, PAGE + 12)
    assert after["value"] == after["expected"] == hex(pattern(victim, PAGE + 12, 8))


def test_a_short_copy_says_how_short(agent: Agent) -> None:
    """The second page is gone: the kernel copies up to it, and no further."""
    victim = make(agent)
    assert do(agent, victim, "munmap", PAGE, size=PAGE)["result"] == 0
    seen = do(agent, victim, "sys-write", PAGE - 16, size=32)
    assert seen.get("result", 0) <= 16 or seen["errno"] == errno.EFAULT
    assert do(agent, victim, "sys-write", PAGE, size=8)["errno"] == errno.EFAULT
    assert do(agent, victim, "sys-read", PAGE, size=8)["errno"] == errno.EFAULT
    assert do(agent, victim, "sys-vm-read", PAGE, size=8)["errno"] == errno.EFAULT
    assert "value" in touch(agent, victim, 0)
    assert do(agent, victim, "read", PAGE, size=8)["signal"]["signo"] == 11


def test_beyond_the_end_the_kernel_says_efault(agent: Agent) -> None:
    """No signal: the kernel's own access is fixed up."""
    victim = make(agent, "beyond-eof")
    for op in ("sys-write", "sys-read", "sys-vm-read", "sys-futex-wake-op", "sys-vmsplice"):
        seen = do(agent, victim, op)
        assert seen["errno"] == errno.EFAULT, op
        assert "signal" not in seen
    assert agent.ok("signals", victim=victim)["count"] == 0


def test_futexes(agent: Agent) -> None:
    victim = make(agent)
    assert do(agent, victim, "sys-futex-wait", 4)["errno"] == errno.ETIMEDOUT
    assert do(agent, victim, "sys-futex-wake-op", 4)["result"] == 0
    assert do(agent, victim, "sys-futex-requeue", 4)["result"] == 0
    assert do(agent, victim, "sys-futex-wait", 2)["errno"] == errno.EINVAL
    seen = touch(agent, victim, 4, 4)
    assert seen["value"] == seen["expected"]


def test_files(agent: Agent, tmp_path: Path) -> None:
    victim = make(agent, "file")
    seen = do(agent, victim, "sys-pread", 8, size=100)
    assert seen["result"] == 100
    assert seen["value"] == seen["expected"] == hex(pattern(victim, 8, 8))
    for op in ("fsync", "msync"):
        assert do(agent, victim, op)["result"] == 0
    anonymous = make(agent)
    for op in ("sys-pread", "fsync"):
        assert do(agent, anonymous, op)["errno"] == errno.EBADF
    copy = tmp_path / "copy"
    assert do(agent, anonymous, "sys-write", 8, size=32, path=str(copy))["result"] == 32
    assert int.from_bytes(copy.read_bytes()[:8], "little") == pattern(anonymous, 8, 8)
    back = do(agent, anonymous, "sys-read", 8, size=32, value="0x0807060504030201", path=str(copy))
    assert back["result"] == 32
    for offset in (8, 32):
        seen = touch(agent, anonymous, offset)
        assert seen["value"] == seen["expected"] == "0x807060504030201"
    for op in ("sys-write", "sys-read"):
        missing = do(agent, anonymous, op, path=str(tmp_path / "no" / "folder"))
        assert missing["errno"] == errno.ENOENT


def test_direct_write(agent: Agent, tmp_path: Path) -> None:
    """Not every file system has it: then it says so."""
    victim = make(agent)
    seen = do(agent, victim, "sys-direct-write", path=str(tmp_path / "direct"))
    if "errno" in seen:
        assert seen["errno"] == errno.EINVAL
    else:
        assert seen["result"] == PAGE
        data = (tmp_path / "direct").read_bytes()
        assert int.from_bytes(data[8:16], "little") == pattern(victim, 8, 8)


@pytest.mark.parametrize("op", ["sys-fork", "mlock", "munlock", "msync"])
def test_calls_that_only_succeed(agent: Agent, op: str) -> None:
    victim = make(agent)
    assert do(agent, victim, op)["result"] == 0
    assert touch(agent, victim, 0)["value"] == hex(pattern(victim, 0, 8))


def test_mincore(agent: Agent) -> None:
    victim = make(agent)
    assert do(agent, victim, "sys-mincore", size=2 * PAGE)["result"] == 2


def test_pages_are_whole(agent: Agent) -> None:
    victim = make(agent)
    for offset, size in ((8, PAGE), (0, 100), (PAGE, 2 * PAGE)):
        assert agent.kind("touch", victim=victim, op="mlock", offset=offset, size=size) == "usage"
    assert agent.kind("touch", victim=victim, op="mremap", size=2 * PAGE) == "usage"


def test_moving(agent: Agent) -> None:
    made = agent.ok("victim", kind="anon", pages=2)
    moved = do(agent, made["victim"], "mremap")
    assert moved["result"] == 0
    assert moved["address"] != made["address"]
    for offset in (0, PAGE):
        assert touch(agent, made["victim"], offset)["value"] == hex(pattern(made["victim"], offset, 8))
    other = make(agent)
    seen = do(agent, other, "sys-vm-read", 8, target=made["victim"])
    assert seen["value"] == seen["expected"] == hex(pattern(made["victim"], 8, 8))


def test_giving_up_pages(agent: Agent) -> None:
    victim = make(agent)
    assert do(agent, victim, "madvise", PAGE, advice="dontneed", size=PAGE)["result"] == 0
    seen = touch(agent, victim, PAGE)
    assert (seen["value"], seen["expected"]) == ("0x0", "0x0")
    assert touch(agent, victim, 0)["value"] == hex(pattern(victim, 0, 8))
    shared = make(agent, "shmem")
    assert do(agent, shared, "madvise", advice="dontneed")["result"] == 0
    seen = touch(agent, shared, 0)
    assert seen["value"] == seen["expected"] == hex(pattern(shared, 0, 8))
    assert do(agent, shared, "madvise", advice="remove")["result"] == 0
    seen = touch(agent, shared, 0)
    assert (seen["value"], seen["expected"]) == ("0x0", "0x0")


@pytest.mark.parametrize("kind", ["anon", "shmem", "memfd", "file"])
@pytest.mark.parametrize("locked", [False, True])
def test_renewal(agent: Agent, kind: str, locked: bool) -> None:
    victim = make(agent, kind, locked=locked)
    touch(agent, victim, 8, 8, 1)
    renewed = do(agent, victim, "renew")
    if renewed.get("errno") == errno.EOPNOTSUPP:
        return  # the file system cannot punch holes
    assert renewed["result"] == 0
    seen = touch(agent, victim, 8)
    assert seen["value"] == seen["expected"] == hex(pattern(victim, 8, 8))


@pytest.mark.parametrize("advice", ["cold", "pageout", "nohugepage", "populate-read", "populate-write"])
def test_advice_that_keeps_the_data(agent: Agent, advice: str) -> None:
    victim = make(agent)
    assert do(agent, victim, "madvise", advice=advice)["result"] == 0
    assert touch(agent, victim, 0)["value"] == hex(pattern(victim, 0, 8))


def test_policy(agent: Agent) -> None:
    victim = make(agent, mce_kill="early")
    for policy in ("late", "early", "default"):
        assert do(agent, victim, "mce-kill", policy=policy)["result"] == 0


# Loops


def accesses(agent: Agent, victim: int, thread: int = 0) -> int:
    return int(agent.ok("signals", victim=victim)["threads"][thread]["accesses"])


def test_a_loop_goes_on_until_it_is_stopped(agent: Agent) -> None:
    victim = make(agent, threads=2)
    loop = agent.send("touch", victim=victim, offset=8, op="read", size=8, loop=True, cpu=0)
    while accesses(agent, victim) < 1000:
        pass
    assert agent.kind("touch", victim=victim, offset=0, op="read", size=8) == "busy"
    assert "value" in do(agent, victim, "read", size=8, thread=1)
    assert agent.kind("stop", victim=victim, thread=1) == "gone"
    agent.ok("stop", victim=victim)
    ended = agent.reply(loop)["ok"]
    assert ended["accesses"] >= 1000
    assert ended["wrong"] == 0
    assert ended["value"] == ended["expected"] == hex(pattern(victim, 8, 8))
    assert agent.kind("stop", victim=victim) == "gone"
    assert "value" in touch(agent, victim, 0)


def test_a_loop_counts_what_is_wrong(agent: Agent) -> None:
    victim = make(agent, threads=2)
    loop = agent.send("touch", victim=victim, offset=8, op="read", size=8, loop=True)
    while not accesses(agent, victim):
        pass
    do(agent, victim, "write", 8, size=8, value=0, thread=1)
    reached = accesses(agent, victim)
    while accesses(agent, victim) < reached + 1000:
        pass
    agent.ok("stop", victim=victim)
    assert agent.reply(loop)["ok"]["wrong"] >= 1000


def test_two_threads_add_together(agent: Agent) -> None:
    victim = make(agent, threads=2)
    do(agent, victim, "write", 0, size=8, value=0)
    loops = [
        agent.send("touch", victim=victim, offset=0, op="atomic-add", thread=i, loop=True) for i in (0, 1)
    ]
    while min(accesses(agent, victim, i) for i in (0, 1)) < 1000:
        pass
    for thread in (0, 1):
        agent.ok("stop", victim=victim, thread=thread)
    total = sum(agent.reply(loop)["ok"]["accesses"] for loop in loops)
    seen = touch(agent, victim, 0)
    assert int(seen["value"], 16) == int(seen["expected"], 16) == total


def test_a_loop_ends_by_a_signal(agent: Agent) -> None:
    made = agent.ok("victim", kind="anon", pages=1)
    loop = agent.send("touch", victim=made["victim"], offset=0, op="write", size=8, value=9, loop=True)
    while not accesses(agent, made["victim"]):
        pass
    agent.ok("kill", pid=made["pid"], signo=7)
    ended = agent.reply(loop)["ok"]
    assert ended["signal"]["signo"] == 7
    assert ended["accesses"] > 0
    assert "value" not in ended
    seen = touch(agent, made["victim"], 0)
    assert seen["value"] == seen["expected"] == "0x9"


def test_a_looping_victim_can_die_and_be_ended(agent: Agent) -> None:
    for way in ("kill", "end"):
        made = agent.ok("victim", kind="anon", pages=1)
        loop = agent.send("touch", victim=made["victim"], offset=0, op="read", size=8, loop=True)
        while not accesses(agent, made["victim"]):
            pass
        if way == "kill":
            agent.ok("kill", pid=made["pid"], signo=9)
        else:
            agent.ok("end", victim=made["victim"])
        assert agent.reply(loop)["ok"] == {"died": {"signal": 9}}


def test_no_such_cpu(agent: Agent) -> None:
    victim = make(agent)
    assert do(agent, victim, "read", size=8, cpu=1023)["errno"] == errno.EINVAL
    assert agent.error("victim", kind="anon", pages=1, cpu=1023)["errno"] == errno.EINVAL
