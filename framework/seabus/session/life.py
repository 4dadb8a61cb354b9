# SPDX-License-Identifier: Apache-2.0
"""The life cycle of a guest under observation: its monitor is asked, it is reset, its VMM is started anew.

What is seen on the way is judged, like everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from seabus.arch.addresses import GuestPhysical, HostPhysical
from seabus.errors import CapabilityError, ChannelError, DeadlineError, MachineError
from seabus.guest import vcpus
from seabus.guest.translate import Addresses, frame
from seabus.observe import tracing
from seabus.observe.events import Level
from seabus.patience import STEP, deadline
from seabus.world import boot, bring, restore
from seabus.world.world import EmulatedWorld

if TYPE_CHECKING:
    from seabus.session.stage import Stage

#: Linux include/uapi/linux/kernel-page-flags.h, KPF_HWPOISON.
_HWPOISON: Final = 1 << 19
_GLANCE: Final = 0.1
#: An idle guest's timer wakes it now and then; one that works does not sleep at so many looks in a row.
_LOOKS: Final = 5


async def rest(stage: Stage) -> None:
    """Wait until the guest has nothing left to do: its CPUs sleep whenever one looks.

    Clocks are compared before: an injection would otherwise do it, and wake the guest.
    """
    await stage.compare_clocks()
    asleep = 0
    async with deadline(STEP, "the guest to be idle"):
        while asleep < _LOOKS:
            sleep = await vcpus.asleep(stage.world.l1, stage.world.vmm_pid)
            asleep = asleep + 1 if sleep else 0


async def ask(stage: Stage, command: str, arguments: Mapping[str, object]) -> Any:  # noqa: ANN401 - any schema
    """Ask the VMM's monitor; what it answers is an event, and so is its death of it.

    :return: the answer, None if it refused or is gone.
    """
    world = stage.world
    asking = asyncio.ensure_future(world.l2_qmp.execute(command, dict(arguments)))
    if not await stage.while_vmm_lives(asking):
        return None
    try:
        answer = await asking
    except (ChannelError, DeadlineError):
        raise
    except MachineError as error:
        refused = error.message.partition(f"{command}: ")[2]
        stage.add("L1", "monitor", "answer", {"command": command, "refused": refused}, error.message)
        return None
    stage.add("L1", "monitor", "answer", {"command": command, "refused": None}, f"the VMM did {command}")
    return answer


async def migrate(stage: Stage, uri: str) -> None:
    """Migrate the guest, and let it run on here afterwards; how that ended is an event."""
    qmp = stage.world.l2_qmp
    if await ask(stage, "migrate", {"uri": uri}) is None:
        return
    async with deadline(4 * STEP, "the guest to be migrated"):
        while (told := await qmp.execute("query-migrate")).get("status") not in ("completed", "failed"):
            if not await stage.look_after_vmm():
                return
            await asyncio.sleep(_GLANCE)
    fields = {"command": "migrate", "status": told["status"], "why": told.get("error-desc")}
    stage.add("L1", "monitor", "migrated", fields, f"the migration {told['status']}")
    if told["status"] == "completed":
        await qmp.execute("cont")
        await stage.set_clock("L2")  # a guest's time stands still while it is stopped


async def look_at_frame(stage: Stage, page: HostPhysical | GuestPhysical) -> None:
    """What its kernel says of a page frame, as an event: whether it is poisoned, and mapped how often."""
    level: Level = "L1" if isinstance(page, HostPhysical) else "L2"
    pfn = page.pfn
    agent = stage.agent(level)
    flags, count = [
        int.from_bytes(
            (await agent.run("dd", f"if=/proc/{name}", "bs=8", f"skip={pfn}", "count=1"))
            .must_succeed()
            .stdout,
            "little",
        )
        for name in ("kpageflags", "kpagecount")
    ]
    fields = {"pfn": pfn, "poisoned": bool(flags & _HWPOISON), "mapped": count}
    stage.add(level, "kpageflags", "frame", fields, f"page frame {pfn:#x}: flags {flags:#x}, mapped {count}")


async def look_behind(stage: Stage, page: Addresses) -> None:
    """What lies behind a page of the guest now: the VMM reads it, and an event tells whether it has moved."""
    await stage.world.l2_qmp.execute(
        "human-monitor-command", {"command-line": f"xp /1gx {int(page.guest_physical):#x}"}
    )
    now = await frame(stage.world.l1, stage.world.vmm_pid, int(page.vmm_virtual)) >> 12
    fields = {"pfn": page.host_physical.pfn, "elsewhere": now != page.host_physical.pfn}
    stage.add("L1", "pagemap", "moved", fields, f"{page.guest_physical} lies in page frame {now:#x}")


async def reset(stage: Stage) -> None:
    """Press the guest's reset button; returns when its agent answers out of the new life.

    :raises BootError: it does not come up again.
    """
    world = stage.world
    await world.l2_qmp.execute("set-action", {"reboot": "reset"})  # it was started with -no-reboot
    await world.l2_qmp.execute("system_reset")
    await _live_on(stage)


async def restart(stage: Stage) -> None:
    """End the VMM, and start another one on the same guest image.

    :raises BootError: the guest does not come up.
    :raises CapabilityError: the host is in a lab, where a guest is not booted twice.
    """
    world = stage.world
    if not isinstance(world, EmulatedWorld):
        raise CapabilityError(
            "the VMM of a lab host is not started anew within a test",
            hint="run it on emulated hosts",
            capability="restart-vmm",
        )
    await boot.restart_vmm(world)
    await _live_on(stage)


async def _live_on(stage: Stage) -> None:
    world = stage.world
    before = world.notes["l2"]["boot_id"]

    async def anew() -> dict[str, Any]:
        # Asked for its reset, it may not have begun.
        while (hello := await bring.hello_of(world.l2))["boot_id"] == before:  # noqa: ASYNC110
            await asyncio.sleep(_GLANCE)
        return hello

    hello = await boot.finish_l2(world, anew(), say=lambda _: None)
    world.notes["l2"] = await restore.adopt(world.l2, hello)
    await tracing.set_up("L2", world.l2)
    await stage.watch_anew()
    fields = {"another_life": hello["boot_id"] != before}
    stage.add("L2", "agent", "booted", fields, "the guest lives anew")
