# SPDX-License-Identifier: Apache-2.0
"""A lab host's KVM is asked over SSH; its answers are explained, and nothing of the host is broken."""

from __future__ import annotations

import pytest

from seabus.images import kvmprobe
from seabus.images.store import Store
from seabus.lab import kvm
from seabus.lab.ssh import SshHost
from seabus.matrix.judge import Status
from seabus.matrix.run import MatrixRun
from tests.lab.conftest import Desk, run

pytestmark = pytest.mark.emulated


def test_the_matrix_of_a_host(desk: Desk) -> None:
    image = kvmprobe.get(Store(), say=lambda _: None)

    async def ask() -> tuple[MatrixRun, str]:
        asked = await kvm.ask_host(desk.lab.host("lab1"), image, groups=("access", "serror", "reaction"))
        ssh = await SshHost.connect(desk.lab.host("lab1"))
        left = (await ssh.run("sh", "-c", "ls /run/seabus; grep HardwareCorrupted /proc/meminfo")).text
        await ssh.close()
        return asked, left

    asked, left = run(ask())
    assert asked.mode in ("VHE", "nVHE")
    assert asked.asked > 100
    assert not asked.of(Status.UNEXPLAINED)
    assert asked.of(Status.AGREED)
    assert "kvmprobe" not in left
    assert left.split()[-2:] == ["0", "kB"]
