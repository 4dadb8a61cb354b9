# SPDX-License-Identifier: Apache-2.0
"""One trace instance per level: kernel log, RAS events, SIGBUS and external aborts on one clock.

Everything here is on stock kernels. The kernel's log comes through the ``printk:console`` tracepoint, so a
log line and a signal are ordered by the same clock, and nothing is ever read off a console. The instance
is private (``instances/seabus``): a user's own tracing goes on undisturbed.
"""

from __future__ import annotations

from typing import Final

from seabus.channel.interface import Commands
from seabus.errors import CapabilityError

INSTANCE: Final = "/sys/kernel/tracing/instances/seabus"
PIPE: Final = f"{INSTANCE}/trace_pipe"
MARKER: Final = f"{INSTANCE}/trace_marker"

#: The functions that are probed, and what is fetched of each: the syndrome of an external abort; and what
#: `signal_generate` leaves out of a SIGBUS for a memory error.
PROBES: Final = {
    "do_sea": "far=%x0 esr=%x1",
    "force_sig_mceerr": "code=%x0:s32 address=%x1 lsb=%x2:s16",
    "send_sig_mceerr": "code=%x0:s32 address=%x1 lsb=%x2:s16",
}
_PROBED: Final = "\n".join(f"{function} {arguments}" for function, arguments in PROBES.items())

# Linux moved the event from `ras` to a trace system of its own in 6.19: whichever is there is used.
SET_UP: Final = f"""
set -u
mkdir -p {INSTANCE} && cd {INSTANCE} || exit 10
echo mono > trace_clock || exit 11
echo 512 > buffer_size_kb
echo 'sig==7' > events/signal/signal_generate/filter || exit 12
echo 1 > events/signal/signal_generate/enable || exit 12
echo 1 > events/printk/console/enable || exit 13
if [ -d events/memory_failure/memory_failure_event ]; then system=memory_failure; else system=ras; fi
echo 1 > events/$system/memory_failure_event/enable || exit 14
cd /sys/kernel/tracing
while read -r function arguments; do
    grep -q "^p:seabus/$function " kprobe_events 2>/dev/null ||
        echo "p:seabus/$function $function $arguments" >> kprobe_events || exit 15
    echo 1 > {INSTANCE}/events/seabus/$function/enable || exit 16
done <<END
{_PROBED}
END
echo $system
"""

_REASONS: Final = {
    10: "tracefs is not mounted, or has no instances",
    11: "the trace clock `mono` is missing",
    12: "the event signal:signal_generate is missing",
    13: "the event printk:console is missing",
    14: "there is no memory_failure_event (CONFIG_MEMORY_FAILURE, CONFIG_RAS)",
    15: f"a kprobe on one of {', '.join(PROBES)} is refused (CONFIG_KPROBE_EVENTS)",
    16: "a kprobe of ours cannot be enabled",
}


async def set_up(level: str, commands: Commands) -> None:
    """Make the trace instance of a level and turn its events on.

    :raises CapabilityError: the kernel lacks a witness; the message names it.
    """
    result = await commands.run("sh", "-c", SET_UP, within=60)
    if result.exit != 0:
        reason = _REASONS.get(result.exit or 0, "the set-up script failed")
        raise CapabilityError(
            f"{level} cannot be observed: {reason}",
            hint="use a kernel with tracefs, kprobes and memory failure built in",
            details={"stderr": result.stderr.decode(errors="backslashreplace")[-1000:]},
        )
