# SPDX-License-Identifier: Apache-2.0
"""What every way to command a machine can do, whichever channel it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from seabus.errors import MachineError


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """A command that ended: by ``exit`` status or by ``signal``, never both.

    Over SSH ``signal`` is 0: it is told that there was one, but not which.

    :param truncated: there was more output than the agent keeps of one: what is missing was not seen.
    """

    argv: tuple[str, ...]
    exit: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    truncated: bool = False

    @property
    def text(self) -> str:
        """What it printed.

        :raises MachineError: that is not all of it.
        """
        self._must_be_whole()
        return self.stdout.decode(errors="backslashreplace")

    def must_succeed(self) -> CommandResult:
        """Itself.

        :raises MachineError: it ended in any other way than exit status 0, or printed more than was kept.
        """
        self._must_be_whole()
        if self.exit != 0:
            how = f"status {self.exit}" if self.signal is None else f"signal {self.signal}"
            complaint = self.stderr.decode(errors="backslashreplace").strip()
            raise MachineError(f"`{' '.join(self.argv)}` ended with {how}", details={"stderr": complaint})
        return self

    def _must_be_whole(self) -> None:
        if self.truncated:
            raise MachineError(
                f"`{' '.join(self.argv)}` printed more than is kept of one command",
                hint="let it write to a file, and read that",
            )


class Commands(Protocol):
    """Run commands, read and write files: our agent, QEMU's guest agent, and SSH to a lab host."""

    async def run(self, *argv: str, stdin: bytes | None = None, within: float = ...) -> CommandResult:
        """Run a command to its end and return what it printed."""

    async def spawn(self, *argv: str, output: str) -> int:
        """Start a command that goes on by itself, its outputs appended to a file; returns its pid."""

    async def read(self, path: str, *, offset: int = 0) -> bytes:
        """A file's content from ``offset`` to its end."""

    async def write(self, path: str, data: bytes, *, mode: int = 0o644, append: bool = False) -> None:
        """Make or replace a file, or append to it."""
