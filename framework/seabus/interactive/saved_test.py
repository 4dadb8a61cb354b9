# SPDX-License-Identifier: Apache-2.0
"""What was done at a prompt, as a pytest: it does the same, and requires that the same happens."""

from __future__ import annotations

import ast
import dataclasses
import pprint
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from seabus.errors import UsageError
from seabus.interactive import free_names
from seabus.interactive.playground import Playground
from seabus.interactive.scope import FIXTURES, IMPORTS
from seabus.interactive.typed import Typed
from seabus.machine.config import WorldConfig
from seabus.observe.events import Kind, Level
from seabus.session.session import Session

#: How IPython writes what is no Python (``%magic``, ``!command``, ``help?``) in Python.
_PROMPT: Final = "get_ipython"
#: Magics that run Python: what they did would be missing in a test.
_RUNNING: Final = ("edit", "prun", "rerun", "run", "time", "timeit")
#: What the world of a session has beyond that of a test.
_ONLY_HERE: Final = {"victims", "loop", "on_event", "on_beginning", "beside"} | {
    name for name in vars(Playground).keys() - vars(Session).keys() if not name.startswith("_")
}
_DEFINITIONS: Final = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def source(typed: Typed, happened: Mapping[Level, Sequence[Kind]], config: WorldConfig, *, name: str) -> str:
    """The text of a test file.

    :param happened: the kinds of events at each level that came of it; if the session expected nothing of
        its own, the test expects just that.
    :param config: what the world was made of.
    :raises UsageError: nothing was done, or something that a test cannot do.
    """
    if typed.unclear is not None:
        raise UsageError(
            "the world began anew in the midst of a statement: what was done since cannot be told",
            hint="world.rewind() on a line of its own, and do it again",
        )
    cells, dropped = _without_the_prompts(typed.cells)
    if not cells:
        raise UsageError("nothing was done since the world began", hint="inject something first")
    statements = ast.parse("\n".join(cells)).body
    before = _definitions(typed.earlier, free_names.of(statements))
    cells = [*map(ast.unparse, before), *cells]
    statements = [*before, *statements]
    free = free_names.of(statements)
    _must_be_had(free, statements, dropped)
    if "expect" not in free:
        cells.append(_as_it_happened(happened))
        free.add("world")
    marks = _marks(config)
    lines = [
        '"""Saved from an interactive session."""',
        "",
        *(["import pytest", ""] if marks else []),
        *_imports(free),
        "",
        *marks,
        f"def test_{name}({', '.join(one for one in FIXTURES if one in free)}):",
        *_indented("\n".join(cells)),
    ]
    text = "\n".join(lines) + "\n"
    _must_compile(text)
    return text


def save(path: Path, typed: Typed, world: Playground) -> None:
    """Write the test, when everything that comes of what was done has come.

    :raises UsageError: nothing was done, or something that a test cannot do, or there is such a file.
    """
    if path.exists():
        raise UsageError(f"{path} is there already", hint="name another file, or remove it")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", hint="make it, or name another file")
    if world.is_from_kept_state:
        raise UsageError(
            "a test begins in a fresh world, and this one began in a state that was kept",
            hint="do it again in a `seabus shell` without --from and world.freeze()",
        )
    session = world.session
    name = re.sub(r"\W+", "_", path.stem.removeprefix("test_")).strip("_") or "saved"
    path.write_text(source(typed, session.happened(), session.config, name=name))


def _without_the_prompts(cells: Sequence[str]) -> tuple[list[str], set[str]]:
    """Cells without what is the prompt's own and what only looks; the names that went with it."""
    kept: list[str] = []
    gone: set[str] = set()
    for cell in cells:
        statements = ast.parse(cell).body
        wanted = [one for one in statements if not _is_the_prompts(one)]
        for one in statements:
            if one not in wanted:
                gone |= free_names.made_by(one)
        if all(map(_only_looks, wanted)):
            continue
        # As it was typed, with its comments, where that can be.
        kept.append(cell.strip("\n") if wanted == statements else "\n".join(map(ast.unparse, wanted)))
    return kept, gone


