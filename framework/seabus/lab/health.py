# SPDX-License-Identifier: Apache-2.0
"""What state a lab host is in: asked before it is used, and before it is given to somebody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from seabus.channel.interface import Commands
from seabus.errors import CapabilityError, HostError
from seabus.lab.lease import boot_id

# One round trip. Each line is NAME VALUE; what is missing on this kernel prints nothing after its name.
_SCRIPT: Final = """
echo seabus
echo boot_id $(cat /proc/sys/kernel/random/boot_id)
echo kernel $(uname -r)
echo machine $(uname -m)
echo uid $(id -u)
echo tainted $(cat /proc/sys/kernel/tainted)
echo corrupted_kib $(sed -n 's/^HardwareCorrupted: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)
lost=0
for count in /sys/devices/system/edac/mc/mc*/ue_count; do
    test -r $count && lost=$((lost + $(cat $count)))
done
echo uncorrected $lost
echo huge_pages $(sed 's/.*\\[\\(.*\\)\\].*/\\1/' /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null)
test -c /dev/kvm && echo has kvm
test -w /sys/devices/system/memory/hard_offline_page && echo has hard-offline
test -w /sys/devices/system/memory/soft_offline_page && echo has soft-offline
modprobe -q hwpoison-inject 2>/dev/null
test -w /sys/kernel/debug/hwpoison/corrupt-pfn && echo has hwpoison-inject
test -w /sys/kernel/debug/hwpoison/unpoison-pfn && echo has unpoison
modprobe -q einj 2>/dev/null
test -w /sys/kernel/debug/apei/einj/error_inject && echo has einj
test -d /sys/kernel/tracing/instances && echo has tracing
for name in error_type flags param1 param2 notrigger; do
    value=$(cat /sys/kernel/debug/apei/einj/$name 2>/dev/null) && einj="$einj$name=$value "
done
echo einj $einj
ls -l /proc/[0-9]*/exe 2>/dev/null | grep -q '/seabus-agent-' && echo left an agent
grep -qa '/[r]un/seabus/world-.*/' /proc/[0-9]*/cmdline 2>/dev/null && echo left a VMM
test -d /sys/kernel/tracing/instances/seabus && echo left a trace instance
true
"""


@dataclass(frozen=True, kw_only=True)
class Health:
    """A host, as it is.

    :param boot_id: of the kernel that runs (a random number of its own since it was booted).
    :param tainted: ``/proc/sys/kernel/tainted``; what a fault adds to it, a reboot takes away.
    :param corrupted_kib: memory its kernel takes for broken, in KiB.
    :param uncorrected: memory errors that EDAC has counted as uncorrected since the boot, of all controllers.
    :param huge_pages: the mode of transparent huge pages, or empty.
    :param has: capabilities that were found (:mod:`seabus.world.needs` has the names).
    :param einj: what EINJ's files hold, as ``name=value`` with a blank between; empty: there is none.
    :param left: what there is of ours: ``an agent``, ``a VMM``, ``a trace instance``.
    """

    boot_id: str
    kernel: str
    machine: str
    uid: int
    tainted: int
    corrupted_kib: int
    huge_pages: str
    has: frozenset[str]
    einj: str = ""
    uncorrected: int = 0
    left: frozenset[str] = frozenset()

    def differences(self, before: Health) -> list[str]:
        """In what the host is not as it was before it was used, apart from a reboot."""
        found = []
        if self.kernel != before.kernel:
            found.append(f"its kernel is {self.kernel}, and was {before.kernel}")
        if self.tainted & ~before.tainted:
            found.append(f"its kernel is tainted ({self.tainted}, before {before.tainted})")
        if self.corrupted_kib > before.corrupted_kib:
            found.append(f"{self.corrupted_kib - before.corrupted_kib} KiB more of its memory are poisoned")
        if self.uncorrected > before.uncorrected:
            found.append(f"EDAC has counted {self.uncorrected - before.uncorrected} more uncorrected errors")
        if before.has - self.has:
            found.append(f"it has lost {', '.join(sorted(before.has - self.has))}")
        if self.einj != before.einj:
            found.append(f"its EINJ is not idle ({self.einj or 'gone'}, before {before.einj or 'none'})")
        if self.huge_pages != before.huge_pages:
            found.append(f"its huge pages are `{self.huge_pages}`, and were `{before.huge_pages}`")
        if self.left:
            found.append(f"there is still {', '.join(sorted(self.left))} of ours")
        return found


async def examine(name: str, commands: Commands) -> Health:
    """Ask a host.

    :raises HostError: it does not answer as a Linux host does, or says more than it is asked.
    """
    result = await commands.run("sh", "-c", _SCRIPT, within=60)
    greeting, told, _ = result.text.partition("seabus\n")
    if told and greeting:
        raise HostError(
            f"a shell of lab host {name} prints something as soon as it is started",
            hint="~/.bashrc and the like: `case $- in *i*) ;; *) return ;; esac` goes first there",
            details={"its greeting": greeting[-1000:]},
        )
    found: dict[str, str] = {}
    has, left = set(), set()
    for line in result.text.removeprefix("seabus\n").splitlines():
        key, _, value = line.partition(" ")
        if key == "has":
            has.add(value)
        elif key == "left":
            left.add(value)
        else:
            found[key] = value
    try:
        return Health(
            boot_id=found["boot_id"],
            kernel=found["kernel"],
            machine=found["machine"],
            uid=int(found["uid"]),
            tainted=int(found["tainted"] or 0),
            corrupted_kib=int(found["corrupted_kib"] or 0),
            huge_pages=found.get("huge_pages", ""),
            has=frozenset(has),
            einj=found.get("einj", ""),
            uncorrected=int(found.get("uncorrected") or 0),
            left=frozenset(left),
        )
    except (KeyError, ValueError) as error:
        raise HostError(
            f"lab host {name} does not answer as a Linux host does",
            hint="`user` needs a shell there",
            details={"its answer": result.text[-1000:]},
        ) from error


def must_be_usable(name: str, health: Health) -> None:
    """That tests can be run on a host at all.

    :raises HostError: it is this very computer.
    :raises CapabilityError: something that no test can do without is missing.
    """
    if health.boot_id == own_boot_id():
        raise HostError(
            f"lab host {name} is the computer you sit at: it is never poisoned",
            hint="name another host in the lab file",
        )
    for missing, reason, hint in (
        (health.machine != "aarch64", f"is no arm64 host but {health.machine}", "name another host"),
        (health.uid != 0, "does not let us in as root", "`user` must be root: memory is to be broken"),
        ("kvm" not in health.has, "has no /dev/kvm", "enable virtualisation in its firmware and kernel"),
        (
            "hard-offline" not in health.has,
            "has a kernel without memory failure handling (no hard_offline_page)",
            "CONFIG_MEMORY_FAILURE, CONFIG_MEMORY_HOTPLUG",
        ),
        ("tracing" not in health.has, "has no tracefs with instances", "mount -t tracefs tracefs …"),
    ):
        if missing:
            raise CapabilityError(f"lab host {name} {reason}", hint=hint)


def own_boot_id() -> str:
    """Of the computer this runs on."""
    return boot_id()
