# SPDX-License-Identifier: Apache-2.0
"""The console that everything is shown on."""

from __future__ import annotations

import rich.console


class Console(rich.console.Console):
    """Rich's, but whoever stops reading is no failure of what is shown: it would end us with status 1."""

    def on_broken_pipe(self) -> None:
        """Let the command line end as it does for plain ``print``.

        :raises BrokenPipeError: always; called while one is handled.
        """
        raise BrokenPipeError("nobody reads what is shown")
