# SPDX-License-Identifier: Apache-2.0
"""A lab whose leases somebody keeps, and how tests look at it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from seabus.lab.inventory import Lab, LabHost
from seabus.lab.lease import Leases, Record
from tests.unit.lab.coordinator import Coordinator

HOSTS = {name: LabHost(name=name, address="a", host_key="k") for name in ("h1", "h2")}
TTL = 30.0
Make = Callable[[], Leases]


def lab_of(coordinator: Coordinator) -> Lab:
    return Lab(path=Path("x"), name="t", leases="labgrid", coordinator=coordinator.address, hosts=HOSTS)


def free(leases: Leases) -> None:
    """All hosts, and as new."""
    for host in HOSTS:
        while (record := known(leases, host)).owner:
            leases.release(host, record.token)
        leases.repaired(host)


def known(leases: Leases, host: str) -> Record:
    return next(record for record in leases.records() if record.host == host)


def until(what: Callable[[], bool], seconds: float = 30) -> None:
    late = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < late
        time.sleep(0.1)
