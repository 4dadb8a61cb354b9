# SPDX-License-Identifier: Apache-2.0
"""A scenario file is read, or told what is wrong with it, by line."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from seabus.arch.addresses import HostPhysical
from seabus.errors import MachineError, UsageError
from seabus.script import play
from seabus.script.read import read
from seabus.world.world import World

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


def test_the_how_tos_scenario_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/write-a-scenario.md").read_text()
    ((name, text),) = re.findall(r"^```toml (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    path = tmp_path / name
    path.write_text(text)
    assert read(path).title == "The page beside a lost one is intact"
    path.write_text(text.replace('"read"', '"raed"'))
    with pytest.raises(UsageError) as caught:
        read(path)
    told = str(caught.value).removeprefix(f"{tmp_path}/").replace(name, "wrong.toml")
    assert f"seabus: {told}\n" in page


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
        ("l2_cpus = 2", "l2_cpus = 99", 4, "out of range"),
        ("l2_cpus = 2", "l2_cpus = true", 4, "true is not a whole number"),
        ("l2_cpus = 2", 'l1_mode = "vh"', 4, "did you mean `vhe`"),
        ("l2_cpus = 2", "l1_kernel = 7", 4, "7 is not a string"),
        ("kind = ", "kin = ", 7, "did you mean `kind`"),
        ('kind = "anon"', 'kind = "anonymous"', 7, "'anonymous' is not known"),
        ('kind = "anon"', 'pages = "two"', 7, "'two' is not a whole number"),
        ('kind = "anon"', "pages = 0", 7, "0 is too little"),
        ('kind = "anon"', "locked = 1", 7, "1 is not true or false"),
        ('kind = "anon"', 'level = "L3"', 7, "'L3' is not known"),
        ('"memory-record"', '["memory-record"]', 10, "is not a string"),
        ('"memory-record"', '"hard-offline"', 16, "speaks of a firmware record"),
        ('victim = "v"', 'address = "nowhere"', 11, "'nowhere' is not an address"),
        ('victim = "v"', "address = -1", 11, "-1 is not an address"),
        ('victim = "v"', "offset = 0.5", 11, "0.5 is not a whole number"),
        ('victim = "v"', "offset = -4096", 11, "-4096 is too little"),
        ('victim = "v"', 'victim = ["v"]', 11, "is not a string"),
        ('victim = "v"', 'name = "a"\n[[steps]]\ninject = "soft-offline"\nname = "a"', 14, "before it"),
        ('victim = "v"', '[[steps]]\ninject = "soft-offline"', 17, "needs `fault`: fault-1, fault-2"),
        ('touch = "read"', 'touch = "raed"', 14, "did you mean `read`"),
        ('touch = "read"', 'touch = "read"\nsize = "all"', 15, "'all' is not a whole number"),
        ('touch = "read"', 'touch = "write"\nvalue = true', 15, "true is not a whole number"),
        ('touch = "read"', 'settle = "soon"', 14, "'soon' is not a number"),
        ('touch = "read"', "settle = -1", 14, "-1 is too little"),
        ('touch = "read"', "settle = inf", 14, "inf is no number of seconds to wait for"),
        ('touch = "read"', "settle = nan", 14, "nan is no number of seconds to wait for"),
        ('touch = "read"', "settle = 1e9", 14, "1000000000.0 is no number of seconds to wait for"),
        ('touch = "read"', 'run = "true"\nlevel = "L2"', 14, "is not an array"),
        ('touch = "read"', 'run = []\nlevel = "L2"', 14, "is no command"),
        ('touch = "read"', 'run = ["a"]\nlevel = "L0"', 15, "'L0' is not known"),
        ('touch = "read"', 'run = ["a"]\nlevel = "L2"\nmust-succeed = "no"', 16, "not true or false"),
        ('touch = "read"', 'until = "sigbus"\nlevel = "L1"\nwithin = 0', 16, "0 is too little"),
        ('touch = "read"', 'until = "sigbus"\nlevel = "L1"\nfields = 3', 16, "3 is not a table"),
        ('"host.reports"', '["host.reports"]', 17, "is not a string"),
        ("esr = 0x92000410", 'esr = "much"', 21, "'much' is not a whole number"),
        ('witness = "victim"', 'witness = "victim"\nvictim = "nobody"', 27, "'nobody' is not known"),
        ('witness = "victim"', 'witness = "victim"\nafter = ["no-such"]', 27, "'no-such' is not expected"),
        ('witness = "victim"', 'witness = "victim"\nafter = "mine"', 27, "is not an array"),
        ('witness = "victim"', 'witness = "victim"\nfields = ["a"]', 27, "is not a table"),
        ('name = "mine"', 'name = "host-record"', 24, "'host-record' is expected already"),
        (
            '"host.reports"',
            '"host.reports"\n[[expect]]\nchain = "host.reports"',
            19,
            "`again` tells them apart",
        ),
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
        ("l2_cpus = 2", "l2_cpus 2", 4, "is not TOML"),
        ('level = "L2"', 'level = "L2', 25, "is not TOML"),
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


def test_an_event_may_come_after_one_of_a_chain(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(GOOD + 'after = ["host-record", "abort-injected"]\n')
    assert read(path).owed[2]["after"] == ["host-record", "abort-injected"]


def test_a_page_of_the_guest_is_not_the_hosts(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    page = GOOD.replace("host.reports", "host.loses_page")
    path.write_text(page)
    assert read(path).owed
    path.write_text(page.replace('kind = "anon"', 'level = "L1"'))
    with pytest.raises(UsageError, match=r"one\.toml:16: expect\.0: .* speaks of a page of the guest"):
        read(path)


def test_a_line_is_looked_for_in_its_own_table(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    more = '[expect.fields]\ntid = 1\n\n[[expect]]\nchain = "host.frame_stays_lost"\nafter = ["x"]\n'
    path.write_text(GOOD + more)
    with pytest.raises(UsageError, match=r"one\.toml:33: expect\.3\.after: is not known"):
        read(path)
    path.write_text(GOOD.replace("[[expect]]", "[[expect]]\nfields = 3", 1) + more)
    with pytest.raises(UsageError, match=r"one\.toml:17: expect\.0\.fields: is not known"):
        read(path)


def test_words_that_are_not_text_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_bytes(b'title = "x"\n# \xff\n')
    with pytest.raises(UsageError, match=r"one\.toml:2: is not TOML"):
        read(path)
    path.write_text("title = [1,\n2,\n")
    with pytest.raises(UsageError, match=r"one\.toml:2: is not TOML"):
        read(path)


class Refusing:
    """A stage that has a victim, and refuses the rest."""

    def __init__(self, refused: str) -> None:
        self._refused = refused
        self.pages = self

    @contextlib.asynccontextmanager
    async def open(self, *_: object, **__: object) -> AsyncIterator[Refusing]:
        yield self

    def _refuse(self, what: str) -> None:
        if self._refused == what:
            raise MachineError(f"no {what}", hint="as the machine said")

    async def victim(self, **_: object) -> str:
        self._refuse("victim")
        return "v"

    async def locate(self, *_: object, offset: int) -> SimpleNamespace:
        if offset:
            self._refuse("page")
        return SimpleNamespace(host_physical=HostPhysical(0))

    async def inject(self, _: object) -> None:
        self._refuse("fault")

    async def touch(self, *_: object, **__: object) -> None:
        self._refuse("touch")

    def level_of(self, _: object) -> str:
        return "L2"


@pytest.mark.parametrize(
    ("refused", "place"),
    [("victim", "6: victims.v"), ("page", "16: expect.0"), ("fault", "9: steps.0"), ("touch", "13: steps.1")],
)
def test_what_goes_wrong_in_a_run_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str, place: str
) -> None:
    path = tmp_path / "one.toml"
    page = '[[expect]]\nchain = "host.loses_page"\noffset = 4096\n'
    path.write_text(GOOD.replace('[[expect]]\nchain = "host.reports"\n', page))
    monkeypatch.setattr(play, "Stage", Refusing(refused))
    with pytest.raises(MachineError) as caught:
        asyncio.run(play.run(read(path), cast(World, None)))
    assert str(caught.value) == f"{path}:{place}: no {refused}"
    assert caught.value.hint == "as the machine said"


def test_what_could_not_fail(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(GOOD.partition("[[expect]]")[0])
    with pytest.raises(UsageError, match="could not fail"):
        read(path)


def test_a_scenario_that_expects_only_what_may_be_missing_could_not_fail(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    optional = '[[expect]]\nchain = "host.reports"\noptional = true\n'
    text = f'[victims.v]\n[[steps]]\ninject = "memory-record"\n{optional}'
    path.write_text(text)
    with pytest.raises(UsageError, match="is optional, as all others are, so the scenario could not fail"):
        read(path)
    path.write_text(f'{text}[[expect]]\nchain = "host.loses_page"\n')
    assert len(read(path).owed) == 2
