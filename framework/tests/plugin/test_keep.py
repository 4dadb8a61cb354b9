# SPDX-License-Identifier: Apache-2.0
"""A world that is kept outlives its run; one that only may be kept is tied to it, like any other."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import psutil
import pytest

from seabus import cli
from seabus.attach.client import can_be_joined, stream
from seabus.machine import run_folder
from tests.plugin.left import assert_nothing_left, emulators

pytestmark = [pytest.mark.emulated, pytest.mark.usefixtures("runtime")]

FAILS = """
    from suite import *

    @announced()
    def test_passes(world):
        world.expect(inject(world)[1])

    @announced(HOST[:2])
    def test_fails(world):
        world.expect(inject(world)[1][:2])
"""


def monitor_of(folder: Path) -> str:
    """What L0 says of its state, through the monitor for people."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(10)
        monitor.connect(str(folder / "qmp.sock"))
        stream = monitor.makefile("rw")
        stream.readline()
        for command in ("qmp_capabilities", "query-status"):
            stream.write(json.dumps({"execute": command}) + "\n")
            stream.flush()
            answer = json.loads(stream.readline())
        return str(answer["return"]["status"])


def shell_of(folder: Path) -> str:
    """What a person sees on L1's console."""
    with socket.socket(socket.AF_UNIX) as console:
        console.settimeout(10)
        console.connect(str(folder / "console.sock"))
        said = b""
        console.sendall(b"\n")
        time.sleep(0.5)  # `askfirst` throws away what comes with the Enter
        console.sendall(b"echo up=$((6*7))\n")
        while b"up=42" not in said:
            said += console.recv(4096)
        return said.decode(errors="replace")


def a_person_looks_in(name: str) -> None:
    """By `seabus console`, which Ctrl-] leaves."""
    console = pexpect.spawn(
        sys.executable, ["-m", "seabus", "console", "--world", name, "l1"], encoding="utf-8", timeout=30
    )
    console.expect("Ctrl-] leaves")
    console.send("\r")
    console.expect("[#$] ")
    console.send("echo up=$((6*8))\r")
    console.expect("up=48")
    console.send("\x1d")
    console.expect(pexpect.EOF)
    console.close()
    assert console.exitstatus == 0


