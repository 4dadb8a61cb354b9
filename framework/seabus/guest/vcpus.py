# SPDX-License-Identifier: Apache-2.0
"""The threads of the VMM that run the guest's CPUs."""

from __future__ import annotations

from seabus.channel.agent import Agent


async def asleep(l1: Agent, pid: int) -> bool:
    """Whether each vCPU's thread sleeps, as it does while its guest waits for an interrupt.

    Linux fs/proc/array.c: ``TID (NAME) STATE ...``, where S is a sleep that can be interrupted.
    """
    found = (await l1.run("sh", "-c", f"cat /proc/{pid}/task/*/stat")).must_succeed().text
    states = [line.rpartition(") ")[2][:1] for line in found.splitlines() if "/KVM) " in line]
    return bool(states) and set(states) == {"S"}
