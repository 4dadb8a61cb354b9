# SPDX-License-Identifier: Apache-2.0
"""What a victim tells, as the fields of events."""

from __future__ import annotations

from typing import Any

from seabus.arch.sigbus import SigbusInfo
from seabus.guest.victim import Touch, Victim


def of_touch(victim: Victim, touched: Touch, op: str) -> dict[str, Any]:
    """What came of a touch."""
    return {
        "op": op,
        "intact": touched.intact,
        "result": touched.result,
        "errno": touched.errno,
        "died": (touched.died or {}).get("signal"),
        "tid": victim.tid,
    }


def of_signal(signal: SigbusInfo) -> dict[str, Any]:
    """What a handler got."""
    return {
        "code": signal.code,
        "address": signal.address,
        "lsb": signal.lsb,
        "tid": signal.tid,
        "pc": signal.pc,
        "fault_address": signal.fault_address,
        "esr": signal.esr,
    }
