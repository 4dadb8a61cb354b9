# SPDX-License-Identifier: Apache-2.0
"""Keepers of leases: files of one computer, and a real labgrid coordinator."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seabus.errors import HeldError
from seabus.lab.embedded import EmbeddedLeases
from seabus.lab.inventory import Lab
from seabus.lab.keeper import of
from seabus.lab.labgrid_places import LabgridLeases
from seabus.lab.lease import Leases
from tests.unit.lab.coordinator import Coordinator
from tests.unit.lab.keepers import HOSTS, TTL, Make, free, lab_of


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    found = Coordinator(tmp_path_factory.mktemp("labgrid"), HOSTS)
    yield found
    found.kill()


@pytest.fixture(params=["embedded", "labgrid"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes keepers of the same lab, as other people would."""
    lab = Lab(path=tmp_path / "lab.toml", name="test", hosts=HOSTS)
    opened: list[Leases] = []

    def another() -> Leases:
        if request.param == "embedded":
            opened.append(EmbeddedLeases(lab, folder=tmp_path / "leases"))
        else:
            address = request.getfixturevalue("coordinator").address
            far = Lab(path=lab.path, name="test", leases="labgrid", coordinator=address, hosts=HOSTS)
            opened.append(of(far))
        return opened[-1]

    yield another
    for leases in opened:
        free(leases)
        for host in HOSTS:
            with contextlib.suppress(HeldError):  # reserved for somebody, by a test
                token = leases.acquire(host, ttl=TTL)
                leases.clean(host, token)
                leases.release(host, token)
        leases.close()


@pytest.fixture
def places(coordinator: Coordinator) -> Iterator[Callable[[], LabgridLeases]]:
    """Makes keepers that labgrid knows apart."""
    opened: list[LabgridLeases] = []

    def another() -> LabgridLeases:
        opened.append(LabgridLeases(lab_of(coordinator)))
        return opened[-1]

    yield another
    free(opened[0])
    for leases in opened:
        leases.close()


@pytest.fixture
def bob(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes whoever acts from then on another person."""
    return lambda: monkeypatch.setenv("LOGNAME", "bob")
