# SPDX-License-Identifier: Apache-2.0
"""Victims: their memory, what touching it does, and how they end."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.agent.conftest import Agent

PAGE = os.sysconf("SC_PAGE_SIZE")
MASK = (1 << 64) - 1


def pattern(victim: int, offset: int, size: int) -> int:
    """The protocol's fill, worked out independently."""

    def word(index: int) -> bytes:
        x = victim << 32 | index
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
        x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
        return (x ^ x >> 31).to_bytes(8, "little")

    first = offset // 8
    data = word(first) + word(first + 1)
    return int.from_bytes(data[offset % 8 : offset % 8 + size], "little")


def touch(agent: Agent, victim: int, offset: int, size: int = 8, value: int | None = None) -> dict[str, Any]:
    op = "read" if value is None else "write"
    return agent.ok("touch", victim=victim, offset=offset, op=op, size=size, value=value)


def test_fill(agent: Agent) -> None:
    agent.ok("victim", kind="anon", pages=1)
    made = agent.ok("victim", kind="anon", pages=3)
    victim = made["victim"]
    assert made["length"] == 3 * PAGE
    assert made["pid"] == made["tid"]
    assert int(made["address"], 16) % PAGE == 0
    for offset in (0, 8, 5, PAGE, PAGE - 4, 2 * PAGE + 123):
        for size in (1, 2, 4, 8):
            seen = touch(agent, victim, offset, size)
            assert int(seen["value"], 16) == pattern(victim, offset, size)
            assert seen["expected"] == seen["value"]
            assert seen["ns"] >= 0


def test_writes_are_expected_from_then_on(agent: Agent) -> None:
    victim = agent.ok("victim", kind="anon", pages=2)["victim"]
    wrote = touch(agent, victim, PAGE - 4, 8, 0x8877665544332211)
    assert wrote["value"] == wrote["expected"] == "0x8877665544332211"
    seen = touch(agent, victim, PAGE, 2)
    assert seen["value"] == seen["expected"] == "0x6655"
    touch(agent, victim, PAGE + 1, 1, 0)
    seen = touch(agent, victim, PAGE - 4)
    assert seen["value"] == seen["expected"] == "0x8877005544332211"
    other = touch(agent, victim, 0)
    assert int(other["value"], 16) == int(other["expected"], 16) == pattern(victim, 0, 8)
    hexadecimal = agent.ok("touch", victim=victim, offset=0, op="write", size=8, value="0xffffffffffffffff")
    assert hexadecimal["value"] == "0xffffffffffffffff"


def test_outside_is_usage(agent: Agent) -> None:
    victim = agent.ok("victim", kind="anon", pages=1)["victim"]
    for offset, size in ((PAGE, 1), (PAGE - 1, 2), ((1 << 63) - 1, 8)):
        assert agent.kind("touch", victim=victim, offset=offset, op="read", size=size) == "usage"
    touch(agent, victim, PAGE - 1, 1)


@pytest.mark.parametrize("value", [None, 1])
def test_beyond_end_of_file(agent: Agent, value: int | None) -> None:
    made = agent.ok("victim", kind="beyond-eof", pages=2)
    for _ in range(50):
        for offset in (0, PAGE + 16):
            fault = touch(agent, made["victim"], offset, 4, value)["signal"]
            assert fault["signo"] == signal.SIGBUS
            assert fault["code"] == 2  # BUS_ADRERR
            assert int(fault["address"], 16) == int(made["address"], 16) + offset
            assert fault["lsb"] is None
            assert int(fault["pc"], 16) > 0
            assert fault["tid"] == made["tid"]
            assert fault["esr"] is None
    assert agent.ok("alive", pid=made["pid"])["alive"] is True
    assert agent.ok("end", victim=made["victim"]) == {}
    assert agent.ok("alive", pid=made["pid"])["alive"] is False


def test_a_signal_between_touches_is_told_by_the_next(agent: Agent) -> None:
    made = agent.ok("victim", kind="anon", pages=1)
    agent.ok("kill", pid=made["pid"], signo=signal.SIGBUS)
    fault = touch(agent, made["victim"], 0)["signal"]
    assert (fault["signo"], fault["code"]) == (signal.SIGBUS, 0)
    assert "value" in touch(agent, made["victim"], 0)


