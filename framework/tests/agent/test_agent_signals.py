# SPDX-License-Identifier: Apache-2.0
"""What signals victims get, which of their threads, and what they do about them."""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent.test_agent_victims import PAGE, touch

if TYPE_CHECKING:
    from tests.agent.conftest import Agent


def wait_for(agent: Agent, victim: int, count: int) -> dict[str, Any]:
    while True:
        seen = agent.ok("signals", victim=victim)
        if seen["count"] >= count or "died" in seen:
            return seen


def test_every_signal_is_told(agent: Agent) -> None:
    made = agent.ok("victim", kind="beyond-eof", pages=1)
    nothing = agent.ok("signals", victim=made["victim"])
    assert nothing["signals"] == []
    assert nothing["count"] == 0
    assert nothing["threads"] == [{"tid": made["tid"], "touching": False, "accesses": 0}]
    faults = [touch(agent, made["victim"], offset) for offset in (0, 8, 16)]
    seen = agent.ok("signals", victim=made["victim"])
    assert seen["count"] == 3
    for number, (fault, told) in enumerate(zip(faults, seen["signals"], strict=True), 1):
        assert told.pop("number") == number
        assert told.pop("touching") is True
        assert told.pop("mono_ns") == fault["mono_ns"]
        assert told == fault["signal"]
    since = agent.ok("signals", victim=made["victim"], since=2)
    assert [told["number"] for told in since["signals"]] == [3]


def test_a_signal_told_of_does_not_stop_a_touch(agent: Agent) -> None:
    made = agent.ok("victim", kind="anon", pages=1)
    agent.ok("kill", pid=made["pid"], signo=signal.SIGBUS)
    (told,) = wait_for(agent, made["victim"], 1)["signals"]
    assert (told["signo"], told["code"], told["touching"]) == (signal.SIGBUS, 0, False)
    assert told["address"] == "0x0"
    assert "value" in touch(agent, made["victim"], 0)
    agent.ok("kill", pid=made["pid"], signo=signal.SIGBUS)
    wait_for(agent, made["victim"], 2)
    assert "value" in touch(agent, made["victim"], 0)


def test_the_last_256_are_kept(agent: Agent) -> None:
    made = agent.ok("victim", kind="beyond-eof", pages=1)
    for _ in range(300):
        touch(agent, made["victim"], 0)
    seen = agent.ok("signals", victim=made["victim"])
    assert seen["count"] == 300
    assert [told["number"] for told in seen["signals"]] == [*range(45, 301)]


def test_threads(agent: Agent) -> None:
    made = agent.ok("victim", kind="beyond-eof", pages=1, threads=8)
    assert len(set(made["tids"])) == 8
    assert made["tids"][0] == made["tid"] == made["pid"]
    assert sorted(made["tids"]) == sorted(int(tid) for tid in os.listdir(f"/proc/{made['pid']}/task"))  # noqa: PTH208
    for thread, tid in enumerate(made["tids"]):
        seen = agent.ok("touch", victim=made["victim"], offset=0, op="read", size=8, thread=thread)
        assert seen["signal"]["tid"] == tid
    single = agent.ok("victim", kind="anon", pages=1)["victim"]
    assert agent.kind("touch", victim=single, offset=0, op="read", size=8, thread=1) == "usage"


def test_two_threads_fault_at_once(agent: Agent) -> None:
    made = agent.ok("victim", kind="beyond-eof", pages=1, threads=2)
    for _ in range(50):
        numbers = [
            agent.send("touch", victim=made["victim"], offset=8 * i, op="read", size=8, thread=i)
            for i in (0, 1)
        ]
        for i, number in enumerate(numbers):
            fault = agent.reply(number)["ok"]["signal"]
            assert fault["tid"] == made["tids"][i]
            assert int(fault["address"], 16) == int(made["address"], 16) + 8 * i
    assert agent.ok("signals", victim=made["victim"])["count"] == 100


def test_a_victim_with_the_default_disposition_dies(agent: Agent) -> None:
    made = agent.ok("victim", kind="beyond-eof", pages=1, disposition="default")
    died = {"died": {"signal": signal.SIGBUS}}
    assert touch(agent, made["victim"], 0) == died
    assert touch(agent, made["victim"], 0) == died
    seen = agent.ok("signals", victim=made["victim"])
    assert seen["died"] == died["died"]
    assert seen["signals"] == []


