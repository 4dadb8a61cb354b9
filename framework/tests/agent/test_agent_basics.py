# SPDX-License-Identifier: Apache-2.0
"""Framing, arguments, hello, clock and tick."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.agent.conftest import HARMLESS

if TYPE_CHECKING:
    from tests.agent.conftest import Agent


def test_hello(agent: Agent) -> None:
    hello = agent.ok("hello")
    assert hello["agent"] == "seabus"
    assert hello["protocol"] == 1
    assert hello["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert hello["kernel"] == os.uname().release
    assert hello["cpus"] == os.sysconf("SC_NPROCESSORS_ONLN")
    assert hello["page_size"] == os.sysconf("SC_PAGE_SIZE")
    assert hello["nonce"] is None
    assert hello["reseeded"] is False
    assert Path(f"/proc/{hello['pid']}").exists()
    assert isinstance(hello["mono_ns"], int)
    assert isinstance(hello["counter"], int)
    assert isinstance(hello["counter_hz"], int)


def test_nonce_is_remembered(agent: Agent) -> None:
    assert agent.ok("hello", nonce="first \u00e9")["nonce"] == "first \u00e9"
    assert agent.ok("hello")["nonce"] == "first \u00e9"
    assert agent.ok("hello", nonce=None)["nonce"] == "first \u00e9"
    assert agent.kind("hello", nonce="x" * 65) == "usage"
    assert agent.ok("hello", nonce="x" * 64)["nonce"] == "x" * 64


def test_reseed(agent: Agent) -> None:
    assert isinstance(agent.ok("hello", seed="AAECAwQFBgc=")["reseeded"], bool)
    assert agent.kind("hello", seed="AAE") == "usage"
    assert agent.kind("hello", seed="A" * 88) == "usage"  # 66 bytes


def test_clock(agent: Agent) -> None:
    before = time.monotonic_ns()
    assert before <= agent.ok("clock")["mono_ns"] <= time.monotonic_ns()


def test_limit_on_timers(agent: Agent) -> None:
    cpus = agent.ok("hello")["cpus"]
    for _ in range(1024 // cpus):
        agent.send("tick", ns=3600 * 10**9)
    assert agent.kind("tick") == "busy"
    agent.ok("clock")


def test_anchored_timers_wait_for_the_time_of_day(agent: Agent) -> None:
    assert agent.ok("tick", anchored=True, ns=1000)["cpus"]


def test_tick(agent: Agent) -> None:
    online = sorted(os.sched_getaffinity(0))
    before = time.monotonic_ns()
    number = agent.send("tick", ns=30_000_000)
    woken = [agent.stream(number)["cpu"] for _ in range(agent.ok("hello")["cpus"])]
    assert agent.reply(number)["ok"]["cpus"] == sorted(woken)
    assert set(online) <= set(woken)
    assert time.monotonic_ns() - before >= 30_000_000


def test_requests_run_side_by_side(agent: Agent) -> None:
    slow = agent.send("exec", argv=["sleep", "0.3"])
    before = time.monotonic()
    agent.ok("hello")
    assert agent.ok("exec", argv=["true"])["exit"] == 0
    assert time.monotonic() - before < 0.3
    assert agent.reply(slow)["ok"]["exit"] == 0


@pytest.mark.parametrize(
    "line",
    [
        b"x",
        b"{",
        b"[]",
        b"1",
        b"{}",
        b'{"id":1,"do":"hello"}}',
        b'{"id":1,"do":"hello",}',
        b'{"id":0,"do":"hello"}',
        b'{"id":-1,"do":"hello"}',
        b'{"id":1.0,"do":"hello"}',
        b'{"id":01,"do":"hello"}',
        b'{"id":"1","do":"hello"}',
        b'{"id":9223372036854775808,"do":"hello"}',
        b'{"id":99999999999999999999999,"do":"hello"}',
        b'{"do":"hello"}',
        b'{"id":1,"do":"hel\0lo"}',
        b'{"id":1,"do":"hello"}\0',
        b'{"id":1,"do":"\\x"}',
        b'{"id":1,"do":"\\u12"}',
        b'{"id":1,"do":"hello',
        b'{"id":1,"do":"hello"\xff}',
        b"[" * 100_000,
        b'{"id":1,"do":"hello","x":' + b"[" * 17 + b"]" * 17 + b"}",
        b'{"id":1,"do":"hello","x":[' + b"0," * 20_000 + b"0]}",
    ],
)
def test_not_a_request(agent: Agent, line: bytes) -> None:
    agent.send_bytes(line + b"\n")
    assert agent.refusal() == "protocol"
    agent.ok("hello")


def test_no_verb(agent: Agent) -> None:
    agent.send_bytes(b'{"id":7}\n{"id":8,"do":1}\n')
    assert agent.reply(7)["error"]["kind"] == "protocol"
    assert agent.reply(8)["error"]["kind"] == "protocol"


def test_lenient_where_it_says_so(agent: Agent) -> None:
    agent.send_bytes(b"\n \t\r\n\n")
    agent.send_bytes(b' { "id" : 3 , "id":5, "do" : "clock", "do":"\\u0068ello", "x":[{}] }\r\n')
    assert agent.reply(5)["ok"]["agent"] == "seabus"


def test_unknown_verb_is_echoed_as_valid_utf8(agent: Agent) -> None:
    agent.send_bytes(
        b'{"id":6,"do":"a\xff\xc0\x80\xed\xa0\x80\xe2\x82\xacb\\ud83d\\ude00\\ud800\\"\\u0001"}\n'
    )
    error = agent.reply(6)["error"]
    assert error["kind"] == "usage"
    bad = "\ufffd"
    assert error["message"] == f'unknown verb a{bad * 6}\u20acb\U0001f600{bad}"\x01'


def test_line_length(agent: Agent) -> None:
    limit = 1 << 20
    request = b'{"id":5,"do":"hello"}'
    agent.send_bytes(request.ljust(limit) + b"\n")
    assert "ok" in agent.reply(5)
    agent.send_bytes(request.ljust(limit + 1) + b"\n")
    assert agent.refusal() == "protocol"
    agent.send_bytes(b"x" * (3 * limit) + b'\n{"id":6,"do":"hello"}\n')
    assert agent.refusal() == "protocol"
    assert "ok" in agent.reply(6)
    agent.ok("hello")


def test_a_line_may_come_in_pieces(agent: Agent) -> None:
    for byte in b'{"id":9,"do":"hello"}\n':
        agent.send_bytes(bytes([byte]))
    assert "ok" in agent.reply(9)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("nonsense", {}),
        ("hello", {"nonce": 5}),
        ("hello", {"nonce": "a\0b"}),
        ("tick", {"ns": -1}),
        ("tick", {"ns": 1e3}),
        ("tick", {"ns": 1 << 64}),
        ("exec", {}),
        ("exec", {"argv": []}),
        ("exec", {"argv": "true"}),
        ("exec", {"argv": ["true", 1]}),
        ("exec", {"argv": ["tr\0ue"]}),
        ("exec", {"argv": ["true"], "env": ["a"]}),
        ("exec", {"argv": ["true"], "env": {"A": 1}}),
        ("exec", {"argv": ["true"], "env": {"A=B": "1"}}),
        ("exec", {"argv": ["true"], "env": {"": "1"}}),
        ("exec", {"argv": ["true"], "limit": (1 << 20) + 1}),
        ("exec", {"argv": ["true"], "detach": 1}),
        ("exec", {"argv": ["true"], "output": "/dev/null"}),
        ("exec", {"argv": ["true"], "stdin": "?"}),
        ("alive", {}),
        ("alive", {"pid": 0}),
        ("kill", {"pid": -1, "signo": 0}),
        ("kill", {"pid": 1 << 31, "signo": 0}),
        ("kill", {"pid": 1, "signo": 65}),
        ("threads", {"pid": "1"}),
        ("read", {}),
        ("read", {"path": "/dev/zero", "length": 262145}),
        ("write", {"path": "/dev/null"}),
        ("write", {"path": "/dev/null", "data": "====", "mode": 0}),
        ("write", {"path": "/dev/null", "data": "", "mode": 0o10000}),
        ("follow", {"path": None}),
        ("stop", {}),
        ("pagemap", {"pid": 1}),
        ("pagemap", {"pid": 1, "address": "12"}),
        ("pagemap", {"pid": 1, "address": "0x"}),
        ("pagemap", {"pid": 1, "address": "0x12345678901234567"}),
        ("pagemap", {"pid": 1, "address": 0, "count": 513}),
        ("victim", {"kind": "other", "pages": 1}),
        ("victim", {"kind": "anon", "pages": 0}),
        ("victim", {"kind": "anon", "pages": 4097}),
        ("touch", {"victim": 1, "offset": 0, "op": "poke", "size": 8}),
        ("touch", {"victim": 1, "offset": 0, "op": "read", "size": 3}),
        ("touch", {"victim": 1, "offset": 0, "op": "write", "size": 8}),
        ("touch", {"victim": 1, "offset": 0, "op": "write", "size": 1, "value": 256}),
        ("end", {"victim": "1"}),
        ("victim", {}),
        ("victim", {"kind": "anon", "pages": 1, "threads": 9}),
        ("victim", {"kind": "anon", "pages": 1, "cpu": 1024}),
        ("victim", {"kind": "anon", "pages": 1, "disposition": "die"}),
        ("victim", {"kind": "anon", "pages": 1, "mce_kill": "never"}),
        ("victim", {"kind": "anon", "pages": 1, "locked": 1}),
        ("victim", {"kind": "thp", "pages": 513}),
        ("victim", {"kind": "hugetlb", "pages": 1, "page_size": 3 << 20}),
        ("victim", {"kind": "hugetlb", "pages": 1, "page_size": 1 << 31}),
        ("victim", {"kind": "hugetlb", "pages": 2, "page_size": 1 << 30}),
        ("victim", {"kind": "file", "pages": 1, "path": ""}),
        ("victim", {"kind": "file", "pages": 1, "path": "x" * 256}),
        ("victim", {"kind": "file", "pages": 1, "dirty": True, "shared": False}),
        ("victim", {"kind": "code-file", "pages": 1, "writable": True, "shared": True}),
        ("victim", {"kind": "physical", "pages": 1}),
        ("victim", {"kind": "physical", "pages": 1, "physical": 5}),
        ("victim", {"partner_of": 0}),
        ("victim", {"partner_of": 1, "threads": 0}),
        ("touch", {"victim": 1, "offset": 0, "op": "load-pair", "size": 4}),
        ("touch", {"victim": 1, "offset": 0, "op": "simd-load", "size": 8}),
        ("touch", {"victim": 1, "offset": 0, "op": "store-pair"}),
        ("touch", {"victim": 1, "offset": 0, "op": "store-pair", "value": "0x" + "1" * 33}),
        ("touch", {"victim": 1, "offset": 0, "op": "store-pair", "size": 8, "value": "0x" + "1" * 17}),
        ("touch", {"victim": 1, "offset": 0, "op": "atomic-add", "size": 2, "value": 65536}),
        ("touch", {"victim": 1, "offset": 0, "op": "atomic-add", "size": 16}),
        ("touch", {"victim": 1, "offset": 0, "op": "read", "size": 8, "thread": 8}),
        ("touch", {"victim": 1, "offset": 0, "op": "read", "size": 8, "cpu": -1}),
        ("touch", {"victim": 1, "offset": 0, "op": "sys-write", "size": 65537}),
        ("touch", {"victim": 1, "offset": 0, "op": "sys-write", "loop": True}),
        ("touch", {"victim": 1, "offset": 0, "op": "sys-direct-write"}),
        ("touch", {"victim": 1, "offset": 0, "op": "sys-ptrace-peek"}),
        ("touch", {"victim": 1, "op": "sys-fork", "size": 0}),
        ("touch", {"victim": 1, "op": "madvise"}),
        ("touch", {"victim": 1, "op": "madvise", "advice": "good"}),
        ("touch", {"victim": 1, "op": "mce-kill", "policy": "sometimes"}),
        ("stop", {"victim": 0}),
        ("signals", {}),
        ("signals", {"victim": 1, "since": -1}),
    ],
)
def test_usage(agent: Agent, verb: str, arguments: dict[str, object]) -> None:
    assert agent.kind(verb, **arguments) == "usage"


def test_end_of_input_is_a_clean_exit_with_all_said(agent_program: Path) -> None:
    requests = "".join(json.dumps({"id": i, "do": "hello"}) + "\n" for i in range(1, 1001))
    done = subprocess.run(
        [agent_program, "--stdio"], input=requests, capture_output=True, text=True, check=True
    )
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [*range(1, 1001)]


def test_command_line(agent_program: Path) -> None:
    assert subprocess.run([agent_program], capture_output=True, check=False).returncode == 2
    for wrong in (["--stdio", "--poison"], ["--may-poison"], ["--disk"]):
        assert subprocess.run([agent_program, *wrong], capture_output=True, check=False).returncode == 2


def test_a_disk_that_cannot_be(agent_program: Path, tmp_path: Path) -> None:
    """Nothing is ever mounted on this machine: the folder is a file."""
    (tmp_path / "file").write_bytes(b"")
    argv: list[str | Path] = [*HARMLESS, agent_program, "--disk", tmp_path / "file" / "folder"]
    done = subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr
