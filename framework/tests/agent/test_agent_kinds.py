# SPDX-License-Identifier: Apache-2.0
"""Every kind of memory a victim may own, as far as this machine has it."""

from __future__ import annotations

import errno
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.agent.test_agent_victims import PAGE, pattern, touch

if TYPE_CHECKING:
    from tests.agent.conftest import Agent

HUGE = 2 << 20


def test_every_small_kind_holds_its_pattern(agent: Agent) -> None:
    for options in (
        {"kind": "anon"},
        {"kind": "anon", "locked": True},
        {"kind": "anon", "writable": False},
        {"kind": "shmem"},
        {"kind": "memfd"},
        {"kind": "memfd", "shared": False},
        {"kind": "file"},
        {"kind": "file", "shared": False},
        {"kind": "file", "dirty": True},
    ):
        made = agent.ok("victim", pages=3, **options)
        assert (made["length"], made["page_size"], made["huge"]) == (3 * PAGE, PAGE, 0)
        for offset in (0, PAGE - 3, 2 * PAGE + 8):
            seen = touch(agent, made["victim"], offset)
            assert int(seen["value"], 16) == pattern(made["victim"], offset, 8), options
            assert seen["expected"] == seen["value"]
        agent.ok("end", victim=made["victim"])


def smaps(pid: int, address: str) -> str:
    """What /proc says of the mapping that starts there."""
    text = Path(f"/proc/{pid}/smaps").read_text()
    start = text.index(f"{int(address, 16):x}-")
    return text[start : text.index("VmFlags", start) + 120]


def test_options_are_the_mappings(agent: Agent) -> None:
    locked = agent.ok("victim", kind="anon", pages=1, locked=True)
    assert " lo " in smaps(locked["pid"], locked["address"])
    assert " nh " in smaps(locked["pid"], locked["address"])
    shared = agent.ok("victim", kind="shmem", pages=1)
    assert "rw-s" in smaps(shared["pid"], shared["address"])
    private = agent.ok("victim", kind="memfd", pages=1, shared=False)
    assert "rw-p" in smaps(private["pid"], private["address"])
    code = agent.ok("victim", kind="code", pages=1)
    assert "r-xp" in smaps(code["pid"], code["address"])


def test_read_only_memory(agent: Agent) -> None:
    made = agent.ok("victim", kind="anon", pages=1, writable=False)
    fault = touch(agent, made["victim"], 8, 8, 1)["signal"]
    assert (fault["signo"], fault["code"]) == (11, 2)  # SEGV_ACCERR
    assert int(fault["address"], 16) == int(made["address"], 16) + 8
    assert int(touch(agent, made["victim"], 8)["value"], 16) == pattern(made["victim"], 8, 8)


def test_zero_page(agent: Agent) -> None:
    made = agent.ok("victim", kind="zero", pages=2)
    first, second = agent.ok("pagemap", pid=made["pid"], address=made["address"], count=2)["pages"]
    assert first["present"]
    assert first["pfn"] == second["pfn"]
    seen = touch(agent, made["victim"], 0)
    assert (seen["value"], seen["expected"]) == ("0x0", "0x0")
    touch(agent, made["victim"], 0, 4, 7)
    seen = touch(agent, made["victim"], 0)
    assert (seen["value"], seen["expected"]) == ("0x7", "0x7")


def test_transparent_huge_pages(agent: Agent) -> None:
    """Whether it is huge is the kernel's choice; what is said of it must be true."""
    made = agent.ok("victim", kind="thp", pages=2)
    assert int(made["address"], 16) % HUGE == 0
    assert (made["length"], made["page_size"]) == (2 * HUGE, HUGE)
    assert " hg " in smaps(made["pid"], made["address"])
    kib = next(
        int(line.split()[1])
        for line in smaps(made["pid"], made["address"]).splitlines()
        if line.startswith("AnonHugePages")
    )
    assert made["huge"] == kib << 10
    assert agent.ok("touch", victim=made["victim"], op="huge")["result"] == kib << 10
    last = 2 * HUGE - 8
    assert int(touch(agent, made["victim"], last)["value"], 16) == pattern(made["victim"], last, 8)


