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
grep -q '^p:seabus/do_sea ' kprobe_events 2>/dev/null ||
    echo 'p:seabus/do_sea do_sea far=%x0 esr=%x1' >> kprobe_events || exit 15
echo 1 > {INSTANCE}/events/seabus/do_sea/enable || exit 16
echo $system
"""

_REASONS: Final = {
    10: "tracefs is not mounted, or has no instances",
    11: "the trace clock `mono` is missing",
    12: "the event signal:signal_generate is missing",
    13: "the event printk:console is missing",
    14: "there is no memory_failure_event (CONFIG_MEMORY_FAILURE, CONFIG_RAS)",
    15: "a kprobe on do_sea is refused (CONFIG_KPROBE_EVENTS)",
    16: "the kprobe on do_sea cannot be enabled",
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
