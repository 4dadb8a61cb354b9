# SPDX-License-Identifier: Apache-2.0
"""What was typed becomes a test that says the same; what cannot be a test is refused. No world is needed."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from seabus.errors import UsageError
from seabus.interactive import saved_test
from seabus.interactive.typed import Typed
from seabus.machine.config import WorldConfig
from seabus.observe.events import Kind, Level

HAPPENED: dict[Level, list[Kind]] = {"L1": ["ghes", "memory_failure"]}


def session(*cells: str) -> Typed:
    """Cells as the prompt tells of them; a cell with a rewind begins anew while it runs."""
    prompt: Any = TransformerManager()  # type: ignore[no-untyped-call]
    typed = Typed()
    for cell in cells:
        if "world.rewind()" in cell or "again()" in cell:
            typed.begin_anew()
        typed.ran(prompt.transform_cell(cell))
    return typed


def saved(*cells: str, **config: Any) -> str:  # noqa: ANN401 - any parameter of a world
    text = saved_test.source(session(*cells), HAPPENED, WorldConfig(**config), name="it")
    compile(text, "saved", "exec")
    return text


def refused(*cells: str) -> str:
    with pytest.raises(UsageError) as refusal:
        saved(*cells)
    assert refusal.value.hint
    return str(refusal.value)


def test_a_test_of_what_was_done() -> None:
    assert saved("v = victim()", "inject(MemoryRecord(address=v.page.host_physical))") == (
        '"""Saved from an interactive session."""\n'
        "\n"
        "from seabus.faults.record import MemoryRecord\n"
        "\n"
        "\n"
        "def test_it(world, victim, inject):\n"
        "    v = victim()\n"
        "    inject(MemoryRecord(address=v.page.host_physical))\n"
        "    happened = {'L1': ['ghes', 'memory_failure']}\n"
        "    assert world.happened(like=happened) == happened\n"
    )


@pytest.mark.parametrize(
    "line",
    ["v.touch('read')  # is it dead?", "text = '''\n!no command\n%no magic\nwhat?\n'''", "print('why?')"],
)
def test_what_looks_like_the_prompts_and_is_python(line: str) -> None:
    text = saved("v = victim()", line)
    for one in line.splitlines():
        assert one in text


def test_the_content_of_a_text_is_not_indented() -> None:
    scope: dict[str, Any] = {}
    exec(saved("text = '''a\n b\n'''", "expect(text)"), scope)
    told: list[str] = []
    scope["test_it"](expect=told.append)
    assert told == ["a\n b\n"]


@pytest.mark.parametrize("cell", ["!ls", "%who", "inject?", "victim??", "%pwd"])
def test_what_is_the_prompts_is_left_out(cell: str) -> None:
    text = saved("v = victim()", cell, f"w = victim()\n{cell}")
    assert "get_ipython" not in text
    assert "w = victim()" in text


def test_what_does_something_and_is_looked_at_stays() -> None:
    assert '    v.touch("read").outcome\n' in saved("v = victim()", 'v.touch("read").outcome')


def test_what_only_looks_is_left_out() -> None:
    text = saved("v = victim()", "story", "v.page", "_")
    assert "story" not in text.replace("session", "")
    assert "v.page" not in text


def test_decode_is_imported() -> None:
    text = saved("print(decode(0x92000410))")
    assert "from seabus.interactive.decoding import decode\n" in text
    exec(text, {})


def test_a_rewind_within_a_cell_keeps_what_follows_it() -> None:
    text = saved("x = 1", "y = 2\nworld.rewind()\nv = victim()", "v.touch('read')")
    assert "v = victim()\n    v.touch('read')" in text
    assert "rewind" not in text
    assert "x = 1" not in text
    assert "y = 2" not in text


def test_definitions_from_before_the_world_began_are_kept() -> None:
    text = saved(
        "import re",
        "def read(one):\n    return re.sub('', '', one.touch())",
        "world.rewind()",
        "read(victim())",
    )
    assert "import re\n    def read(one):" in text


def test_a_failed_cell_is_forgotten_with_its_beginning() -> None:
    typed = session("x = 1")
    typed.begin_anew()
    typed.failed()
    typed.ran("v = victim()\n")
    assert typed.cells == ["v = victim()\n"]


def test_what_the_world_was_made_of() -> None:
    text = saved("victim()", l2_memory_mib=768, l1_mode="vhe", l2_ras=False)
    assert "@pytest.mark.seabus(l1_mode='vhe', l2_memory_mib=768, l2_ras=False)\ndef test_it" in text
    assert "import pytest\n" in text
    assert "pytest" not in saved("victim()")


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (("world.rewind()",), "nothing was done"),
        (("v = victim()", "_.touch('read')"), "a test has no `_`"),
        (("victim()", "Out[1].touch('read')"), "a test has no `Out`"),
        (("v = victim()", "world.rewind()", "v.touch('read')"), "a test has no `v`"),
        (("v = victim()", "world.rewind()", "v = v.partner()"), "a test has no `v`"),
        (("n = 1", "world.rewind()", "n += 1"), "a test has no `n`"),
        (("world.victims[0].touch('read')",), "a test has no world.victims"),
        (("print(world.run_folder)",), "a test has no world.run_folder"),
        (("for _ in range(2):\n    world.rewind()\n    victim()",), "in the midst of a statement"),
        (("again()",), "in the midst of a statement"),
        (("x = !ls", "print(x)"), "`x` came from the prompt"),
        (("x = %pwd", "print(x)"), "`x` came from the prompt"),
        (("%time victim()",), "a test has no %time"),
        (("%%time\nvictim()",), "a test has no %time"),
        (("victim()", "chains = chains.host"), "`chains` was given another meaning"),
        (("from os import *", "victim()"), "this cannot be said in a test"),
    ],
)
def test_what_cannot_be_a_test(cells: tuple[str, ...], told: str) -> None:
    assert told in refused(*cells)