@pytest.mark.parametrize("kind", ["hugetlb", "memfd"])
def test_no_huge_pages_reserved_is_an_error(agent: Agent, kind: str) -> None:
    if Path("/proc/sys/vm/nr_hugepages").read_text().strip() != "0":
        made = agent.ok("victim", kind=kind, pages=1, page_size=HUGE)
        assert made["huge"] == HUGE
        return
    reply = agent.reply(agent.send("victim", kind=kind, pages=1, page_size=HUGE))
    assert reply["error"]["kind"] == "os"
    assert reply["error"]["errno"] == errno.ENOMEM
    assert "m" in reply["error"]["message"]
    assert agent.kind("touch", victim=1, offset=0, op="read", size=1) == "gone"


def test_page_sizes_the_kernel_has_not(agent: Agent) -> None:
    assert agent.error("victim", kind="hugetlb", pages=1, page_size=8 << 20)["kind"] == "os"


def test_a_named_file_is_kept(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "cached"
    made = agent.ok("victim", kind="file", pages=2, path=str(path))
    assert path.stat().st_size == 2 * PAGE
    assert int.from_bytes(path.read_bytes()[:8], "little") == pattern(made["victim"], 0, 8)
    assert int(made["filesystem"], 16) != 0
    touch(agent, made["victim"], 0, 8, 5)
    assert path.read_bytes()[:8] == b"\5".ljust(8, b"\0")
    agent.ok("end", victim=made["victim"])
    assert path.exists()
    missing = agent.error("victim", kind="file", pages=1, path=str(tmp_path / "no" / "folder"))
    assert (missing["kind"], missing["errno"]) == ("os", errno.ENOENT)


def test_an_unnamed_file_leaves_nothing(agent: Agent) -> None:
    before = set(Path("/tmp").glob("seabus-victim-*"))
    agent.ok("victim", kind="file", pages=1)
    assert set(Path("/tmp").glob("seabus-victim-*")) == before


@pytest.mark.parametrize("kind", ["code", "code-file"])
@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no code for this processor")
def test_code_can_be_called(agent: Agent, kind: str) -> None:
    made = agent.ok("victim", kind=kind, pages=2)
    for offset in (0, 8, PAGE + 16):
        seen = agent.ok("touch", victim=made["victim"], offset=offset, op="fetch")
        assert int(seen["value"], 16) == offset // 8
        assert seen["expected"] == seen["value"]
        read = touch(agent, made["victim"], offset)
        assert read["value"] == read["expected"]


def test_data_cannot_be_called(agent: Agent) -> None:
    made = agent.ok("victim", kind="anon", pages=1)
    fault = agent.ok("touch", victim=made["victim"], offset=0, op="fetch")["signal"]
    assert (fault["signo"], fault["code"]) == (11, 2)
    assert fault["pc"] == fault["address"] == made["address"]


def test_physical_memory_and_poison_are_refused_here(agent: Agent) -> None:
    """Without --may-poison an agent breaks nothing, whoever asks and whatever rights it has."""
    refused = agent.error("victim", kind="physical", pages=1, physical="0xf000000")
    assert (refused["kind"], refused["errno"]) == ("os", errno.EPERM)
    made = agent.ok("victim", kind="anon", pages=1)
    for advice in ("hwpoison", "soft-offline"):
        refused = agent.error("touch", victim=made["victim"], op="madvise", advice=advice)
        assert (refused["kind"], refused["errno"]) == ("os", errno.EPERM)
    assert "value" in touch(agent, made["victim"], 0)


def test_memory_of_all_victims_is_limited(agent: Agent) -> None:
    """Two of 1 GiB, the second asked for before the first can have failed."""
    request = '{"id": %d, "do": "victim", "kind": "hugetlb", "pages": 1, "page_size": 1073741824}\n'
    agent.send_bytes((request % 101 + request % 102).encode())
    assert agent.reply(102)["error"]["kind"] == "busy"
    first = agent.reply(101)
    assert "ok" in first or first["error"]["errno"] == errno.ENOMEM


def test_descriptors(agent: Agent) -> None:
    """A victim has its standard ones, a socket a thread, and its file."""
    made = agent.ok("victim", kind="memfd", pages=1, threads=3)
    assert len(os.listdir(f"/proc/{made['pid']}/fd")) == 3 + 3 + 1  # noqa: PTH208
