# SPDX-License-Identifier: Apache-2.0
"""What a victim has heard: every SIGBUS and SIGSEGV since it was made, without touching anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from seabus.arch.sigbus import SigbusInfo


@dataclass(frozen=True, kw_only=True)
class HeardSignal:
    """One signal of a victim.

    :param number: the how-manieth it was, from 1.
    :param clock_ns: when its handler ran, on the guest's CLOCK_MONOTONIC.
    :param touching: whether the thread that got it was at work for a touch.
    """

    info: SigbusInfo
    number: int
    clock_ns: int
    touching: bool


@dataclass(frozen=True, kw_only=True)
class ThreadState:
    """One thread of a victim: whether it is at work, and how often its present loop has gone round."""

    tid: int
    touching: bool
    accesses: int


@dataclass(frozen=True, kw_only=True)
class Heard:
    """All of it at one moment.

    :param signals: the last 256 of them at most, in the order they came.
    :param count: how many there have been.
    :param died: how the victim ended, if it has.
    """

    signals: tuple[HeardSignal, ...]
    count: int
    threads: tuple[ThreadState, ...]
    died: Mapping[str, Any] | None

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Self:
        """Read the agent's reply to ``signals``.

        :raises MalformedRecord: one of the signals is not one.
        """
        return cls(
            signals=tuple(
                HeardSignal(
                    info=SigbusInfo.from_mapping(told),
                    number=told["number"],
                    clock_ns=told["mono_ns"],
                    touching=told["touching"],
                )
                for told in reply["signals"]
            ),
            count=reply["count"],
            threads=tuple(
                ThreadState(tid=told["tid"], touching=told["touching"], accesses=told["accesses"])
                for told in reply["threads"]
            ),
            died=reply.get("died"),
        )