def test_killed(agent: Agent) -> None:
    made = agent.ok("victim", kind="anon", pages=1)
    agent.ok("kill", pid=made["pid"], signo=9)
    while agent.ok("alive", pid=made["pid"])["alive"]:
        pass
    for _ in range(2):
        assert touch(agent, made["victim"], 0) == {"died": {"signal": 9}}
    agent.ok("end", victim=made["victim"])
    assert agent.kind("touch", victim=made["victim"], offset=0, op="read", size=1) == "gone"
    assert agent.kind("end", victim=made["victim"]) == "gone"


def test_killed_at_once(agent: Agent) -> None:
    """However a touch and a death cross, there is one answer."""
    for _ in range(20):
        made = agent.ok("victim", kind="anon", pages=1)
        kill = agent.send("kill", pid=made["pid"], signo=9)
        seen = touch(agent, made["victim"], 0)
        assert seen == {"died": {"signal": 9}} or "value" in seen
        assert "ok" in agent.reply(kill)
        agent.ok("end", victim=made["victim"])


def test_busy_while_touching(agent: Agent) -> None:
    made = agent.ok("victim", kind="anon", pages=1)
    agent.ok("kill", pid=made["pid"], signo=signal.SIGSTOP)
    first = agent.send("touch", victim=made["victim"], offset=0, op="read", size=8)
    assert agent.kind("touch", victim=made["victim"], offset=0, op="read", size=8) == "busy"
    end = agent.send("end", victim=made["victim"])
    seen = agent.receive(lambda message: message.get("id") in (first, end))
    assert seen == {"id": first, "ok": {"died": {"signal": 9}}}
    assert agent.reply(end)["ok"] == {}


def test_limit(agent: Agent) -> None:
    numbers = [agent.send("victim", kind="anon", pages=1) for _ in range(64)]
    assert agent.kind("victim", kind="anon", pages=1) == "busy"
    victims = [agent.reply(number)["ok"]["victim"] for number in numbers]
    assert len(set(victims)) == 64
    agent.ok("end", victim=victims[10])
    assert agent.ok("victim", kind="beyond-eof", pages=1)["victim"] not in victims


def test_a_large_victim(agent: Agent) -> None:
    made = agent.ok("victim", kind="anon", pages=4096)
    last = made["length"] - 8
    assert int(touch(agent, made["victim"], last)["value"], 16) == pattern(made["victim"], last, 8)


def test_a_victim_holds_no_descriptor_of_the_agent(agent: Agent) -> None:
    made = [agent.ok("victim", kind="anon", pages=1) for _ in range(3)]
    assert len(os.listdir(f"/proc/{made[2]['pid']}/fd")) == 4  # noqa: PTH208


def test_pagemap(agent: Agent) -> None:
    made = agent.ok("victim", kind="anon", pages=4)
    address = int(made["address"], 16)
    seen = agent.ok("pagemap", pid=made["pid"], address=made["address"], count=4)["pages"]
    assert [int(page["address"], 16) for page in seen] == [address + i * PAGE for i in range(4)]
    for page in seen:
        assert page["present"] is True
        assert page["swapped"] is False
        assert page["file"] is False
        assert int(page["pfn"], 16) >= 0
    frames = {page["pfn"] for page in seen}
    assert len(frames) == 4 or frames == {"0x0"}
    assert agent.ok("pagemap", pid=made["pid"], address=address + 5)["pages"][0] == seen[0]
    beyond = agent.ok("victim", kind="beyond-eof", pages=1)
    absent = agent.ok("pagemap", pid=beyond["pid"], address=beyond["address"])["pages"][0]
    assert (absent["present"], absent["pfn"]) == (False, "0x0")
    assert agent.kind("pagemap", pid=(1 << 31) - 1, address=0) == "gone"
    top = agent.reply(agent.send("pagemap", pid=made["pid"], address="0xffffffffffffffff", count=9))
    assert top.get("ok", {"pages": []})["pages"] == []
