# SPDX-License-Identifier: Apache-2.0
"""Lines of a log as consoles, dmesg, /dev/kmsg and journals show them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch.kernel_text import MAX_LINE, LogLine, find_trouble, kernel_message, parse_log_line

SECONDS = 10**9


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hello", LogLine(message="hello")),
        ("", LogLine(message="")),
        ("<6>hello", LogLine(message="hello", level=6, facility=0)),
        # <13> is user.notice: facility 1, level 5
        ("<13>hello", LogLine(message="hello", level=5, facility=1)),
        ("[    0.000001] hello", LogLine(message="hello", time_ns=1000)),
        ("[12345.678901] hello\r\n", LogLine(message="hello", time_ns=12345 * SECONDS + 678901000)),
        (
            "<3>[   12.345678][  T123] hello",
            LogLine(message="hello", level=3, facility=0, time_ns=12345678000, caller="T123"),
        ),
        ("[    1.000000] [    C0] hello", LogLine(message="hello", time_ns=SECONDS, caller="C0")),
        # Documentation/ABI/testing/dev-kmsg
        (
            "7,160,424069,-;pci_root PNP0A03:00: host bridge window",
            LogLine(
                message="pci_root PNP0A03:00: host bridge window",
                level=7,
                facility=0,
                time_ns=424069000,
                sequence=160,
            ),
        ),
        (
            "12,339,5140900,c,caller=T1;x",
            LogLine(message="x", level=4, facility=1, time_ns=5140900000, sequence=339, caller="T1"),
        ),
        # util-linux dmesg -x, -T, --time-format iso
        (
            "kern  :err   : [   12.300000] hello",
            LogLine(message="hello", level=3, time_ns=12_300000000),
        ),
        ("daemon:info  : hello", LogLine(message="hello", level=6)),
        ("[Mon Nov 23 06:15:03 2026] hello", LogLine(message="hello")),
        ("2026-11-23T06:15:03,123456+00:00 hello", LogLine(message="hello")),
        # journalctl, journalctl -o short-monotonic
        ("Nov 23 06:15:03 l1 kernel: hello", LogLine(message="hello")),
        ("[   12.300000] l1 kernel: hello", LogLine(message="hello", time_ns=12_300000000)),
    ],
)
def test_where_a_line_comes_from(line: str, expected: LogLine) -> None:
    assert parse_log_line(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "\x1b[0m\x1b[31m[    1.000000] hello\x1b[0m",
        "\x1b[2J\x1b[01;01H\x1b[=3h[    1.000000] hello",  # EDK2's start of a console
        "\r[    1.000000] hel\x00lo\x07\r\r\n",
        "\x9b[    1.000000] hello",
    ],
)
def test_noise_of_a_console(line: str) -> None:
    assert parse_log_line(line) == LogLine(message="hello", time_ns=SECONDS)


def test_indentation_is_kept() -> None:
    assert kernel_message("[    1.000000]   ESR = 0x96000045") == "  ESR = 0x96000045"
    assert kernel_message("[    1.000000] \tTasks blocked") == "\tTasks blocked"


def test_what_exceeds_the_limit_is_dropped() -> None:
    assert parse_log_line("x" * 10**6).message == "x" * MAX_LINE


@given(st.text(max_size=200))
def test_any_text_is_a_line(text: str) -> None:
    line = parse_log_line(text)
    assert "\x1b" not in line.message or "\x1b" in text
    assert len(line.message) <= len(text)
    assert line.level is None or 0 <= line.level <= 7


@pytest.mark.parametrize("prompt", ["localhost login: ", "(initramfs) ", "root@host:~# ", "$ ", "=>"])
@pytest.mark.parametrize("caller", ["", "[   T12]"])
def test_a_kernels_line_behind_a_prompt(prompt: str, caller: str) -> None:
    """On a console a prompt has no line end."""
    found = parse_log_line(f"{prompt}[   45.123456]{caller} Internal error: Oops: 96000004 [#1] SMP")
    assert found.message == "Internal error: Oops: 96000004 [#1] SMP"
    assert (found.time_ns, found.caller) == (45_123_456_000, "T12" if caller else None)
    assert find_trouble(f"{prompt}[   45.123456]{caller} Kernel panic - not syncing: x") == "panic"


@pytest.mark.parametrize(
    "text", ["it took [    1.000000] s", "eth0: [1.2.3.4] is up", "a: [  12.5] volts", "clock [    0.000000]"]
)
def test_a_message_with_brackets_stays_whole(text: str) -> None:
    assert parse_log_line(text).message == text


@pytest.mark.parametrize(
    "stamp", ["[Nov26 19:26] ", "[Nov 6 09:26] ", "[  +0.000123] ", "[   45.123456 <    0.000123>] "]
)
def test_times_of_dmesg_for_people(stamp: str) -> None:
    stuck = "BUG: soft lockup - CPU#1 stuck"
    assert parse_log_line(f"{stamp}{stuck}").message == stuck
