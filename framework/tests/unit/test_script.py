# SPDX-License-Identifier: Apache-2.0
"""A scenario file is read, or told what is wrong with it, by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from seabus.errors import UsageError
from seabus.script.read import read

EXAMPLES = sorted(Path(__file__).parents[3].glob("docs/examples/*.toml"))
GOOD = """\
title = "One page"

[world]
l2_cpus = 2

[victims.v]
kind = "anon"

[[steps]]
inject = "memory-record"
victim = "v"

[[steps]]
touch = "read"

[[expect]]
chain = "host.reports"

[[expect]]
chain = "host.stops_vcpu"
esr = 0x92000410

[[expect]]
name = "mine"
level = "L2"
witness = "victim"
kind = "siginfo"
"""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_read(path: Path) -> None:
    script = read(path)
    assert script.steps
    assert script.owed


def test_a_scenario(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(GOOD)
    script = read(path)
    assert script.title == "One page"
    assert script.world.l2_cpus == 2
    assert list(script.victims) == ["v"]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("l2_cpus", "l2_cpu", 4, "did you mean `l2_cpus`"),
        ("l2_cpus = 2", 'l2_cpus = "many"', 4, "is not a number"),
        ("l2_cpus = 2", "l2_cpus = 99", 3, "out of range"),
        ("kind = ", "kin = ", 7, "did you mean `kind`"),
        ('"memory-record"', '"memory-recod"', 10, "did you mean `memory-record`"),
        ('victim = "v"', 'victim = "w"', 11, "'w' is not known"),
        ('victim = "v"', 'severity = "bad"', 11, "'bad' is not known"),
        ('victim = "v"', 'touch = "read"', 9, "must do one thing"),
        ('touch = "read"', 'until = "sigbus"', 13, "needs `level`"),
        ('"host.reports"', '"host.report"', 17, "did you mean `host.reports`"),
        ("esr = 0x92000410\n", "", 19, "needs `esr`"),
        ("esr = 0x92000410", "esr = 0x92000410\nfa = 0", 22, "did you mean `far`"),
        ('witness = "victim"\n', "", 23, "needs `witness`"),
        ('"siginfo"', '"sigino"', 27, "did you mean `siginfo`"),
        ("[victims.v]\nkind", "[victims.v]\n[victims.w]\nkind", 14, "needs `victim`: v, w"),
        ("[[expect]]", "[[expects]]", 1, "did you mean `expect`"),
        ("[[steps]]", "[[step]]", 1, "did you mean `steps`"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    assert old in GOOD
    path = tmp_path / "one.toml"
    path.write_text(GOOD.replace(old, new) if old.startswith("[[") else GOOD.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        read(path)
    assert words in str(caught.value)
    told = str(caught.value).partition("one.toml:")[2].partition(":")[0]
    assert told == str(line) or old.startswith("[["), str(caught.value)


def test_what_could_not_fail(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(GOOD.partition("[[expect]]")[0])
    with pytest.raises(UsageError, match="could not fail"):
        read(path)
