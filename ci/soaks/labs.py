# SPDX-License-Identifier: Apache-2.0
"""The way to a lab host stands still: the run says so, in time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from seabus.errors import SeabusError
from seabus.images import guests
from seabus.images.guests import GuestImages
from seabus.images.store import Store
from seabus.lab import inventory
from seabus.lab.embedded import EmbeddedLeases
from seabus.lab.emulated import EmulatedLab
from seabus.lab.inventory import Lab
from seabus.lab.lease import Leases
from seabus.lab.tenancy import Tenancy
from seabus.lab.world import on_host
from seabus.machine.config import WorldConfig
from seabus.patience import STEP, scale
from soaks.row import Row, Trial, say
from soaks.wedges import stopped_midway

_MORE_S: Final = 5.0
#: A step waits for the guest, and then asks once whether the host is there.
_LATEST_S: Final = 2 * STEP
_BLOCK: Final = 1 << 16


class Relay:
    """Carries SSH to a host, and at a word nothing at all: connections stand, and no byte moves."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def before(cls, port: int) -> AsyncIterator[Relay]:
        relay = cls(port)
        relay._server = await asyncio.start_server(relay._serve, "127.0.0.1", 0)
        try:
            yield relay
        finally:
            relay._server.close()
            for pump in relay._pumps:
                pump.cancel()
            await asyncio.gather(*relay._pumps, return_exceptions=True)
            for writer in relay._writers:
                writer.close()

    @property
    def port(self) -> int:
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def pause(self) -> None:
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, back]
        for source, sink in ((reader, back), (there, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while block := await source.read(_BLOCK):
                await self._open.wait()
                sink.write(block)
                await sink.drain()
        sink.close()


@dataclass
class _Desk:
    """A lab of one host behind a relay."""

    lab: Lab
    leases: Leases
    images: GuestImages
    relay: Relay


@contextlib.asynccontextmanager
async def _a_lab(folder: Path) -> AsyncIterator[_Desk]:
    images = await asyncio.to_thread(guests.get, Store(), say=say)
    (folder / "lab").mkdir()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(EmulatedLab.open(folder / "lab", ["lab1"], say=say))
        lab = inventory.load(folder / "lab" / "lab.toml")
        relay = await stack.enter_async_context(Relay.before(lab.host("lab1").port))
        behind = replace(lab, hosts={"lab1": replace(lab.host("lab1"), port=relay.port)})
        yield _Desk(behind, EmbeddedLeases(behind, folder=folder / "leases"), images, relay)


async def _wedged(trial: Trial) -> str:
    """The way stands still before the fault, or after it was put in and before it is consumed."""
    desk: _Desk = trial.shared
    tenancy = await Tenancy.begin(
        desk.lab, desk.leases, "lab1", images=desk.images, config=WorldConfig(), say=say
    )
    begun = time.monotonic()
    try:
        async with on_host(tenancy, WorldConfig(), artefacts=trial.folder, say=say) as world:
            if trial.kind == "before":
                await desk.relay.pause()
            begun = time.monotonic()
            verdict = await stopped_midway(world, desk.relay.pause)
    except SeabusError as error:
        spent = time.monotonic() - begun
        if error.exit_code != 3:
            return f"told as {type(error).__name__}: {error.message}"
        if "lab host lab1" not in error.message:
            return f"the host is not named: {error.message}"
        return f"told after {spent:.0f} s" if spent > _LATEST_S * scale() + _MORE_S else ""
    finally:
        desk.relay.resume()
        with contextlib.suppress(SeabusError):
            await tenancy.give_back("the way to it stood still")
    return f"the way to the host stood still, and the verdict is {verdict}"


ROWS: Final = (
    Row(
        name="ssh",
        promise="a way to a lab host that stands still is told by an `error` that names the host, within two"
        " steps' deadlines and 5 s",
        kinds=("before", "midway"),
        each=25,
        trial=_wedged,
        shares=_a_lab,
    ),
)
