# SPDX-License-Identifier: Apache-2.0
"""Giving a host back as it was: poison is undone where the kernel allows it, else the host is rebooted.

Nothing is believed: the host is examined, and only what it says of itself ends its being dirty; a reboot is
one if its boot is another. One that fails three times is put in quarantine, and the others go on. And nothing
is undone, removed or rebooted but under a lease that is in force, and a fence that is ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable
from typing import Final

from seabus.channel.interface import Commands
from seabus.errors import HostError, LeaseLostError, QuarantinedError, SeabusError
from seabus.images.store import Say
from seabus.lab import fence, health, power
from seabus.lab.fence import Mark
from seabus.lab.health import Health
from seabus.lab.inventory import LabHost
from seabus.lab.lease import ATTEMPTS, Leases, Record
from seabus.lab.ssh import SshHost
from seabus.observe import tracing
from seabus.patience import scale

_UNPOISON: Final = "/sys/kernel/debug/hwpoison/unpoison-pfn"
_PAUSE: Final = 1.0
#: Seconds in which a power-cycle that has returned must have had its effect: some switches take their time.
_GONE: Final = 60.0
#: Seconds in which killed programs are gone.
_DEAD: Final = 10.0
#: What a kernel says that has just been started on a sound machine never has: a machine check, an oops
#: (Documentation/admin-guide/tainted-kernels.rst).
_BAD_TAINT: Final = 1 << 4 | 1 << 7

# What our witnesses and worlds had set up. A kprobe that somebody else uses too stays. The programs go first.
# Arguments: our folder in /run, that of the lab file, that of transparent huge pages.
_TIDY: Final = f"""
{fence.KILL_AGENTS}
for one in $(grep -la "$1/[w]orld-.*/" /proc/[0-9]*/cmdline 2>/dev/null); do
    one=${{one%/cmdline}}
    kill -9 "${{one##*/}}"
done 2>/dev/null
rmdir {tracing.INSTANCE} 2>/dev/null
for probe in {" ".join(tracing.PROBES)}; do
    echo "-:seabus/$probe" >>/sys/kernel/tracing/kprobe_events
