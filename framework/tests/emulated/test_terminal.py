# SPDX-License-Identifier: Apache-2.0
"""A person at two terminals, in colour: the main moves of the tutorial and of the shell."""

from __future__ import annotations

import contextlib
import re
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from seabus.images.store import USERS_OWN, Store

pytestmark = pytest.mark.emulated

SECONDS = 90
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[=>]|\r")
ENTER, TAB, UP, CTRL_C, CTRL_D, LEAVE = "\r", "\t", "\x1b[A", "\x03", "\x04", "\x1d"
#: How each level is coloured, as a terminal is told.
COLOURS = {"L0": "\x1b[35mL0\x1b[0m", "L1": "\x1b[36mL1\x1b[0m", "L2": "\x1b[32mL2\x1b[0m"}


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, *words: str) -> None:
        argv = ["-m", "seabus", *words]
        self._spawn = pexpect.spawn(sys.executable, argv, encoding="utf-8", dimensions=(50, 180))
        #: All that was written to it, and how much of it, without sequences, was read.
        self.raw = ""
        self._read = 0

    def types(self, text: str) -> None:
        self._spawn.send(text)

    def shows(self, pattern: str) -> str:
        """Wait for something in what was not read yet; what was shown up to its end."""
        late = time.monotonic() + SECONDS
        while True:
            shown = SEQUENCE.sub("", self.raw)[self._read :]
            if found := re.search(pattern, shown, re.DOTALL):
                self._read += found.end()
                return shown[: found.end()]
            assert time.monotonic() < late, f"not shown in {SECONDS} s: {pattern}\n{shown}"
            with contextlib.suppress(pexpect.TIMEOUT):
                try:
                    self.raw += self._spawn.read_nonblocking(65536, timeout=1)
                except pexpect.EOF:
                    raise AssertionError(f"ended without {pattern}:\n{shown}") from None

    def ends(self) -> int:
        """Its exit status, once it ends."""
        with contextlib.suppress(pexpect.EOF):
            while True:
                self.raw += self._spawn.read_nonblocking(65536, timeout=SECONDS)
        self._spawn.close()
        assert self._spawn.exitstatus is not None
        return int(self._spawn.exitstatus)


def at_terminal(*words: str) -> str:
    """What a command shows that goes well."""
    terminal = Terminal(*words)
    assert terminal.ends() == 0, terminal.raw
    return SEQUENCE.sub("", terminal.raw)