@pytest.mark.parametrize("share", ["0", "2"], ids=["alone", "workers"])
def test_the_world_of_a_failed_test_is_kept(
    suite: pytest.Pytester, share: str, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.makepyfile(FAILS)
    run = suite.runpytest_subprocess("--seabus-keep", "--seabus-keep-for=120", "-n", share)
    assert run.parseoutcomes() == {"passed": 1, "failed": 1}
    (kept,) = run_folder.running()
    assert (kept.purpose, psutil.pid_exists(kept.owner_pid)) == ("kept", True)
    assert kept.until is not None
    assert 60 < kept.until - time.time() <= 120
    run.stdout.fnmatch_lines(["*seabus: worlds that are kept*", f"*::test_fails: {kept.name}, for 2 minutes"])
    run.stdout.fnmatch_lines([f"*seabus console --world {kept.name} l1*", f"*seabus stop {kept.name}"])
    assert monitor_of(kept.folder) == "running"
    assert cli.main(["qmp", "l0", "--world", kept.name, "query-status"]) == 0
    assert '"running"' in capsys.readouterr().out
    shell_of(kept.folder)
    a_person_looks_in(kept.name)
    assert run_folder.reap() == []  # it is nobody's orphan
    capsys.readouterr()
    assert cli.main(["ps"]) == 0
    assert re.search(rf"{kept.name}  kept .*\n  ends by itself in \d+ s", capsys.readouterr().out)
    assert cli.main(["stop", kept.name]) == 0
    assert_nothing_left()


def test_a_kept_world_can_be_joined(suite: pytest.Pytester) -> None:
    """The channels are given on: a process of the test's lives on, and is broken only now."""
    suite.makepyfile(
        """
        def test_fails(world):
            world.guest.write("/tmp/mark", b"the same guest")
            world.victim(pages=2)
            assert False
        """
    )
    run = suite.runpytest_subprocess("--seabus-keep", "--seabus-keep-for=120")
    (kept,) = run_folder.running()
    run.stdout.fnmatch_lines([f"*seabus exec --world {kept.name} l2 -- dmesg"])
    late = time.monotonic() + 30
    while not can_be_joined(kept):
        assert time.monotonic() < late
        time.sleep(0.1)

    def told(*words: str) -> str:
        argv = [sys.executable, "-m", "seabus", *words]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert told("exec", "l2", "cat", "/tmp/mark") == "the same guest"
    assert told("exec", "l1", "--", "echo", "L1") == "L1\n"
    assert json.loads(told("touch", "--json"))["outcome"] == "went through"
    assert json.loads(told("inject", "--offset", "4096", "--json"))["receipt"]["witness"] == "L1 kernel-log"
    assert json.loads(told("touch", "--json"))["outcome"] == "went through"
    assert "BUS_MCEERR_AR" in json.loads(told("touch", "--offset", "4096", "--json"))["outcome"]
    for level in ("l0", "l2"):
        assert json.loads(told("qmp", level, "query-status"))["status"] == "running"
    events = stream(kept, "watch", all=True)
    seen = set()
    while ("L2", "siginfo") not in seen:
        event = next(events)
        seen.add((event["level"], event["kind"]))
    assert {("L1", "ghes"), ("L1", "memory_failure"), ("L2", "sea")} <= seen
    assert cli.main(["stop", kept.name]) == 0
    assert next(events, None) is None  # whoever watched learns that it is over
    assert_nothing_left()


def test_a_shared_world_is_kept(suite: pytest.Pytester) -> None:
    """It ends after its module's last test, whichever of them failed."""
    suite.makepyfile(
        """
        def test_fails(warm_world):
            warm_world.guest.write("/tmp/mark", b"the same guest")
            assert False

        def test_passes(warm_world):
            assert warm_world.guest.read("/tmp/mark") == b"the same guest"

        def test_without():
            pass
        """
    )
    run = suite.runpytest_subprocess("--seabus-keep", "--seabus-keep-for=120")
    assert run.parseoutcomes() == {"passed": 2, "failed": 1}
    (kept,) = run_folder.running()
    run.stdout.fnmatch_lines([f"*::test_fails: {kept.name}, for 2 minutes"])
    assert monitor_of(kept.folder) == "running"
    assert cli.main(["stop", kept.name]) == 0
    assert_nothing_left()


def test_its_time_is_up(suite: pytest.Pytester) -> None:
    suite.makepyfile(FAILS)
    suite.runpytest_subprocess("--seabus-keep", "--seabus-keep-for=2", "-k", "fails")
    late = time.monotonic() + 15
    while run_folder.running():
        assert time.monotonic() < late
        time.sleep(0.1)
    assert_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_keeper_takes_its_emulator_along(suite: pytest.Pytester, number: int) -> None:
    suite.makepyfile(FAILS)
    suite.runpytest_subprocess("--seabus-keep", "-k", "fails")
    (kept,) = run_folder.running()
    psutil.Process(kept.owner_pid).send_signal(number)
    assert_nothing_left()


def test_a_killed_run_keeps_nothing(suite: pytest.Pytester) -> None:
    """Only a run that ends in order hands a world over; until then its keeper ends it with the run."""
    suite.makepyfile(
        """
        import pathlib, time
        def test_it(world):
            pathlib.Path("begun").touch()
            time.sleep(60)
        """
    )
    run = subprocess.Popen([sys.executable, "-m", "pytest", "--seabus-keep"], cwd=suite.path)
    while not (suite.path / "begun").exists():
        assert run.poll() is None
        time.sleep(0.05)
    assert emulators(os.environ["XDG_RUNTIME_DIR"])
    run.kill()
    run.wait()
    assert_nothing_left()


def test_what_must_not_be_stopped(suite: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    with run_folder.RunFolder("run") as folder:
        assert cli.main(["stop", folder.name]) == 2
        assert f"belongs to the run of process {os.getpid()}" in capsys.readouterr().err
        assert cli.main(["stop", "--all"]) == 0
        assert folder.path.exists()
    assert cli.main(["stop", "no-such"]) == 2
    assert cli.main(["stop"]) == 2
    assert "seabus stop NAME" in capsys.readouterr().err
