# SPDX-License-Identifier: Apache-2.0
"""Garbage: whatever comes in, the agent still answers at the end."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.conftest import Agent

LINES = 2000
SPICES = (
    [bytes([byte]) for byte in b'"\\{}[],:\0\xff-\r\t=']
    + [b"\\u", b"\\ud800", b"9" * 25, b"1e9", b"null", b"true", b'""', b"0x", b"\xe2\x82"]
)  # fmt: skip


def requests(folder: Path) -> list[bytes]:
    """One of each verb; no `kill`, since a mutated pid may be anybody's."""
    path = str(folder / "file")
    values: list[dict[str, object]] = [
        {"do": "hello", "nonce": "n\u00e9", "seed": "AAAA"},
        {"do": "clock"},
        {"do": "tick", "ns": 1000},
        {"do": "exec", "argv": ["true", "a"], "env": {"A": "b"}, "stdin": "AAAA", "limit": 10},
        {"do": "alive", "pid": 1},
        {"do": "threads", "pid": 1},
        {"do": "read", "path": path, "offset": 1, "length": 3},
        {"do": "write", "path": path, "data": "QUJD", "append": True, "create": False},
        {"do": "follow", "path": path},
        {"do": "stop", "stream": 1},
        {"do": "pagemap", "pid": 1, "address": "0x1000", "count": 2},
        {"do": "victim", "kind": "anon", "pages": 1},
        {"do": "touch", "victim": 1, "offset": 8, "op": "write", "size": 4, "value": "0x1"},
        {"do": "touch", "victim": 2, "offset": 8, "op": "read", "size": 8},
        {"do": "end", "victim": 3},
        {"do": "victim", "kind": "shmem", "pages": 2, "threads": 2, "cpu": 0, "locked": False},
        {"do": "victim", "kind": "code", "pages": 1, "disposition": "block", "mce_kill": "early"},
        {"do": "victim", "kind": "memfd", "pages": 1, "page_size": 4096, "shared": False},
        {"do": "victim", "partner_of": 1, "threads": 2},
        {"do": "touch", "victim": 1, "offset": 0, "op": "store-pair", "value": "0x1" + "0" * 31},
        {"do": "touch", "victim": 1, "offset": 0, "op": "atomic-add", "size": 8, "thread": 0, "cpu": 0},
        {"do": "touch", "victim": 2, "offset": 0, "op": "sys-vm-read", "target": 1, "size": 9},
        {"do": "touch", "victim": 2, "offset": 0, "op": "sys-ptrace-peek", "target": 1},
        {"do": "touch", "victim": 2, "op": "madvise", "advice": "dontneed", "size": 4096},
        {"do": "touch", "victim": 1, "op": "mremap"},
        {"do": "touch", "victim": 1, "offset": 0, "op": "read", "size": 4, "loop": True},
        {"do": "stop", "victim": 1, "thread": 0},
        {"do": "signals", "victim": 1, "since": 0},
    ]
    return [json.dumps({"id": i, **value}).encode() for i, value in enumerate(values, 1)]


def mutate(chance: random.Random, request: bytes) -> bytes:
    line = bytearray(request)
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(line) + 1)
        match chance.randrange(4):
            case 0:
                line[at : at + chance.randrange(1, 9)] = b""
            case 1:
                line[at:at] = chance.choice(SPICES)
            case 2:
                line[at : at + 1] = bytes([chance.randrange(256)])
            case _:
                line[at:at] = line[at : at + chance.randrange(1, 40)]
    return bytes(line)


def test_garbage(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    chance = random.Random(20240229)
    valid = requests(tmp_path)
    sent = 0
    while sent < LINES:
        batch = [mutate(chance, chance.choice(valid)) for _ in range(100)]
        agent.send_bytes(b"\n".join(batch) + b"\n")
        sent += len(batch)
        marker = 1_000_000 + sent
        agent.send_bytes(b'{"id":%d,"do":"hello"}\n' % marker)
        assert agent.reply(marker)["ok"]["agent"] == "seabus"