@pytest.mark.parametrize("disposition", ["ignore", "block"])
def test_who_will_not_hear(agent: Agent, disposition: str) -> None:
    """What comes from outside is not heard; a fault of its own cannot be survived unheard."""
    made = agent.ok("victim", kind="beyond-eof", pages=1, disposition=disposition, threads=2)
    agent.ok("kill", pid=made["pid"], signo=signal.SIGBUS)
    assert agent.ok("touch", victim=made["victim"], offset=0, op="prefetch")["result"] == 0
    assert agent.ok("signals", victim=made["victim"])["count"] == 0
    died = agent.ok("touch", victim=made["victim"], offset=0, op="read", size=8, thread=1)
    assert died == {"died": {"signal": signal.SIGBUS}}


def test_signals_of_a_hung_victim(agent: Agent) -> None:
    made = agent.ok("victim", kind="beyond-eof", pages=1)
    touch(agent, made["victim"], 0)
    agent.ok("kill", pid=made["pid"], signo=signal.SIGSTOP)
    hung = agent.send("touch", victim=made["victim"], offset=0, op="read", size=8)
    seen = agent.ok("signals", victim=made["victim"])
    assert seen["count"] == 1
    assert seen["threads"][0]["touching"] is True
    agent.ok("kill", pid=made["pid"], signo=signal.SIGCONT)
    assert "signal" in agent.reply(hung)["ok"]


def test_nobody(agent: Agent) -> None:
    assert agent.kind("signals", victim=1) == "gone"
    victim = agent.ok("victim", kind="anon", pages=1)["victim"]
    agent.ok("end", victim=victim)
    assert agent.kind("signals", victim=victim) == "gone"
    assert agent.kind("stop", victim=victim) == "gone"
    assert agent.kind("victim", partner_of=victim) == "gone"


# Partners


def do(agent: Agent, victim: int, op: str, offset: int = 0, **options: object) -> dict[str, Any]:
    return agent.ok("touch", victim=victim, op=op, offset=offset, **options)


def test_partners_of_shared_memory_see_each_other(agent: Agent) -> None:
    for kind in ("shmem", "memfd", "file"):
        made = agent.ok("victim", kind=kind, pages=1)
        other = agent.ok("victim", partner_of=made["victim"])
        assert other["pid"] not in (made["pid"], 0)
        assert other["address"] == made["address"]
        do(agent, made["victim"], "write", 8, size=8, value=5)
        seen = do(agent, other["victim"], "read", 8, size=8)
        assert seen["value"] == seen["expected"] == "0x5"
        do(agent, other["victim"], "write", 8, size=8, value=6)
        agent.ok("end", victim=made["victim"])
        seen = do(agent, other["victim"], "read", 8, size=8)
        assert seen["value"] == seen["expected"] == "0x6"
        agent.ok("end", victim=other["victim"])


def test_partners_of_private_memory_part_on_writing(agent: Agent) -> None:
    made = agent.ok("victim", kind="anon", pages=1)
    do(agent, made["victim"], "write", 0, size=8, value=1)
    other = agent.ok("victim", partner_of=made["victim"])
    frames = [
        agent.ok("pagemap", pid=who["pid"], address=who["address"])["pages"][0]["pfn"]
        for who in (made, other)
    ]
    assert frames[0] == frames[1]
    do(agent, made["victim"], "write", 0, size=8, value=2)
    do(agent, other["victim"], "write", 8, size=8, value=3)
    for who, value in ((made, "0x2"), (other, "0x1")):
        seen = do(agent, who["victim"], "read", 0, size=8)
        assert seen["value"] == seen["expected"] == value
        seen = do(agent, who["victim"], "read", 8, size=8)
        assert seen["value"] == seen["expected"]


def test_a_partner_has_signals_of_its_own(agent: Agent) -> None:
    made = agent.ok("victim", kind="beyond-eof", pages=1, threads=2)
    other = agent.ok("victim", partner_of=made["victim"], threads=3)
    third = agent.ok("victim", partner_of=other["victim"], disposition="default")
    assert len(other["tids"]) == 3
    for thread in range(3):
        fault = do(agent, other["victim"], "read", 0, size=8, thread=thread)["signal"]
        assert fault["tid"] == other["tids"][thread]
    assert do(agent, third["victim"], "read", 0, size=8) == {"died": {"signal": signal.SIGBUS}}
    assert agent.ok("signals", victim=other["victim"])["count"] == 3
    assert agent.ok("signals", victim=made["victim"])["count"] == 0
    assert "signal" in do(agent, made["victim"], "read", 0, size=8)
    agent.ok("end", victim=third["victim"])
    assert agent.ok("alive", pid=third["pid"])["alive"] is False


