# SPDX-License-Identifier: Apache-2.0
"""A lab of two emulated hosts for all tests of this folder; only their addresses tell them from servers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from seabus.images import guests
from seabus.images.guests import GuestImages
from seabus.images.store import Store
from seabus.lab import emulated, inventory
from seabus.lab.embedded import EmbeddedLeases
from seabus.lab.emulated import EmulatedLab
from seabus.lab.inventory import Lab
from seabus.lab.lease import Leases
from seabus.lab.tenancy import Tenancy
from seabus.machine.config import WorldConfig

_T = TypeVar("_T")
_BOOT_SECONDS = 600


class RunningLab:
    """The lab, in a thread of its own: an emulator dies with the thread that started it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._up = threading.Event()
        self._failure: BaseException | None = None
        self._lab: EmulatedLab
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._up.wait(_BOOT_SECONDS), self.said
        if self._failure:
            raise self._failure

    @property
    def file(self) -> Path:
        return self.folder / "lab.toml"

    def switch(self, name: str, verb: str) -> None:
        """The power switch of a host."""
        asyncio.run_coroutine_threadsafe(self._lab.switch(name, verb), self._loop).result(_BOOT_SECONDS)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        async def keep() -> None:
            async with EmulatedLab.open(self.folder, ["lab1", "lab2"], say=self.said.append) as self._lab:
                self._up.set()
                await self._end.wait()

        try:
            self._loop.run_until_complete(keep())
        except BaseException as error:
            self._failure = error
        finally:
            self._up.set()


@pytest.fixture(scope="session")
def running_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    lab = RunningLab(emulated.clear(tmp_path_factory.mktemp("lab")))
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def images() -> GuestImages:
    return guests.get(Store(), say=lambda _: None)


class Desk:
    """A person with a lab: the lab file, and the leases of this test alone."""

    def __init__(self, lab: Lab, leases: Leases, images: GuestImages) -> None:
        self.lab = lab
        self.leases = leases
        self.images = images
        self.said: list[str] = []

    @contextlib.contextmanager
    def tenancy(self, name: str) -> Iterator[Tenancy]:
        """A host, given back at the end whatever it is like then."""
        tenancy = run(self.begin(name))
        try:
            yield tenancy
        finally:
            run(tenancy.give_back())

    async def begin(self, name: str) -> Tenancy:
        return await Tenancy.begin(
            self.lab, self.leases, name, images=self.images, config=WorldConfig(), say=self.said.append
        )


def run(work: Coroutine[Any, Any, _T]) -> _T:
    return asyncio.run(work)


@pytest.fixture
def desk(running_lab: RunningLab, images: GuestImages, tmp_path: Path) -> Desk:
    lab = inventory.load(running_lab.file)
    return Desk(lab, EmbeddedLeases(lab, folder=tmp_path / "leases"), images)
