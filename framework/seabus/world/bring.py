# SPDX-License-Identifier: Apache-2.0
"""How our agent comes into a guest: it is part of our images; into any other QEMU's guest agent brings it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from seabus.channel.agent import Agent
from seabus.errors import DeadlineError
from seabus.machine import ports
from seabus.world.world import World

_ASK_AGAIN: Final = 1.0
_PING: Final = 3.0
#: Seconds that a guest which has our agent may take to start it after QEMU's.
_PATIENCE: Final = 5.0
#: A tmpfs on every Linux system (FHS 3.0, 3.15), from which programs may be run on Debian.
_PLACE: Final = "/run/seabus-agent"


async def hello_of(agent: Agent) -> dict[str, Any]:
    """An agent's hello, once it answers; the caller sets the deadline."""
    # Asked again and again: EDK2 has a driver for these ports and swallows what comes while it runs.
    while True:
        with contextlib.suppress(DeadlineError):
            return dict(await agent.request("hello", within=_ASK_AGAIN))


async def hello_of_any(world: World) -> dict[str, Any]:
    """The hello of our agent in a guest that somebody else made; it is brought in if it is not there.

    Nothing is installed: it is a file in /run, and gone with the guest's next boot.

    :raises AgentError: QEMU's guest agent refuses to write or to run a program.
    """
    hello = asyncio.ensure_future(hello_of(world.l2))
    bringing = asyncio.ensure_future(_bring(world))
    try:
        await asyncio.wait([hello, bringing], return_when=asyncio.FIRST_COMPLETED)
        if bringing.done():
            bringing.result()
        return await hello
    finally:
        hello.cancel()
        bringing.cancel()
        await asyncio.gather(hello, bringing, return_exceptions=True)


async def _bring(world: World) -> None:
    while True:
        with contextlib.suppress(DeadlineError):
            await world.l2_qga.execute("guest-ping", within=_PING)
            break
    await asyncio.sleep(_PATIENCE)
    program = await world.l1.read("/usr/bin/seabus-agent")
    await world.l2_qga.write(_PLACE, program, mode=0o755)
    await world.l2_qga.spawn(_PLACE, "--port", ports.L1_AGENT, output=f"{_PLACE}.log")
