# SPDX-License-Identifier: Apache-2.0
"""A fault session at a prompt, by a script, and from other terminals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import psutil
import pytest
from textual.widgets import DataTable, RichLog

from seabus.images.store import USERS_OWN, Store
from seabus.interactive.loop import LoopThread
from seabus.interactive.playground import Playground
from seabus.machine.config import WorldConfig
from seabus.tui.app import Screen
from seabus.tui.deeds import LivingDeeds
from seabus.world import template

pytestmark = pytest.mark.emulated

SEABUS = [sys.executable, "-m", "seabus"]
PROMPTS = {"ipython": ([], r"In \[\d+\]: "), "plain": (["--plain"], r">>> ")}
SECONDS = 120


@pytest.fixture(autouse=True)
def alone(runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other world is running, as far as these commands can see; nothing is kept in the user's folders."""
    del runtime
    monkeypatch.setenv("SEABUS_ARTEFACTS", str(tmp_path / "runs"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("NO_COLOR", "1")


def seabus(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SEABUS, *words], input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False
    )


CONSUMED = """
v = victim()
record = MemoryRecord(address=v.page.host_physical)
inject(record)
world.until("L1", "memory_failure")
v.touch("read")
"""


def test_a_script_from_standard_input() -> None:
    done = seabus(
        "shell", stdin=f"{CONSUMED}\nprint(story)\nworld.rewind()\nprint(len(story().events), 'left')"
    )
    assert done.returncode == 0, done.stderr
    assert "SIGBUS BUS_MCEERR_AR to seabus-agent" in done.stdout
    assert "0 left" in done.stdout


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        (f"{CONSUMED}\nexpect(chains.host.reports(record))", 1, "fail: extra at"),
        ("victim(kind='none such')", 3, "seabus: "),
        ("world.host.read('/none')", 3, "No such file"),
        ("1 / 0", 2, "ZeroDivisionError"),
    ],
    ids=["fails", "refused", "machine", "mistake"],
)
def test_a_script_that_goes_wrong(script: str, status: int, words: str) -> None:
    done = seabus("shell", "--quiet", stdin=script)
    assert done.returncode == status, done.stderr
    assert words in done.stderr + done.stdout


def test_a_script_whose_reader_goes() -> None:
    """Events are told into nothing: the session ends, as `head -1` wants it, and its emulator with it."""
    read, write = os.pipe()
    with subprocess.Popen(
        [*SEABUS, "shell"], stdin=subprocess.PIPE, stdout=write, stderr=subprocess.PIPE, text=True
    ) as shell:
        os.close(write)
        os.close(read)
        _, told = shell.communicate(f"{CONSUMED}\nworld.rewind()\nprint(len(victim().page.steps()))", SECONDS)
        assert (shell.returncode, told.count("\n")) == (141, told.count("s] ")), told
    assert "nothing is running" in seabus("ps").stdout


@pytest.mark.parametrize("kind", sorted(PROMPTS))
def test_what_was_typed_becomes_a_test(kind: str, tmp_path: Path) -> None:
    options, prompt = PROMPTS[kind]
    saved = tmp_path / "test_mine.py"
    shell = pexpect.spawn(SEABUS[0], [*SEABUS[1:], "shell", *options], encoding="utf-8", timeout=SECONDS)
    for line in ("v = victim()", "1 / 0", "inject(MemoryRecord(address=v.page.host_physical))"):
        shell.expect(prompt)
        shell.sendline(line)
    shell.expect("GHES record, source 1")  # as it happens, above the prompt
    for line in ("world.until('L1', 'memory_failure')", "v.touch('read')", "story", f"%save_test {saved}"):
        shell.expect(prompt)
        shell.sendline(line)
    shell.expect("saved; run it by")
    # The prompt may have come before what was printed above it.
    for line in ("world.rewind()", f"%save_test {saved}"):
        shell.sendline(line)
    shell.expect("is there already")
    shell.sendline("exit()")
    shell.expect(pexpect.EOF)
    shell.wait()
    assert "ZeroDivisionError" not in saved.read_text()
    assert "1 / 0" not in saved.read_text()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(saved)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, saved.read_text() + done.stdout


USUAL = ("v = victim()", "inject(MemoryRecord(address=v.page.host_physical))")
SAVED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # At once: what comes of it comes while it is saved, and in the test after its last line.
    "at-once": ((), USUAL),
    "decode": ((), (*USUAL, "print(decode(0x92000410))")),
    "comment": ((), (*USUAL, "v.touch('read')  # is it dead?")),
    "rewind-within": ((), (*USUAL, f"world.rewind(); {'; '.join(USUAL)}")),
    "memory": (("--l2-memory", "768"), USUAL),
}


