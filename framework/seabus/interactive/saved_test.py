# SPDX-License-Identifier: Apache-2.0
"""What was done at a prompt, as a pytest: it does the same, and requires that the same happens."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from seabus.errors import UsageError
from seabus.interactive.scope import FIXTURES, IMPORTS
from seabus.observe.events import UNJUDGED
from seabus.observe.story import Story

#: What a prompt offers beyond Python, and what begins anew: a test is what was done since.
_NO_PYTHON: Final = re.compile(r"^\s*[%!?]|\?\s*$")
_BEGINS_ANEW: Final = "world.rewind()"


def source(cells: Sequence[str], story: Story, *, name: str) -> str:
    """The text of a test file.

    :param cells: what was typed and went through, in order.
    :param story: what came of it; if nothing was expected of it, the test expects just that.
    :raises UsageError: nothing was done.
    """
    done = list(_since_the_beginning(cells))
    if not done:
        raise UsageError("nothing was done since the world began", hint="inject something first")
    body = "\n".join(done)
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    if "expect" not in used:
        body += f"\n{_as_it_happened(story)}"
        used.add("world")
    imports = [f"from {IMPORTS[one]} import {one}" for one in sorted(used & IMPORTS.keys())]
    if "chains" in used:
        # They are modules of a package: each must be imported to be there.
        imports += ["from seabus.chains import guest, guest_kernel, host, vmm  # noqa: F401"]
    fixtures = ", ".join(one for one in FIXTURES if one in used)
    lines = [
        '"""Saved from an interactive session."""',
        "",
        *sorted(imports),
        "" if imports else None,
        "",
        f"def test_{name}({fixtures}):",
        *(f"    {line}" if line else "" for line in body.splitlines()),
    ]
    return "\n".join(line for line in lines if line is not None) + "\n"


def save(path: Path, cells: Sequence[str], story: Story) -> None:
    """Write the test.

    :raises UsageError: nothing was done, or there is such a file.
    """
    if path.exists():
        raise UsageError(f"{path} is there already", hint="name another file, or remove it")
    name = re.sub(r"\W+", "_", path.stem.removeprefix("test_")).strip("_") or "saved"
    path.write_text(source(cells, story, name=name))


def _since_the_beginning(cells: Sequence[str]) -> Iterable[str]:
    kept: list[str] = []
    for cell in cells:
        if _BEGINS_ANEW in cell:
            kept.clear()
            continue
        lines = [line for line in cell.strip().splitlines() if not _NO_PYTHON.search(line)]
        text = "\n".join(lines)
        if text and not _only_looks(text):
            kept.append(text)
    return kept


def _only_looks(text: str) -> bool:
    """A name, or an attribute of one: it was shown, and a test has nobody to show it to."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return True
    return all(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Name | ast.Attribute | ast.Constant)
        for node in tree.body
    )


def _as_it_happened(story: Story) -> str:
    """Level by level, since the order of levels is as good as their clocks."""
    lines = ["happened = {}", "for event in world.story.events:"]
    lines += [f"    if event.kind not in {tuple(UNJUDGED)!r}:"]
    lines += ["        happened.setdefault(event.level, []).append(event.kind)"]
    seen: dict[str, list[str]] = {}
    for event in story.events:
        if event.kind not in UNJUDGED:
            seen.setdefault(event.level, []).append(event.kind)
    lines += [f"assert happened == {seen!r}"]
    return "\n".join(lines)