def _is_the_prompts(statement: ast.stmt) -> bool:
    """Whether a statement is a magic, a command or a question.

    :raises UsageError: it is a magic that ran Python.
    """
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            first = node.args[0] if node.args else None
            magic = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
            runs = node.func.attr == "run_line_magic" and magic in _RUNNING
            if (runs or node.func.attr == "run_cell_magic") and _calls_the_prompt(node.func.value):
                raise UsageError(
                    f"a test has no %{magic}, which ran something here",
                    hint="world.rewind(), and do it again without",
                )
    return isinstance(statement, ast.Expr | ast.Assign) and _calls_the_prompt(
        statement.value.func.value
        if isinstance(statement.value, ast.Call) and isinstance(statement.value.func, ast.Attribute)
        else statement.value
    )


def _calls_the_prompt(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == _PROMPT


def _only_looks(statement: ast.stmt) -> bool:
    """A name, or an attribute of one: it was shown, and a test has nobody to show it to.

    An attribute of what a call returned is shown as well, but the call was made.
    """
    looks = isinstance(statement, ast.Expr) and isinstance(
        statement.value, ast.Name | ast.Attribute | ast.Constant
    )
    return looks and not any(isinstance(node, ast.Call) for node in ast.walk(statement))


def _definitions(earlier: Sequence[str], wanted: set[str]) -> list[ast.stmt]:
    """Imports, functions and classes from before the world began that are used since."""
    found: list[ast.stmt] = []
    wanted = wanted - set(FIXTURES) - IMPORTS.keys()
    for cell in reversed(earlier):
        for statement in reversed(ast.parse(cell).body):
            made = free_names.made_by(statement)
            if isinstance(statement, _DEFINITIONS) and made & wanted:
                found.insert(0, statement)
                wanted = (wanted - made) | free_names.of([statement])
    return found


def _must_be_had(free: set[str], statements: Sequence[ast.stmt], dropped: set[str]) -> None:
    """:raises UsageError: a name is used that a test has not."""
    made: set[str] = set().union(*map(free_names.made_by, statements))
    for name in sorted(free):
        if name in dropped:
            raise UsageError(
                f"`{name}` came from the prompt (%, !), which a test has not", hint="make it in plain Python"
            )
        if name not in FIXTURES and name not in IMPORTS:
            raise UsageError(
                f"a test has no `{name}`: it is the prompt's, or of a world before this one",
                hint="world.rewind(), and do it again from there, without it",
            )
        if name in IMPORTS and name in made:
            raise UsageError(f"`{name}` was given another meaning", hint="name it otherwise, and try again")
    for statement in statements:
        for node in ast.walk(statement):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "world"
                and node.attr in _ONLY_HERE
            ):
                raise UsageError(
                    f"a test has no world.{node.attr}", hint="world.rewind(), and do it again without"
                )


def _marks(config: WorldConfig) -> list[str]:
    """What the world is made of, where it is not what it is by itself."""
    default = WorldConfig()
    given = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value != getattr(default, field.name):
            given.append(f"{field.name}={str(value.absolute()) if isinstance(value, Path) else value!r}")
    return [f"@pytest.mark.seabus({', '.join(given)})"] if given else []


def _imports(free: set[str]) -> list[str]:
    found = [f"from {IMPORTS[one]} import {one}" for one in free & IMPORTS.keys()]
    if "chains" in free:
        # They are modules of a package: each must be imported to be there.
        found += ["from seabus.chains import guest, guest_kernel, host, vmm  # noqa: F401"]
    return [*sorted(found), ""] if found else []


def _as_it_happened(happened: Mapping[Level, Sequence[Kind]]) -> str:
    """Level by level, since the order of levels is as good as their clocks."""
    told = pprint.pformat({level: list(kinds) for level, kinds in happened.items()}, width=90)
    return f"happened = {told}\nassert world.happened(like=happened) == happened"


def _indented(body: str) -> Iterator[str]:
    """Lines of a function; what lies within a text is left as it is."""
    within: set[int] = set()
    for node in ast.walk(ast.parse(body)):
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        ):
            within |= set(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
    for number, line in enumerate(body.split("\n"), start=1):
        yield line if number in within or not line else f"    {line}"


def _must_compile(text: str) -> None:
    """:raises UsageError: what can be said at a prompt cannot be said in a function."""
    try:
        compile(text, "saved test", "exec")
    except SyntaxError as error:
        raise UsageError(
            f"this cannot be said in a test: {error.msg}", hint="world.rewind(), and do it otherwise"
        ) from error