def test_a_partner_holds_no_descriptor_of_its_origin(agent: Agent) -> None:
    made = agent.ok("victim", kind="anon", pages=1, threads=4)
    other = agent.ok("victim", partner_of=made["victim"])
    assert len(os.listdir(f"/proc/{other['pid']}/fd")) == 4  # noqa: PTH208
    assert len(os.listdir(f"/proc/{made['pid']}/fd")) == 7  # noqa: PTH208


@pytest.mark.parametrize("op", ["sys-vm-read", "sys-ptrace-peek"])
def test_one_reads_the_others_memory(agent: Agent, op: str) -> None:
    made = agent.ok("victim", kind="anon", pages=1)
    other = agent.ok("victim", partner_of=made["victim"])
    stranger = agent.ok("victim", kind="shmem", pages=3)
    do(agent, made["victim"], "write", 8, size=8, value="0x1234")
    for reader in (other, stranger):
        seen = do(agent, reader["victim"], op, 8, target=made["victim"])
        assert seen["value"] == seen["expected"] == "0x1234"
    assert do(agent, made["victim"], "read", 8, size=8)["value"] == "0x1234"
    assert (
        agent.kind("touch", victim=stranger["victim"], target=made["victim"], op=op, offset=PAGE) == "usage"
    )
    agent.ok("end", victim=made["victim"])
    reply = agent.reply(
        agent.send("touch", victim=stranger["victim"], target=made["victim"], op=op, offset=8)
    )
    assert reply["error"]["kind"] == "gone"


def test_dead_and_busy_origins(agent: Agent) -> None:
    made = agent.ok("victim", kind="anon", pages=1)
    loop = agent.send("touch", victim=made["victim"], offset=0, op="read", size=8, loop=True)
    assert agent.kind("victim", partner_of=made["victim"]) == "busy"
    agent.ok("stop", victim=made["victim"])
    agent.reply(loop)
    agent.ok("kill", pid=made["pid"], signo=9)
    while agent.ok("alive", pid=made["pid"])["alive"]:
        pass
    assert agent.kind("victim", partner_of=made["victim"]) == "gone"
    other = agent.ok("victim", kind="anon", pages=1)["victim"]
    dead_target = agent.send("touch", victim=other, target=made["victim"], op="sys-vm-read", offset=0)
    assert agent.reply(dead_target)["error"]["kind"] == "gone"


def test_an_origin_killed_while_it_divides(agent: Agent) -> None:
    """However the two cross, there is one answer, and nothing is left."""
    for _ in range(30):
        made = agent.ok("victim", kind="shmem", pages=1)
        partner = agent.send("victim", partner_of=made["victim"])
        kill = agent.send("kill", pid=made["pid"], signo=9)
        reply = agent.reply(partner)
        assert "ok" in agent.reply(kill)
        if "ok" in reply:
            seen = do(agent, reply["ok"]["victim"], "read", 0, size=8)
            assert seen["value"] == seen["expected"]
            agent.ok("end", victim=reply["ok"]["victim"])
        else:
            assert reply["error"]["kind"] == "gone"
        agent.ok("end", victim=made["victim"])
    assert len([agent.ok("victim", kind="anon", pages=1) for _ in range(64)]) == 64


def test_partners_that_cannot_live_leave_nothing(agent: Agent) -> None:
    """They end as soon as they have said so, often before the agent has looked."""
    made = agent.ok("victim", kind="shmem", pages=1)
    for _ in range(100):
        reply = agent.reply(agent.send("victim", partner_of=made["victim"], cpu=1023))
        assert reply["error"]["errno"] == errno.EINVAL
    for _ in range(62):  # the last may still be ending
        agent.ok("victim", kind="anon", pages=1)


def test_partners_count_as_victims(agent: Agent) -> None:
    made = agent.ok("victim", kind="shmem", pages=1)
    for _ in range(63):
        agent.ok("victim", partner_of=made["victim"])
    assert agent.kind("victim", partner_of=made["victim"]) == "busy"
