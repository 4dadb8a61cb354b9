# SPDX-License-Identifier: Apache-2.0
"""Names that a piece of Python reads before it has made them."""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator, Sequence
from typing import Final

#: What a prompt adds to them: its last results, itself, and how to leave it.
_THE_PROMPTS: Final = {"_", "get_ipython", "display", "exit", "quit"}
_BUILT_IN: Final = frozenset(dir(builtins)) - _THE_PROMPTS | {"__name__", "__file__"}


def of(statements: Sequence[ast.stmt]) -> set[str]:
    """Names that must be there before the first of these statements runs."""
    missing: set[str] = set()
    made: set[str] = set()
    for statement in statements:
        reads, makes = _reads(statement), made_by(statement)
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            # Its value is computed before its name is made.
            makes_first = {node.target.id for node in ast.walk(statement) if isinstance(node, ast.NamedExpr)}
        else:
            makes_first = makes
        missing |= reads - makes_first - made - _BUILT_IN
        made |= makes
    return missing


def made_by(statement: ast.stmt) -> set[str]:
    """Names that a statement makes, where it stands."""
    table = symtable.symtable(ast.unparse(statement), "cell", "exec")
    return {one.get_name() for one in table.get_symbols() if one.is_assigned() or one.is_imported()}


def _reads(statement: ast.stmt) -> set[str]:
    found = set()
    for table in _tables(symtable.symtable(ast.unparse(statement), "cell", "exec")):
        outermost = table.get_type() == "module"
        found |= {
            one.get_name()
            for one in table.get_symbols()
            if one.is_referenced() and (outermost or one.is_global())
        }
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        found.add(statement.target.id)
    return found


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)
