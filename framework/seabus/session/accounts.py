# SPDX-License-Identifier: Apache-2.0
"""What a victim tells, as events: how its touches went, and the signals that it heard."""

from __future__ import annotations

from collections.abc import Iterator

from seabus.arch.sigbus import SigbusInfo
from seabus.guest.heard import Heard
from seabus.guest.touch import Touch
from seabus.guest.victim import Victim
from seabus.observe.events import Event, Level


def of_touch(level: Level, victim: Victim, touched: Touch, op: str) -> Iterator[Event]:
    """One touch, what it got that nobody had written, and the signal that ended it."""
    fields = {
        "op": op,
        "value": touched.value,
        "intact": touched.intact,
        "result": touched.result,
        "errno": touched.errno,
        "died": (touched.died or {}).get("signal"),
        "tid": victim.tid,
    }

    def event(**said: object) -> Event:
        return Event(level=level, witness="victim", clock_ns=touched.clock_ns, **said)  # type: ignore[arg-type]

    yield event(kind="touch", fields=fields, text=touched.outcome)
    if touched.intact is False:
        yield event(kind="corruption", fields=fields, text=f"a read gave {touched.value:#x}, never written")
    if touched.signal is not None:
        yield _signal(level, touched.signal, touched.clock_ns)


def of_signals(level: Level, heard: Heard) -> Iterator[Event]:
    """Every signal that it heard while it touched nothing."""
    for signal in heard.signals:
        yield _signal(level, signal.info, signal.clock_ns)


def _signal(level: Level, signal: SigbusInfo, clock_ns: int) -> Event:
    fields = {
        "code": signal.code,
        "address": signal.address,
        "lsb": signal.lsb,
        "tid": signal.tid,
        "pc": signal.pc,
        "fault_address": signal.fault_address,
        "esr": signal.esr,
    }
    return Event(
        level=level, witness="victim", kind="siginfo", clock_ns=clock_ns, fields=fields, text=str(signal)
    )
