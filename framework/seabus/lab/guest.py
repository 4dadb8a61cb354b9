# SPDX-License-Identifier: Apache-2.0
"""The guest of a world on a lab host: booted once in a tenancy, then brought back from its state.

The state is a file on the host. Its memory comes back as anonymous memory, as a booted guest's is; only the
minute that a boot takes is saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from seabus.errors import MachineError
from seabus.guest import vmm
from seabus.images.store import Say
from seabus.machine import ports
from seabus.observe import tracing
from seabus.patience import CLONE
from seabus.world import boot, bring, migration, restore

if TYPE_CHECKING:
    from seabus.lab.world import LabWorld

_CAPABILITIES: Final[dict[str, object]] = {"capabilities": [{"capability": "events", "state": True}]}
#: Seconds in which a VMM comes up, on a host that has other things to do.
_VMM_SECONDS: Final = 120.0
#: Bytes a second: a stopped guest has nothing to be polite to.
_BANDWIDTH: Final = 10 << 30
#: Linux init/version.c, linux_banner.
_RELEASE: Final = re.compile(rb"Linux version (\d[!-~]*) \(")


async def bring_up(stack: contextlib.AsyncExitStack, world: LabWorld, *, say: Say) -> dict[str, Any]:
    """Start the VMM with a guest that is ready and observed; the hello of its agent."""
    tenancy = world.tenancy
    if (known := tenancy.frozen.get(world.config)) is not None:
        await _start(world, frozen=True)
        wires = await _connect(stack, world)
        await migration.load(world.l2_qmp, _state(world), _CAPABILITIES, within=CLONE)
        await world.l2.connect(wires[ports.L2_AGENT], first_id=restore.FIRST_ID)
        world.l2_qga.attach(wires[ports.L2_QGA])
        return await restore.adopt(world.l2, known)
    await _start(world, frozen=False)

    async def answer() -> dict[str, Any]:
        wires = await _connect(stack, world)
        await world.l2.connect(wires[ports.L2_AGENT])
        world.l2_qga.attach(wires[ports.L2_QGA])
        return await bring.hello_of(world.l2)

    hello = await boot.finish_l2(world, answer(), say=say)
    if world.config.l2_kernel is not None:
        await asyncio.to_thread(must_run, world.config.l2_kernel, str(hello["kernel"]))
    await tracing.set_up("L2", world.l2)
    await world.l2_qmp.execute("stop")
    await world.l2_qmp.execute("migrate-set-parameters", {"max-bandwidth": _BANDWIDTH})
    await migration.save(world.l2_qmp, _state(world), _CAPABILITIES, within=120)
    await world.l2_qmp.execute("cont")
    tenancy.frozen[world.config] = hello
    return hello


def must_run(kernel: Path, release: str) -> None:
    """That the kernel that answers is the one that was asked for, as far as its file can be read.

    :param release: what ``uname -r`` says in the guest.
    :raises MachineError: it is another one.
    """
    # A compressed one says nothing.
    if (found := _RELEASE.search(kernel.read_bytes())) and found[1].decode() != release:
        raise MachineError(
            f"the guest runs Linux {release}, and not {found[1].decode()} of {kernel}",
            hint="report it: a test has nearly been run on the wrong kernel",
        )


async def _start(world: LabWorld, *, frozen: bool) -> None:
    tenancy, agent = world.tenancy, world.tenancy.agent_argv[0]
    (await world.l1.run("mkdir", "-m", "700", world.folder)).must_succeed()
    if frozen and world.config.l2_backing == "4k":
        await boot.no_huge_pages(world.l1)
    argv = vmm.vmm_argv(
        world.config,
        await tenancy.files_for(world.config),
        vmm.through_sockets(world.folder),
        monitor_object=tenancy.monitor_object,
        frozen=frozen,
    )
    world.vmm_pid = await world.l1.spawn(*argv, output=f"{world.folder}/vmm.log", tied=True)
    await tenancy.ssh.record(
        world.artefacts / "console-l2.log", agent, "--connect", f"{world.folder}/{ports.L2_CONSOLE}"
    )


async def _connect(stack: contextlib.AsyncExitStack, world: LabWorld) -> dict[str, socket.socket]:
    """The monitor, greeted, and the sockets of the others."""
    agent, ssh = world.tenancy.agent_argv[0], world.tenancy.ssh
    names = (ports.L2_QMP, ports.L2_AGENT, ports.L2_QGA)
    opened = await asyncio.gather(*(ssh.open(agent, "--connect", f"{world.folder}/{name}") for name in names))
    for wire in opened:
        stack.callback(wire.close)  # whether or not anybody comes to use it
    wires = dict(zip(names, opened, strict=True))
    await world.l2_qmp.connect(wires[ports.L2_QMP], within=_VMM_SECONDS)
    return wires


def _state(world: LabWorld) -> str:
    """Where this configuration's guest is kept on the host, for as long as it is ours."""
    configs = [*world.tenancy.frozen, world.config]
    return f"{world.tenancy.host.folder}/guest-{world.tenancy.token}-{configs.index(world.config)}"