done 2>/dev/null
[ ! -s "$1/huge-pages" ] || cat "$1/huge-pages" >"$3"
rm -rf "$1"/world-* "$2"/seabus-agent-* "$2"/guest-*
true
"""
_HUGE_PAGES: Final = "/sys/kernel/mm/transparent_hugepage/enabled"
# The mode that a host had before any of us changed it, in this boot.
_REMEMBER: Final = """
[ -s "$1/huge-pages" ] || [ -z "$2" ] || echo "$2" >"$1/huge-pages"
cat "$1/huge-pages" 2>/dev/null
true
"""


async def remember_huge_pages(ssh: Commands, mode: str) -> str:
    """The host's own mode of transparent huge pages, which a holder that died may have left changed.

    :param mode: that it has now.
    """
    return (await ssh.run("sh", "-c", _REMEMBER, "sh", fence.FOLDER, mode)).text.strip() or mode


async def undo(ssh: Commands, pfns: Iterable[int]) -> None:
    """Have the kernel use page frames again (Linux mm/memory-failure.c unpoison_memory()).

    It refuses after an error that hardware reported; whoever examines the host sees that.
    """
    for pfn in sorted(pfns):
        await ssh.run("sh", "-c", f"echo {pfn:#x} >{_UNPOISON}")


async def tidy(ssh: Commands, host: LabHost) -> None:
    """Remove what we had put on a host, but for the guest's images, which the next one needs as well.

    Only for whoever has just made sure that the host is still theirs (:func:`fence.must_hold`).
    """
    await ssh.run("sh", "-c", _TIDY, "sh", fence.FOLDER, host.folder, _HUGE_PAGES, within=60)


async def is_clean(ssh: SshHost, mark: Mark, before: Health, pfns: Iterable[int]) -> list[str]:
    """Try to make a host what it was without a reboot; what is left, in words.

    :raises LeaseLostError: it is not ours any more; nothing was done.
    """
    name = ssh.host.name
    try:
        await fence.must_hold(name, ssh, mark, boot_id=before.boot_id)
        await undo(ssh, pfns)
        await fence.must_hold(name, ssh, mark)
        await tidy(ssh, ssh.host)
        now = await health.examine(name, ssh)
        late = time.monotonic() + _DEAD * scale()
        while now.left and time.monotonic() < late:
            await asyncio.sleep(_PAUSE)  # what was killed gives its memory back first
            now = await health.examine(name, ssh)
    except LeaseLostError:
        raise
    except SeabusError as error:
        return [str(error)]
    if now.boot_id != before.boot_id:
        return ["it was rebooted meanwhile, by itself or by somebody else", *now.differences(before)]
    return now.differences(before)


async def bring_back(
    host: LabHost,
    leases: Leases,
    mark: Mark,
    record: Record,
    *,
    reached: SshHost | None,
    boots: Collection[str],
    say: Say,
) -> tuple[SshHost, Health]:
    """Reboot a host until it is well again; its fence is ours then.

    :param record: says how it was before it became dirty.
    :param reached: a connection, if there is one; it is closed.
    :param boots: the boots it is known to have run: it must come back with another one.
    :raises HostError: it does not answer, and there is no command to reboot it.
    :raises LeaseLostError: it is not ours any more; it was not rebooted.
    :raises QuarantinedError: it failed three times in a row, earlier ones counted.
    """
    why = "it was not tried"
    known = set(boots)
    try:
        # Whoever waits for a person to switch a clean host on counts one failure each time it is asked for.
        for _ in range(ATTEMPTS if host.power_cycle or record.broken else 1):
            try:
                known |= await _last_look(host, leases, mark, reached)
                say(f"{host.name}: power cycle ({record.dirty or 'it does not answer'})")
                await power.cycle(host)
                if reached:
                    await reached.close()
                reached = await _up_again(host, known)
                wrong, now = await _examined(host, reached, mark, record)
                if not wrong:
                    leases.clean(host.name, mark.token)
                    say(f"{host.name}: up again, and clean")
                    well, reached = reached, None
                    return well, now
                why = "; ".join(wrong)
            except LeaseLostError:
                raise
            except SeabusError as error:
                why = str(error)
            say(f"{host.name}: not well after a power cycle: {why}")
            record = leases.fail(host.name, mark.token, why)
            if record.quarantined:
                break
    finally:
        if reached:
            await reached.close()
    if not record.quarantined:
        raise HostError(
            f"lab host {host.name} does not answer: {why}",
            hint=f"switch it on; after {ATTEMPTS} such failures it is put in quarantine",
        )
    raise QuarantinedError(
        f"lab host {host.name} is in quarantine: {record.quarantined}",
        hint=f"repair it, then: seabus lab repaired {host.name}",
    )


async def _last_look(host: LabHost, leases: Leases, mark: Mark, ssh: SshHost | None) -> set[str]:
    """Right before its power goes: that the host is ours, as far as anybody answers; the boot it runs.

    :raises LeaseLostError: it is not ours.
    """
    leases.check(host.name, mark.token)
    if ssh is None or not ssh.alive:
        return set()
    try:
        # Raised anew, not only checked: a reboot by itself takes the fence away, and no right of ours.
        await fence.put_up(host.name, ssh, mark)
        return {await _boot_id(ssh)}
    except LeaseLostError:
        raise
    except SeabusError:
        return set()  # it is rebooted because it misbehaves


async def _examined(host: LabHost, ssh: SshHost, mark: Mark, record: Record) -> tuple[list[str], Health]:
    """A host that has just come up: what is wrong with it, and how it is."""
    dirt = await fence.put_up(host.name, ssh, mark)
    now = await health.examine(host.name, ssh)
    health.must_be_usable(host.name, now)
    wrong = what_is_wrong(now, record)
    if dirt:
        wrong.append(f"it is dirty right after its start: {dirt}")
    return wrong, now


def what_is_wrong(now: Health, record: Record) -> list[str]:
    """With a host that should be as if just started.

    :param record: says how it was before it became dirty, if that is known.
    """
    wrong = []
    if record.kernel and now.kernel != record.kernel:
        wrong.append(f"its kernel is {now.kernel}, and was {record.kernel}")
    if now.tainted & (~record.tainted if record.kernel else _BAD_TAINT):
        wrong.append(f"its kernel is tainted ({now.tainted}) right after its start")
    if now.corrupted_kib:
        wrong.append(f"{now.corrupted_kib} KiB of its memory are poisoned right after its start")
    if armed := [one for one in now.einj.split() if _is_armed(one)]:
        wrong.append(f"its EINJ is not idle right after its start ({' '.join(armed)})")
    if now.uncorrected:
        wrong.append(f"EDAC has counted {now.uncorrected} uncorrected errors right after its start")
    return wrong


def _is_armed(setting: str) -> bool:
    """Of EINJ: whatever is not 0 after a boot, but for the type, which cannot be put back."""
    name, _, number = setting.partition("=")
    return name in ("flags", "notrigger") and number not in ("", "0", "0x0")


async def _boot_id(ssh: SshHost) -> str:
    return (await ssh.run("cat", "/proc/sys/kernel/random/boot_id")).must_succeed().text.strip()


async def _up_again(host: LabHost, boots: Collection[str]) -> SshHost:
    """Connect to a host that is booting: to none of the boots it has run before.

    :raises HostError: it does not come up, or was never rebooted.
    """
    now = time.monotonic()
    late = now + host.boot_seconds * scale()
    gone = now + min(host.boot_seconds, _GONE) * scale()
    while True:
        try:
            ssh = await SshHost.connect(host)
            try:
                if await _boot_id(ssh) not in boots:
                    return ssh
            except BaseException:
                await ssh.close()
                raise
            await ssh.close()
        except SeabusError as error:
            if time.monotonic() > late:
                raise HostError(
                    f"lab host {host.name} did not come up within {host.boot_seconds * scale():g} s: {error}"
                ) from error
        else:
            if time.monotonic() > gone:
                raise HostError(
                    f"lab host {host.name} still runs the boot it had before its power-cycle",
                    hint=f"does that reboot it? try it by hand: {' '.join(host.power_cycle)}",
                )
        await asyncio.sleep(_PAUSE)  # a booting host has no way to say that it is up
