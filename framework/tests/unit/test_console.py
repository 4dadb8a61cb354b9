# SPDX-License-Identifier: Apache-2.0
"""Bytes that a guest chose reach a terminal harmless."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from seabus.machine.console import printable, tail


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;owned\x07title", "title"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"a\x00b\x08c\x7f", "abc"),
        (b"\xff\xfebad", "\\xff\\xfebad"),
        ("\u202eevil".encode(), "evil"),
        (b"\xc2\x9b31mcsi", "csi"),
        (b"one\r\ntwo\rthree", "one\ntwo\nthree"),
        (b"\x1b[2J\x1b[6n\x1bcreset", "reset"),
    ],
)
def test_sequences_are_removed(hostile: bytes, shown: str) -> None:
    assert printable(hostile) == shown


def test_no_bytes_at_all_make_a_control_character() -> None:
    dice = random.Random(1)
    for _ in range(2000):
        text = printable(bytes(dice.choices(b"\x1b[]0;\x07\x9bA\xc2\xffm\\P\n", k=40)))
        assert all(char in "\n\t" or char.isprintable() for char in text)


def test_tail_is_short_whatever_was_written(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"x" * 1_000_000 + b"\n" + b"\n".join(b"line %d" % n for n in range(100)))
    assert tail(log, 3) == "line 97\nline 98\nline 99"
    assert tail(tmp_path / "none") == ""
