# SPDX-License-Identifier: Apache-2.0
"""A QEMU's state into a file and back: its migration, with the same machine at both ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seabus.channel.qmp import Qmp
from seabus.errors import CloneError, MachineError
from seabus.patience import deadline


async def save(qmp: Qmp, path: str, capabilities: Mapping[str, object], *, within: float = 60) -> None:
    """Write a stopped machine to a file of the computer it runs on.

    :param capabilities: arguments of ``migrate-set-capabilities``.
    :raises MachineError: QEMU could not.
    """
    with qmp.client.listener("MIGRATION") as events:
        await qmp.execute("migrate-set-capabilities", dict(capabilities))
        await qmp.execute("migrate", {"uri": f"file:{path}"})
        async with deadline(within, f"{qmp.level} to be written to a file"):
            while True:
                event: Mapping[str, Any] = await events.get()
                status = event["data"]["status"]
                if status == "completed":
                    return
                if status in ("failed", "cancelled"):
                    facts = await qmp.execute("query-migrate")
                    raise MachineError(f"{qmp.level} could not be frozen: {facts.get('error-desc', status)}")


async def load(qmp: Qmp, path: str, capabilities: Mapping[str, object], *, within: float) -> None:
    """Fill a machine that waits for it (``-incoming defer``) from a file, and let it run.

    :raises CloneError: the file does not fit, or the machine does not run.
    """
    with qmp.client.listener("MIGRATION") as events:
        await qmp.execute("migrate-set-capabilities", dict(capabilities))
        await qmp.execute("migrate-incoming", {"uri": f"file:{path}", "exit-on-error": False})
        async with deadline(within, f"the frozen state of {qmp.level} to load"):
            status = ""
            while status not in ("completed", "failed"):
                event: Mapping[str, Any] = await events.get()
                status = event["data"]["status"]
    if status == "failed":
        facts = await qmp.execute("query-migrate")
        raise CloneError(f"the frozen state does not load: {facts.get('error-desc', 'no reason given')}")
    await qmp.execute("cont")
    # `cont` answers success after a failed load, too; only the run state tells.
    run_state = (await qmp.execute("query-status"))["status"]
    if run_state != "running":
        raise CloneError(f"{qmp.level} is `{run_state}`, not `running`, after its load")
