# SPDX-License-Identifier: Apache-2.0
"""Whether a machine is still the one that was handed out: the same life of it, and no other clone.

A kernel's boot_id is another after each boot. The nonce that a clone was given right after its restore
(:func:`seabus.world.restore.adopt`) is kept in its agent's memory: no other clone has it, and the template
has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from seabus.channel.agent import Agent
from seabus.errors import CloneError

_HINT: Final = "what this test saw is of two machines; the end of the level's console tells why"


async def check(agent: Agent, known: Mapping[str, Any]) -> None:
    """Ask a machine who it is.

    :param known: what was noted of it: ``boot_id``, and the ``nonce`` and ``pid`` of its agent where it was
        given a nonce.
    :raises CloneError: it has booted since, or is another clone.
    :raises MachineError: it does not answer.
    """
    now = await agent.request("hello")
    if now["boot_id"] != known["boot_id"]:
        raise CloneError(f"{agent.level} rebooted before the verdict: its boot_id is another", hint=_HINT)
    # An agent that died is started again by its init, as another process, and knows of no nonce.
    respawned = now["nonce"] is None and now["pid"] != known["pid"]
    if known.get("nonce") is not None and now["nonce"] != known["nonce"] and not respawned:
        raise CloneError(f"{agent.level} is another clone than this test's: its nonce is another", hint=_HINT)
