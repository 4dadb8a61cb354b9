# SPDX-License-Identifier: Apache-2.0
"""L0's monitor, of any world: through its server, or where there is none, the one that is open for people."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from seabus.attach import client
from seabus.channel.qmp import Qmp
from seabus.errors import DeadlineError, UsageError
from seabus.machine.run_folder import Running
from seabus.patience import STEP

Execute = Callable[[str, Mapping[str, object]], Any]


@contextlib.contextmanager
def opened(run: Running) -> Iterator[Execute]:
    """Runs commands while the body does: ``execute("query-status", {})``.

    :raises UsageError: there is no such monitor, or somebody else is at it.
    """
    if client.can_be_joined(run):
        yield lambda command, arguments: client.ask(
            run, "qmp", level="L0", command=command, arguments=dict(arguments)
        )["return"]
        return
    with asyncio.Runner() as runner, socket.socket(socket.AF_UNIX) as ours:
        qmp = Qmp("L0")
        try:
            ours.connect(str(run.folder / "qmp.sock"))
            ours.setblocking(False)
            runner.run(qmp.connect(ours, within=STEP / 3))
        except OSError as error:
            raise UsageError(f"{run.name}'s monitor does not answer", hint="seabus ps") from error
        except DeadlineError as error:
            raise UsageError(
                f"{run.name}'s monitor does not greet us", hint="it takes one at a time: leave it elsewhere"
            ) from error
        try:
            yield lambda command, arguments: runner.run(qmp.execute(command, dict(arguments)))
        finally:
            runner.run(qmp.close())
