# SPDX-License-Identifier: Apache-2.0
"""What the KVM of a lab host lets a VMM inject: the matrix, as far as nothing of the host is broken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from seabus.images.kvmprobe import ProbeImage
from seabus.images.store import Say
from seabus.kvmprobe.probe import Probe
from seabus.lab import health
from seabus.lab.inventory import LabHost
from seabus.lab.ssh import SshHost
from seabus.matrix.run import MatrixRun, ask
from seabus.matrix.table import GROUPS

#: What KVM says of itself as it starts (Linux arch/arm64/kvm/arm.c, ``kvm_arm_init()``).
_MODE: Final = re.compile(r"kvm \[\d+\]: (?:Hyp )?((?:protected )?n?VHE(?:\+NV2)?) mode initialized")


async def ask_host(
    host: LabHost, image: ProbeImage, *, groups: Sequence[str] = GROUPS, say: Say = lambda _: None
) -> MatrixRun:
    """Ask the KVM of a host that is ours; nothing of it stays there.

    :raises CapabilityError: the host has no /dev/kvm, or no kernel that can be used.
    :raises HostError: it cannot be reached.
    :raises ProbeError: KVM refused a step.
    """
    ssh = await SshHost.connect(host)
    try:
        state = await health.examine(host.name, ssh)
        health.must_be_usable(host.name, state)
        probe = await Probe.push(ssh, image)
        log = (await ssh.run("dmesg")).must_succeed().text
        found = _MODE.search(log)
        mode = found[1] if found else "unknown"
        return await ask(probe, mode=mode, kernel=state.kernel, groups=groups, say=say, harmless=True)
    finally:
        if ssh.alive:
            await ssh.run("rm", "-rf", Probe.payload().rpartition("/")[0])
        await ssh.close()
