# SPDX-License-Identifier: Apache-2.0
"""What was typed and went through since the world began, which is what a saved test does again."""

from __future__ import annotations

import ast
from typing import Final

#: What begins anew, as methods of the world.
BEGINNINGS: Final = ("rewind", "freeze")


class Typed:
    """Cells of Python. The world says when it begins anew; a cell is told of once it has run."""

    def __init__(self) -> None:
        #: Since the world began.
        self.cells: list[str] = []
        #: In worlds before this one: their definitions are still known.
        self.earlier: list[str] = []
        #: The cell in whose midst the world began, where it cannot be told what was done since.
        self.unclear: str | None = None
        self._begun = False

    def begin_anew(self) -> None:
        """The world begins anew: what was done before is no part of a test."""
        self.earlier += self.cells
        self.cells.clear()
        self.unclear, self._begun = None, True

    def failed(self) -> None:
        """A cell ended with an error: it is no part of a test."""
        self._begun = False

    def ran(self, cell: str) -> None:
        """A cell went through, in which the world may have begun anew."""
        if not self._begun:
            self.cells.append(cell)
            return
        self._begun = False
        statements = ast.parse(cell).body
        last = max((place for place, one in enumerate(statements) if _begins(one)), default=None)
        if last is None or not isinstance(statements[last], ast.Expr):
            self.unclear = cell
            return
        self.earlier += [ast.unparse(one) for one in statements[:last]]
        self.cells += [ast.unparse(one) for one in statements[last + 1 :]]


def _begins(statement: ast.stmt) -> bool:
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in BEGINNINGS
        for node in ast.walk(statement)
    )