def pytest_of(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize(("options", "lines"), SAVED.values(), ids=SAVED)
def test_a_saved_test_passes_and_without_its_injection_fails(
    options: tuple[str, ...], lines: tuple[str, ...], tmp_path: Path
) -> None:
    saved = tmp_path / "test_mine.py"
    shell = pexpect.spawn(SEABUS[0], [*SEABUS[1:], "shell", "--quiet", *options], encoding="utf-8")
    for number, line in enumerate([*lines, f"%save_test {saved}"], start=1):
        shell.expect(rf"In \[{number}\]: ", timeout=300)
        shell.sendline(line)
    shell.expect("saved; run it by", timeout=SECONDS)
    leave(shell)
    done = pytest_of(saved)
    assert done.returncode == 0, saved.read_text() + done.stdout
    text = re.sub(r"inject\((.*)\)", r"repr(\1)", saved.read_text().partition("def test")[2])
    saved.write_text(saved.read_text().partition("def test")[0] + "def test" + text)
    assert "1 failed" in pytest_of(saved).stdout, saved.read_text()


def test_what_began_in_a_kept_state_is_no_test(tmp_path: Path) -> None:
    state = f"test-{uuid.uuid4().hex[:8]}"
    shell = pexpect.spawn(SEABUS[0], [*SEABUS[1:], "shell", "--quiet"], encoding="utf-8", timeout=SECONDS)
    for number, line in enumerate(
        [f"world.freeze({state!r})", *USUAL, f"%save_test {tmp_path}/t.py"], start=1
    ):
        shell.expect(rf"In \[{number}\]: ")
        shell.sendline(line)
    shell.expect("began in a state that was kept")
    leave(shell)
    forget(state)
    assert not (tmp_path / "t.py").exists()


def leave(shell: Any) -> None:  # noqa: ANN401 - pexpect's, which is not typed for text
    """Ctrl-D is lost on who reads no key yet."""
    shell.sendline("exit()")
    shell.expect(pexpect.EOF, timeout=60)
    shell.close()


def forget(state: str) -> None:
    """Remove a state that was kept by name."""
    for path in Store().entries():
        if path.name.startswith(USERS_OWN) and Store().read(path).manifest["inputs"] == {"name": state}:
            Store().remove(path)


@pytest.fixture
def name() -> Iterator[str]:
    """A world in the background."""
    done = seabus("up", "--json", "--quiet", "--for", "300")
    assert done.returncode == 0, done.stderr
    yield json.loads(done.stdout)["name"]
    assert seabus("stop", "--all").returncode == 0


def test_other_terminals_join(name: str) -> None:
    assert seabus("exec", "-i", "l1", "--", "sh", "-c", "cat; exit 7", stdin="hello").stdout == "hello"
    assert seabus("exec", "l1", "cat", stdin="is not read").stdout == ""
    assert seabus("exec", "l2", "--", "sh", "-c", "exit 7").returncode == 7
    assert json.loads(seabus("exec", "--json", "l2", "uname", "-m").stdout)["stdout"] == "aarch64\n"
    assert json.loads(seabus("qmp", "l0", "query-status").stdout)["status"] == "running"
    assert "running" in seabus("qmp", "l2", "human-monitor-command", "command-line=info status").stdout
    assert "running" in seabus("console", "l0", stdin="info status\n").stdout
    with subprocess.Popen([*SEABUS, "watch", "--all", "--json"], stdout=subprocess.PIPE, text=True) as watch:
        receipt = json.loads(seabus("inject", "--json").stdout)["receipt"]
        assert receipt["witness"] == "L1 kernel-log"
        touched = json.loads(seabus("touch", "--json").stdout)
        assert touched["outcome"].startswith("SIGBUS BUS_MCEERR_AR")
        assert watch.stdout is not None
        seen = set()
        while ("L2", "siginfo") not in seen:
            event = json.loads(watch.stdout.readline())
            seen.add((event["level"], event["kind"]))
        assert {("L1", "ghes"), ("L1", "sigbus"), ("L2", "sea")} <= seen
        watch.send_signal(signal.SIGINT)
        assert watch.wait(SECONDS) == 0
    assert name in seabus("ps").stdout


WRONG = {
    ("touch", "--victim", "9"): "there is no victim 9; there are 0",
    ("exec", "--world", "none", "l1", "true"): "no world 'none' is running",
    ("exec", "l1"): "no command is named",
    ("qmp", "l0", "no-such-command"): "L0 refused no-such-command",
    ("qmp", "l0", "query-status", "nonsense"): "'nonsense' is not NAME=VALUE",
    ("inject", "--address", "nowhere"): "a request that makes no sense",
}


@pytest.mark.usefixtures("name")
def test_joining_goes_wrong() -> None:
    for words, told in WRONG.items():
        done = seabus(*words)
        assert told in done.stderr
        assert done.returncode in (2, 3)
        assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("name")
def test_a_command_ends_with_who_asked_for_it() -> None:
    """Though it inherits a pipe that nobody closes; its children end as well."""
    read, write = os.pipe()
    forever = "sleep 1234 & touch /tmp/begun; wait"
    with subprocess.Popen([*SEABUS, "exec", "l1", "--", "sh", "-c", forever], stdin=read) as asking:
        with deadline("the command to begin"):
            while seabus("exec", "l1", "test", "-e", "/tmp/begun").returncode:
                assert asking.poll() is None
        asking.send_signal(signal.SIGINT)
        assert asking.wait(SECONDS) == 130
    with deadline("the command to end"):
        while seabus("exec", "l1", "sh", "-c", "grep -l '123[4]' /proc/[0-9]*/cmdline").stdout:
            pass
    os.close(read)
    os.close(write)


def test_it_ends_with_its_emulator(name: str) -> None:
    (world,) = json.loads(seabus("ps", "--json").stdout)
    psutil.Process(world["emulator_pid"]).kill()
    psutil.Process(world["owner_pid"]).wait(SECONDS)
    assert "nothing is running" in seabus("ps").stdout
    log = next(Path(os.environ["SEABUS_ARTEFACTS"]).rglob("up.log"))
    assert "ended by itself" in log.read_text()
    assert "no world" in seabus("exec", "--world", name, "l1", "true").stderr


def test_who_watches_hears_of_a_rewind() -> None:
    shell = pexpect.spawn(SEABUS[0], [*SEABUS[1:], "shell", "--plain"], encoding="utf-8", timeout=SECONDS)
    shell.expect(">>> ")
    with subprocess.Popen([*SEABUS, "watch", "--json"], stdout=subprocess.PIPE, text=True) as watch:
        with deadline("the watch to begin"):
            while not control_sockets_in_use():
                assert watch.poll() is None
        shell.sendline("world.rewind()")
        assert watch.wait(SECONDS) == 0
    shell.expect(">>> ")
    shell.sendline("guest.read('/proc/uptime')[:0]")
    shell.expect("b''")
    assert json.loads(seabus("touch", "--new", "--json").stdout)["outcome"] == "went through"
    leave(shell)


def control_sockets_in_use() -> bool:
    """Whether somebody is connected to one: it has a line for each end, and one for who listens."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    here = f"{os.environ['XDG_RUNTIME_DIR']}/"
    return sum(here in line and line.endswith("/control.sock") for line in lines) > 1


@contextlib.contextmanager
def deadline(what: str) -> Iterator[None]:
    """Let the body take a minute, in which it asks again and again."""

    def late(*_: object) -> None:
        raise TimeoutError(f"waited {SECONDS} s for {what}")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_nobody_to_join() -> None:
    done = seabus("touch")
    assert done.returncode == 2
    assert "no world is running that can be attached to" in done.stderr


def test_a_state_is_kept_by_name() -> None:
    state = f"test-{uuid.uuid4().hex[:8]}"
    done = seabus(
        "shell",
        "--quiet",
        stdin=f"{CONSUMED}\nguest.write('/tmp/mark', b'kept')\nworld.freeze({state!r})\n"
        "print(guest.read('/tmp/mark'), world.victims[0].touch('read').outcome)",
    )
    assert "b'kept' SIGBUS BUS_MCEERR_AR" in done.stdout, done.stderr
    later = seabus(
        "shell", "--quiet", "--from", state, stdin="print(guest.read('/tmp/mark'))\nvictim().touch()"
    )
    assert "b'kept'" in later.stdout, later.stderr
    refused = f"try:\n    world.freeze({state!r})\nexcept Exception as refusal:\n    print(refusal)\n"
    again = seabus("shell", "--quiet", "--from", state, stdin=refused + CONSUMED)
    assert f"there is a state '{state}' already" in again.stdout
    assert again.returncode == 0, f"a refusal must leave the world watched: {again.stderr}"
    forget(state)
    assert "there is no state 'other'" in seabus("shell", "--quiet", "--from", "other").stderr


def test_a_killed_shell_leaves_nothing(runtime: Path) -> None:
    shell = pexpect.spawn(SEABUS[0], [*SEABUS[1:], "shell", "--plain"], encoding="utf-8", timeout=SECONDS)
    shell.expect(">>> ")
    (emulator,) = json.loads(seabus("ps", "--json").stdout)
    shell.kill(signal.SIGKILL)
    shell.wait()
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(emulator["emulator_pid"]).wait(5)
    late = time.monotonic() + 5
    while (left := list(runtime.glob("seabus-*/*"))) and time.monotonic() < late:
        time.sleep(0.05)
    assert not left
    assert "nothing is running" in seabus("ps").stdout


def test_the_screen_on_a_living_world(tmp_path: Path) -> None:
    frozen = template.ensure(WorldConfig(), store=Store(), artefacts=tmp_path, say=lambda _: None)

    async def play(world: Playground) -> None:
        async with Screen(LivingDeeds(world)).run_test(size=(160, 40)) as pilot:
            for key in ("v", "i", "t"):
                await pilot.press(key)
                await pilot.app.workers.wait_for_complete()
            await pilot.pause()
            assert pilot.app.query_one(DataTable).row_count == 4
            said = "\n".join(line.text for line in pilot.app.query_one("#L2", RichLog).lines)
            assert "SEA taken: ESR_EL1 0x92000410" in said
            await pilot.press("r")
            await pilot.app.workers.wait_for_complete()
            assert world.victims == []

    with LoopThread() as loop:
        playground = Playground(loop, frozen, tmp_path)
        with playground.living() as world:
            asyncio.run(play(world))
