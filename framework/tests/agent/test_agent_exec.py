# SPDX-License-Identifier: Apache-2.0
"""Commands, processes and the limit on both."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.conftest import Agent

MIB = 1 << 20


def test_outputs_and_exit(agent: Agent) -> None:
    done = agent.ok("exec", argv=["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert base64.b64decode(done["stdout"]) == b"out\n"
    assert base64.b64decode(done["stderr"]) == b"err\n"
    assert done["exit"] == 3
    assert done["truncated"] is False
    assert agent.ok("exec", argv=["sh", "-c", "kill -9 $$"])["signal"] == 9


def test_surroundings(agent: Agent) -> None:
    script = "cat; echo $A; grep -E 'Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd"
    given = b"given\0\xff\n" * 90_000
    done = agent.ok(
        "exec",
        argv=["sh", "-c", script],
        env={"A": "x y"},
        stdin=base64.b64encode(given[: 700 * 1024]).decode(),
    )
    output = base64.b64decode(done["stdout"])
    assert output.startswith(given[: 700 * 1024])
    value, blocked, ignored, *fds = output[700 * 1024 :].decode().split("\n")
    assert value.endswith("x y")
    assert int(blocked.split()[1], 16) == 0
    assert int(ignored.split()[1], 16) & 1 << (signal.SIGPIPE - 1) == 0
    assert fds == ["0", "1", "2", "3", ""]  # 3 is the folder ls reads


def test_no_input_is_end_of_file(agent: Agent) -> None:
    assert agent.ok("exec", argv=["cat"])["stdout"] == ""


def test_truncation(agent: Agent) -> None:
    done = agent.ok("exec", argv=["head", "-c", "200000", "/dev/zero"], limit=100)
    assert done["truncated"] is True
    assert base64.b64decode(done["stdout"]) == bytes(100)
    both = "head -c 1048576 /dev/zero; head -c 1048576 /dev/zero >&2"
    done = agent.ok("exec", argv=["sh", "-c", both])
    assert done["truncated"] is False
    assert base64.b64decode(done["stdout"]) == base64.b64decode(done["stderr"]) == bytes(MIB)


def test_a_descendant_does_not_hold_up_the_reply(agent: Agent) -> None:
    before = time.monotonic()
    done = agent.ok("exec", argv=["sh", "-c", "sleep 5 & echo $!"])
    assert time.monotonic() - before < 4
    agent.ok("kill", pid=int(base64.b64decode(done["stdout"])), signo=9)


def test_cannot_run(agent: Agent, tmp_path: Path) -> None:
    error = agent.error("exec", argv=["seabus-no-such-program"])
    assert (error["kind"], error["errno"]) == ("os", errno.ENOENT)
    error = agent.error("exec", argv=[str(tmp_path)], detach=True)
    assert (error["kind"], error["errno"]) == ("os", errno.EACCES)
    error = agent.error("exec", argv=["true"], detach=True, output=str(tmp_path / "no" / "way"))
    assert (error["kind"], error["errno"]) == ("os", errno.ENOENT)


def test_detached(agent: Agent, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.write_text("before\n")
    script = "cat; echo err >&2; exec sleep 60"
    pid = agent.ok("exec", argv=["sh", "-c", script], detach=True, output=str(output), stdin="aW4K")["pid"]
    while agent.ok("alive", pid=pid)["comm"] != "sleep":
        time.sleep(0.005)
    alive = agent.ok("alive", pid=pid)
    assert alive["alive"] is True
    assert alive["state"] in "SRD"
    assert os.getsid(pid) == pid
    assert output.read_text() == "before\nin\nerr\n"
    agent.ok("kill", pid=pid, signo=15)
    while agent.ok("alive", pid=pid)["alive"]:
        time.sleep(0.005)
    assert agent.ok("alive", pid=pid) == {
        "alive": False, "comm": None, "state": None, "signal": 15,
    }  # fmt: skip


def test_processes(agent: Agent) -> None:
    me = os.getpid()
    assert agent.ok("alive", pid=me)["alive"] is True
    assert me in [thread["tid"] for thread in agent.ok("threads", pid=me)["threads"]]
    agent.ok("kill", pid=me, signo=0)
    nobody = (1 << 31) - 1
    assert agent.ok("alive", pid=nobody) == {"alive": False, "comm": None, "state": None}
    assert agent.kind("threads", pid=nobody) == "gone"
    assert agent.kind("kill", pid=nobody, signo=0) == "gone"


def test_limit_on_commands(agent: Agent) -> None:
    running = [agent.send("exec", argv=["sleep", "60"]) for _ in range(63)]
    pid = agent.ok("exec", argv=["sleep", "60"], detach=True)["pid"]
    assert agent.kind("exec", argv=["true"]) == "busy"
    assert agent.kind("read", path="/dev/null") == "busy"
    agent.ok("clock")
    agent.ok("kill", pid=pid, signo=9)
    while agent.ok("alive", pid=pid)["alive"]:
        time.sleep(0.005)
    assert agent.ok("exec", argv=["true"])["exit"] == 0
    assert len(running) == 63  # they die with the agent


def test_a_slow_reader_loses_nothing(agent_program: Path) -> None:
    """More output than the agent queues: it must wait, not drop, and not end."""
    count = 20
    argv = ["head", "-c", str(MIB), "/dev/zero"]
    with subprocess.Popen(
        [agent_program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(1, count + 1):
            request = {"id": number, "do": "exec", "argv": argv}
            process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        time.sleep(0.5)
        replies = [json.loads(process.stdout.readline()) for _ in range(count)]
        process.stdin.close()
        assert process.wait(10) == 0
    assert {reply["id"] for reply in replies} == {*range(1, count + 1)}
    for reply in replies:
        assert len(reply["ok"]["stdout"]) == (MIB + 2) // 3 * 4


def test_a_client_that_never_reads_is_dropped(agent_program: Path) -> None:
    with subprocess.Popen(
        [agent_program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        long = b"\x7f" * 480  # six bytes each in the error that names it
        requests = b'{"id":1,"do":"%s"}\n' % long * 1000
        with contextlib.suppress(BrokenPipeError):
            while process.poll() is None:
                process.stdin.write(requests)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        assert process.wait(10) == 1
