# SPDX-License-Identifier: Apache-2.0
"""What can be asked of a running world, in its own event loop."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from seabus.arch.addresses import HostPhysical
from seabus.arch.cper import Severity
from seabus.attach import FAULT_KINDS
from seabus.errors import MachineError, SeabusError, UsageError
from seabus.faults.fault import Fault
from seabus.faults.poison import HardOffline, HwpoisonInject, SoftOffline
from seabus.faults.record import MemoryRecord
from seabus.observe.events import Event
from seabus.report.wording import describe
from seabus.session.session import SessionVictim

if TYPE_CHECKING:
    from seabus.attach.joinable import Joinable

Asked = Mapping[str, Any]
_COMMAND_S: Final = 3600.0
#: In the environment of a command, and of those that it starts in turn: by it they are found again.
_MARK: Final = "SEABUS_EXEC"
_KILL: Final = 'for one in /proc/[0-9]*; do grep -qs "$1" $one/environ && kill -9 ${one#/proc/}; done; true'

_MAKERS: Final[tuple[Callable[[HostPhysical, Severity], Fault], ...]] = (
    lambda page, severity: MemoryRecord(address=page, severity=severity),
    lambda page, _: HardOffline(address=page),
    lambda page, _: SoftOffline(address=page),
    lambda page, _: HwpoisonInject(address=page),
)
FAULTS: Final = dict(zip(FAULT_KINDS, _MAKERS, strict=True))


async def run_command(world: Joinable, asked: Asked) -> dict[str, Any]:
    """Run a command in L1 or L2 to its end; it ends with whoever asked for it."""
    agent = world.session.stage.agent(_level(asked, "L1", "L2"))
    mark = uuid.uuid4().hex
    try:
        reply = await agent.request(
            "exec",
            argv=[str(word) for word in asked["argv"]],
            stdin=asked.get("stdin"),
            env={_MARK: mark},
            within=float(asked.get("within", _COMMAND_S)),
        )
    except asyncio.CancelledError:
        with contextlib.suppress(SeabusError):
            await agent.run("sh", "-c", _KILL, "sh", f"{_MARK}={mark}")
        raise
    return {
        "exit": reply.get("exit"),
        "signal": reply.get("signal"),
        "stdout": base64.b64encode(reply["stdout"]).decode(),
        "stderr": base64.b64encode(reply["stderr"]).decode(),
    }


async def qmp(world: Joinable, asked: Asked) -> dict[str, Any]:
    """Ask a monitor: L0's, or the VMM's."""
    level = _level(asked, "L0", "L2")
    lives = world.session.world
    monitor = lives.firmware() if level == "L0" else lives.l2_qmp
    return {"return": await monitor.execute(asked["command"], dict(asked.get("arguments") or {}))}


async def victims(world: Joinable, asked: Asked) -> dict[str, Any]:
    """Those that were made in this world."""
    del asked
    return {"victims": [_victim(number, one) for number, one in enumerate(world.victims)]}


async def victim(world: Joinable, asked: Asked) -> dict[str, Any]:
    """Make one."""
    options = dict(asked.get("options") or {})
    made = SessionVictim(world.session, await world.session.stage.victim(**options))
    world.victims.append(made)
    return _victim(len(world.victims) - 1, made)


async def inject(world: Joinable, asked: Asked) -> dict[str, Any]:
    """Break a page: of a victim, made if there is none, or at a physical address of L1."""
    stage = world.session.stage
    if asked.get("address") is not None:
        page = HostPhysical(int(str(asked["address"]), 0))
    else:
        if not world.victims and asked.get("victim", 0) == 0:
            await victim(world, {})
        one = _numbered(world, asked).victim
        offset = int(asked.get("offset") or 0)
        if stage.level_of(one) == "L2":
            page = (await stage.pages.locate(one, offset=offset)).host_physical
        else:
            page = await stage.pages.of_host(one, offset=offset)
    kind = asked.get("kind", "memory-record")
    if kind not in FAULTS:
        raise UsageError(f"there is no fault {kind!r}", hint=f"one of {', '.join(FAULTS)}")
    severity = Severity[str(asked.get("severity") or "recoverable").upper()]
    fault = FAULTS[kind](page, severity)
    receipt = await stage.inject(fault)
    if receipt is None:
        reason = (await stage.finish(())).judgement.reason
        raise MachineError(reason, hint="seabus watch --all, and seabus exec l1 -- dmesg")
    return {"fault": dict(fault.described()), "receipt": {"witness": receipt.witness, **receipt.facts}}


async def touch(world: Joinable, asked: Asked) -> dict[str, Any]:
    """Let a victim touch its memory."""
    one = _numbered(world, asked).victim
    access = {name: asked[name] for name in ("offset", "size", "value") if asked.get(name) is not None}
    touched = await world.session.stage.touch(one, op=asked.get("op", "read"), **access)
    if touched is None:
        return {"outcome": "nobody is left to answer"}
    return {"outcome": touched.outcome, "value": touched.value, "intact": touched.intact}


async def watch(world: Joinable, asked: Asked) -> AsyncIterator[dict[str, Any]]:
    """Events as they happen, from the first on if so asked, until who asks has enough."""
    coming: asyncio.Queue[Event] = asyncio.Queue()
    recorder = world.session.stage.recorder
    for event in recorder.events if asked.get("all") else ():
        coming.put_nowait(event)
    recorder.listeners.append(coming.put_nowait)
    try:
        while True:
            yield _event(await coming.get())
    finally:
        recorder.listeners.remove(coming.put_nowait)


#: By the name they are asked for.
ANSWERED: Final = {
    "exec": run_command,
    "inject": inject,
    "qmp": qmp,
    "touch": touch,
    "victim": victim,
    "victims": victims,
}
STREAMED: Final = {"watch": watch}
#: What ends when whoever asked hangs up. The others go on: a fault is not half put in.
ABANDONED: Final = ("exec",)


def _numbered(world: Joinable, asked: Asked) -> SessionVictim:
    number = int(asked.get("victim") or 0)
    if not 0 <= number < len(world.victims):
        raise UsageError(
            f"there is no victim {number}; there are {len(world.victims)}",
            hint="seabus touch --new makes one",
        )
    return world.victims[number]


def _level(asked: Asked, *allowed: str) -> Any:  # noqa: ANN401 - a Level
    level = str(asked.get("level", "")).upper()
    if level not in allowed:
        raise UsageError(
            f"there is no level {level or 'named'} for this", hint=f"one of {', '.join(allowed)}"
        )
    return level


def _victim(number: int, one: SessionVictim) -> dict[str, Any]:
    return {
        "victim": number,
        "level": one.victim.agent.level,
        "kind": one.victim.kind,
        "pid": one.pid,
        "address": str(one.address),
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "level": event.level,
        "witness": event.witness,
        "kind": event.kind,
        "clock_ns": event.clock_ns,
        "fields": dict(event.fields),
        "text": describe(event),
    }
