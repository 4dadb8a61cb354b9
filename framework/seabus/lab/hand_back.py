# SPDX-License-Identifier: Apache-2.0
"""Giving a host back as it was: poison is undone where the kernel allows it, else the host is rebooted.

Nothing is believed: the host is examined, and only what it says of itself ends its being dirty. One that
fails three times is put in quarantine, and the others go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Final

from seabus.channel.interface import Commands
from seabus.errors import HostError, QuarantinedError, SeabusError
from seabus.images.store import Say
from seabus.lab import fence, health, power
from seabus.lab.health import Health
from seabus.lab.inventory import LabHost
from seabus.lab.lease import ATTEMPTS, Leases, Record
from seabus.lab.ssh import SshHost
from seabus.observe import tracing
from seabus.patience import scale

_UNPOISON: Final = "/sys/kernel/debug/hwpoison/unpoison-pfn"
_PAUSE: Final = 1.0

# What our witnesses and worlds had set up. A kprobe that somebody else uses too stays.
_TIDY: Final = f"""
rmdir {tracing.INSTANCE} 2>/dev/null
for probe in {" ".join(tracing.PROBES)}; do
    echo "-:seabus/$probe" >>/sys/kernel/tracing/kprobe_events
done 2>/dev/null
rm -rf {fence.FOLDER}/world-* "$1"/seabus-agent-* "$1"/guest-*
true
"""


async def undo(ssh: Commands, pfns: Iterable[int]) -> None:
    """Have the kernel use page frames again (Linux mm/memory-failure.c unpoison_memory()).

    It refuses after an error that hardware reported; whoever examines the host sees that.
    """
    for pfn in sorted(pfns):
        await ssh.run("sh", "-c", f"echo {pfn:#x} >{_UNPOISON}")


async def tidy(ssh: Commands, host: LabHost) -> None:
    """Remove what we had put on a host, but for the guest's images, which the next one needs as well."""
    await ssh.run("sh", "-c", _TIDY, "sh", host.folder, within=60)


async def is_clean(ssh: SshHost, before: Health, pfns: Iterable[int]) -> list[str]:
    """Try to make a host what it was without a reboot; what is left, in words."""
    try:
        await undo(ssh, pfns)
        now = await health.examine(ssh.host.name, ssh)
    except SeabusError as error:
        return [str(error)]
    if now.boot_id != before.boot_id:
        return ["it was rebooted meanwhile, by itself or by somebody else", *now.differences(before)]
    return now.differences(before)


async def bring_back(
    host: LabHost, leases: Leases, token: int, record: Record, *, say: Say
) -> tuple[SshHost, Health]:
    """Reboot a host until it is well again.

    :param record: says how it was before it became dirty.
    :raises QuarantinedError: it failed three times in a row, earlier ones counted.
    """
    for _ in range(ATTEMPTS):
        why = "it was not tried"
        try:
            say(f"{host.name}: power cycle ({record.dirty})")
            await power.cycle(host)
            ssh = await _up_again(host)
            try:
                now = await health.examine(host.name, ssh)
                health.must_be_usable(host.name, now)
                if not (wrong := _wrong(now, record)):
                    leases.clean(host.name, token)
                    say(f"{host.name}: up again, and clean")
                    return ssh, now
                why = "; ".join(wrong)
            except BaseException:
                await ssh.close()
                raise
            await ssh.close()
        except SeabusError as error:
            why = str(error)
        say(f"{host.name}: not well after a power cycle: {why}")
        record = leases.fail(host.name, token, why)
        if record.quarantined:
            break
    raise QuarantinedError(
        f"lab host {host.name} is in quarantine: {record.quarantined or why}",
        hint=f"repair it, then: seabus lab repaired {host.name}",
    )


def _wrong(now: Health, record: Record) -> list[str]:
    wrong = []
    if record.kernel and now.kernel != record.kernel:
        wrong.append(f"its kernel is {now.kernel}, and was {record.kernel}")
    if now.tainted & ~record.tainted:
        wrong.append(f"its kernel is tainted ({now.tainted}) right after its start")
    if now.corrupted_kib:
        wrong.append(f"{now.corrupted_kib} KiB of its memory are poisoned right after its start")
    return wrong


async def _up_again(host: LabHost) -> SshHost:
    """Connect to a host that is booting."""
    late = time.monotonic() + host.boot_seconds * scale()
    while True:
        try:
            return await SshHost.connect(host)
        except SeabusError as error:
            if time.monotonic() > late:
                raise HostError(
                    f"lab host {host.name} did not come up within {host.boot_seconds * scale():g} s: {error}"
                ) from error
            await asyncio.sleep(_PAUSE)  # a booting host has no way to say that it is up
