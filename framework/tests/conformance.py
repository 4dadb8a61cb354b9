# SPDX-License-Identifier: Apache-2.0
"""What every way to command a machine must do: our agent, QEMU's guest agent, and SSH to a lab host."""

from __future__ import annotations

import signal

import pytest

from seabus.channel.interface import Commands
from seabus.errors import MachineError


async def must_conform(commands: Commands, *, names_signals: bool = True) -> None:
    """All that :class:`seabus.channel.interface.Commands` promises.

    :param names_signals: False for SSH, which says that a signal ended a command, and not which.
    """
    assert (await commands.run("cat", stdin=b"fed")).stdout == b"fed"
    failed = await commands.run("sh", "-c", "echo no >&2; exit 7")
    assert (failed.exit, failed.signal, failed.stdout, failed.stderr) == (7, None, b"", b"no\n")
    with pytest.raises(MachineError, match="ended with status 7"):
        failed.must_succeed()
    killed = await commands.run("sh", "-c", "echo first; kill -KILL $$")
    assert (killed.exit, killed.stdout) == (None, b"first\n")
    assert killed.signal == (signal.SIGKILL if names_signals else 0)
    with pytest.raises(MachineError, match="ended with signal"):
        killed.must_succeed()
    odd = 'it\'s a "name" with $HOME and \\'
    assert (await commands.run("printf", "%s", odd)).text == odd
    data = bytes(range(256)) * 1000
    await commands.write("/run/blob", data, mode=0o600)
    assert await commands.read("/run/blob") == data
    assert (await commands.run("stat", "-c", "%a", "/run/blob")).text == "600\n"
    await commands.write("/run/blob", b"more", append=True)
    assert await commands.read("/run/blob", offset=len(data)) == b"more"
    await commands.write("/run/blob", b"less")
    assert await commands.read("/run/blob") == b"less"
    with pytest.raises(MachineError):
        await commands.read("/run/nothing")
    assert await commands.spawn("sh", "-c", "echo started", output="/run/out") > 0
