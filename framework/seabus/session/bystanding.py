# SPDX-License-Identifier: Apache-2.0
"""What can be seen of a guest without our agent: by QEMU's guest agent, which clouds install.

It reads the kernel's log and knows how the programs end that it started. It cannot follow a trace, so it adds
to the other witnesses and does not replace them.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from seabus.arch.kernel_text import GhesTextParser
from seabus.observe.last_words import ghes_fields
from seabus.patience import STEP, deadline

if TYPE_CHECKING:
    from seabus.session.stage import Stage

_WITNESS: Final = "qga"
_GLANCE: Final = 0.05


@dataclass(frozen=True)
class Program:
    """A program of the guest's own, started by QEMU's guest agent.

    :param pid: its process, if the script became it with ``exec``.
    """

    stage: Stage
    pid: int

    @property
    def tid(self) -> int:
        """Its one thread."""
        return self.pid

    @classmethod
    async def start(cls, stage: Stage, script: str) -> Program:
        arguments = {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True}
        return cls(stage, int((await stage.world.l2_qga.execute("guest-exec", arguments))["pid"]))

    async def ended(self) -> str:
        """How it ended is an event; what it printed.

        :raises DeadlineError: it goes on.
        """
        async with deadline(STEP, f"the guest's program {self.pid} to end"):
            while not (status := await self._status())["exited"]:  # noqa: ASYNC110 - of L2
                await asyncio.sleep(_GLANCE)
        fields = {"who": "program", "exit": status.get("exitcode"), "signal": status.get("signal")}
        text = f"the program {self.pid} ended: {fields['exit']}, signal {fields['signal']}"
        self.stage.add("L2", _WITNESS, "ended", fields, text)
        return base64.b64decode(status.get("out-data", "")).decode(errors="backslashreplace")

    async def _status(self) -> Any:  # noqa: ANN401 - QGA's answer
        return await self.stage.world.l2_qga.execute("guest-exec-status", {"pid": self.pid})


async def read_log(stage: Stage) -> None:
    """The hardware error records in the guest's kernel log, as events.

    :raises MachineError: it cannot be read.
    """
    log = (await stage.world.l2_qga.run("dmesg")).must_succeed().text
    parser = GhesTextParser()
    records = [record for line in log.splitlines() if (record := parser.feed(line))]
    for record in {found.sequence: found for found in (*records, *parser.finish())}.values():
        stage.add("L2", _WITNESS, "ghes", ghes_fields(record), record.lines[0] if record.lines else "")