@pytest.fixture(autouse=True)
def alone(runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other world is running, as far as these commands can see; nothing is kept in the user's folders."""
    del runtime
    monkeypatch.setenv("SEABUS_ARTEFACTS", str(tmp_path / "runs"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("PAGER", "cat")
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")  # nobody answers where the cursor is
    for name in ("NO_COLOR", "COLUMNS", "LINES", "CI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def state() -> Iterator[str]:
    """A name for a state, which is forgotten afterwards."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    for path in Store().entries():
        if path.name.startswith(USERS_OWN) and Store().read(path).manifest["inputs"] == {"name": name}:
            Store().remove(path)


def test_the_shells_moves(state: str) -> None:
    shell = Terminal("shell")
    shell.shows(r"In \[1\]: ")
    watch = Terminal("watch", "--all")

    def cell(number: int, text: str, pattern: str) -> str:
        shell.types(text + ENTER)
        return shell.shows(rf"{pattern}.*In \[{number + 1}\]: ")

    # Completion, and words that say what they are.
    shell.types("world.run_f" + TAB)
    shell.shows("older")
    cell(1, "", "seabus-")
    cell(2, "help(inject)", "Put a fault in")
    cell(3, "v = victim(); guest.write('/tmp/mark', b'kept')", "")
    cell(4, "v", "SessionVictim")
    # A line that is half typed outlives what another terminal does.
    shell.types("v.touch('re")
    shell.shows(r"v\.touch\('re")
    assert "receipt: witness L1 kernel-log" in at_terminal("inject")
    shell.shows(r"L1 kernel-log +GHES record, source 1")
    shell.shows(r"In \[5\]: v\.touch\('re")
    cell(5, "ad')", "memory error consumed, action required|BUS_MCEERR_AR")
    watch.shows("handler: BUS_MCEERR_AR")
    for level, colour in COLOURS.items():
        assert colour in watch.raw, level
        assert level == "L0" or colour in shell.raw, level
    # What goes wrong, and Ctrl-C, leave the world as it is.
    told = cell(6, "expect(chains.host.reports(MemoryRecord(address=HostPhysical(4096))))", "fail: ")
    assert "Traceback" not in told
    shell.types("print('wai' + 'ting', flush=True); world.until('L1', 'panic', within=1000)" + ENTER)
    shell.shows("waiting")
    shell.types(CTRL_C)
    shell.shows(r"KeyboardInterrupt.*In \[8\]: ")
    cell(8, "guest.run('echo', 'al' + 'ive').stdout", "b'alive")
    cell(9, "print(story)", "memory_failure")
    # A state is kept; who watched hears that this world is over.
    cell(10, f"world.freeze({state!r})", "")
    assert watch.ends() == 0
    cell(11, "print('vic' + 'tims:', len(world.victims))", "victims: 1")
    shell.types(CTRL_D)
    assert shell.ends() == 0

    # Another shell begins in it, and knows what was typed in the one before.
    later = Terminal("shell", "--from", state)
    later.shows(r"In \[1\]: ")
    later.types(UP)
    later.shows(r"len\(world\.victims\)\)")
    later.types(UP + ENTER)
    told = later.shows(r"In \[2\]: ")
    assert f"there is a state '{state}' already" in told
    later.types("guest.read('/tmp/mark'), world.victims[0].touch('read').outcome" + ENTER)
    later.shows(r"b'kept',\s+'SIGBUS BUS_MCEERR_AR")
    later.shows(r"In \[3\]: ")
    later.types("exit" + ENTER)
    assert later.ends() == 0
    assert "nothing is running" in at_terminal("ps")


def test_the_tutorials_moves() -> None:
    assert "is up for 60 minutes" in at_terminal("up")
    watch = Terminal("watch")
    assert "went through" in at_terminal("touch", "--new")
    assert "receipt: witness L1 kernel-log" in at_terminal("inject")
    watch.shows("GHES record, source 1")
    assert "memory error consumed, action required" in at_terminal("touch")
    watch.shows("SEA taken")
    assert COLOURS["L2"] in watch.raw
    assert "HardwareCorrupted" in at_terminal(
        "exec", "l1", "--", "grep", "HardwareCorrupted", "/proc/meminfo"
    )
    assert "Memory failure" in at_terminal("exec", "l2", "--", "dmesg")
    assert '"running"' in at_terminal("qmp", "l2", "query-status")
    console = Terminal("console", "l1")
    console.shows("Ctrl-] leaves")
    console.types(ENTER)
    console.shows(r"[#$] ")
    console.types("echo up=$((6*7))" + ENTER)
    console.shows("up=42")
    console.types(LEAVE)
    assert console.ends() == 0
    monitor = Terminal("console", "l0")
    monitor.shows(r"\(l0\) ")
    monitor.types("info status" + ENTER)
    monitor.shows("running")
    monitor.types(CTRL_D)
    assert monitor.ends() == 0
    watch.types(CTRL_C)
    assert watch.ends() == 0
    assert "ended " in at_terminal("stop", "--all")


def test_it_is_decoded_and_compared_in_colour() -> None:
    terminal = Terminal("decode", "esr", "0x92000410")
    assert terminal.ends() == 0
    assert "data abort from a lower EL" in SEQUENCE.sub("", terminal.raw)
    assert "\x1b[" in terminal.raw
