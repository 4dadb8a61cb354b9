# SPDX-License-Identifier: Apache-2.0
"""What a victim's touch came to, as events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seabus.guest.victim import Touch, Victim
from seabus.observe.events import Kind


def touch_events(victim: Victim, touched: Touch, *, op: str) -> Iterator[tuple[Kind, Mapping[str, Any], str]]:
    """Kind, fields and text of each: the access itself, a value nobody wrote, the signal it met."""
    fields = {
        "op": op,
        "intact": touched.intact,
        "result": touched.result,
        "errno": touched.errno,
        "died": (touched.died or {}).get("signal"),
        "tid": victim.tid,
    }
    yield "touch", fields, touched.outcome
    if touched.intact is False:
        yield "corruption", fields, f"a read gave {touched.value:#x}, never written"
    if (signal := touched.signal) is None:
        return
    info = {
        "code": signal.code,
        "address": signal.address,
        "lsb": signal.lsb,
        "tid": signal.tid,
        "pc": signal.pc,
        "fault_address": signal.fault_address,
        "esr": signal.esr,
    }
    yield "siginfo", info, str(signal)
