# SPDX-License-Identifier: Apache-2.0
"""A file system with a disk behind it, for guests that are all initramfs: the only clean page cache there."""

from __future__ import annotations

from seabus.channel.agent import Agent


async def mount_disk(agent: Agent, folder: str = "/run/seabus-disk") -> str:
    """Mount a file system of one file of at most 16 MiB, served over FUSE by a second process of the agent's.

    :returns: the path of that file; a victim of kind ``file`` or ``code-file`` takes it. One victim a disk:
        the file is one.
    :raises MachineError: the level has no FUSE, or the agent not the right to mount.
    """
    pid = (await agent.request("hello"))["pid"]
    (await agent.run(f"/proc/{pid}/exe", "--disk", folder)).must_succeed()
    return f"{folder}/file"
