# SPDX-License-Identifier: Apache-2.0
"""What the tests of the plugin have in common: a suite of scenarios, good ones and bad ones."""

from __future__ import annotations

import pytest

from seabus import folders

# Pytester gives each test a home of its own: the images must not be built anew in each.
_CACHE = str(folders.cache())
_SUITE = """
import pytest
from seabus.arch.esr import qemu_sea_esr
from seabus.catalogue import scenario
from seabus.chains import host
from seabus.errors import CapabilityError, MachineError
from seabus.faults.record import MemoryRecord

HOST = (host.RECORD, host.VMM_TOLD, host.UNMAPPED)

def announced(links=HOST):
    return scenario(title="a page the guest never touches", fault="memory record", expects=links)

def inject(world):
    victim = world.victim()
    record = MemoryRecord(address=victim.page.host_physical)
    world.inject(record)
    world.until("L1", "memory_failure")
    return victim, [host.reports(record), *host.loses_page(victim.page, vmm_pid=world.world.vmm_pid)]
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder in which test files may say ``from suite import *``."""
    monkeypatch.setenv("SEABUS_CACHE", _CACHE)
    pytester.makepyfile(suite=_SUITE)
    pytester.syspathinsert()
    pytester.makeini("[pytest]\naddopts = -ra -p no:labgrid\n")
    return pytester
