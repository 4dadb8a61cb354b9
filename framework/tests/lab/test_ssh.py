# SPDX-License-Identifier: Apache-2.0
"""A host over SSH does what a host over an agent does, and is who the lab file says it is."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from seabus.errors import ChannelError, DeadlineError, HostError
from seabus.lab.keys import new_key_pair
from seabus.lab.ssh import SshHost
from seabus.patience import scale
from tests.conformance import must_conform
from tests.lab.conftest import Desk, RunningLab, run

pytestmark = pytest.mark.emulated


def test_it_is_a_way_to_command_a_machine(desk: Desk) -> None:
    """The same as of both channels of an emulated host (``test_both_channels_do_the_same``)."""

    async def play() -> None:
        commands = await SshHost.connect(desk.lab.host("lab1"))
        await must_conform(commands, names_signals=False)
        await commands.close()

    run(play())


def test_both_outputs_are_drained(desk: Desk) -> None:
    """Neither waits for the other, however much there is of each."""

    async def play() -> None:
        commands = await SshHost.connect(desk.lab.host("lab1"))
        script = "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero; head -c 1000000 /dev/zero >&2"
        done = await commands.run("sh", "-c", script, within=120)
        assert (len(done.stdout), len(done.stderr)) == (3_000_000, 4_000_000)
        await commands.close()

    run(play())


def test_a_command_that_does_not_end_is_left(desk: Desk) -> None:
    async def play() -> None:
        commands = await SshHost.connect(desk.lab.host("lab1"))
        with pytest.raises(DeadlineError, match=rf"waited {scale():g} s for lab1's command `sleep 1000`"):
            await commands.run("sleep", "1000", within=1)
        assert (await commands.run("echo", "still here")).text == "still here\n"
        await commands.close()

    run(play())


def test_a_program_as_a_socket(desk: Desk) -> None:
    async def play() -> None:
        commands = await SshHost.connect(desk.lab.host("lab1"))
        wire = await commands.open("cat")
        sent = os.urandom(1 << 20)
        wire.setblocking(True)
        wire.settimeout(60)
        got = b""
        for start in range(0, len(sent), 1 << 15):
            wire.sendall(sent[start : start + (1 << 15)])
            while len(got) < start + (1 << 15):
                got += wire.recv(1 << 16)
        assert got == sent
        wire.close()
        await commands.close()

    run(play())


def test_another_key_is_another_host(desk: Desk) -> None:
    """Nothing is sent to whoever answers at the address, but is not the host of the lab file."""
    host = dataclasses.replace(desk.lab.host("lab1"), host_key=new_key_pair().public)
    with pytest.raises(HostError, match="has another key than the lab file says") as caught:
        run(SshHost.connect(host))
    assert "ssh-ed25519" in caught.value.details["its key"]
    wrong_kind = dataclasses.replace(host, host_key="ecdsa-sha2-nistp256 " + _ECDSA)
    with pytest.raises(HostError, match="key"):
        run(SshHost.connect(wrong_kind))


def test_one_who_may_not_enter(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "id").write_text(new_key_pair().private)
    host = dataclasses.replace(desk.lab.host("lab1"), identity=tmp_path / "id")
    with pytest.raises(HostError, match="does not let us in"):
        run(SshHost.connect(host))


def test_nobody_there(desk: Desk) -> None:
    host = dataclasses.replace(desk.lab.host("lab1"), port=1)
    with pytest.raises(HostError, match="cannot be reached"):
        run(SshHost.connect(host))


def test_a_host_that_vanishes(desk: Desk, running_lab: RunningLab) -> None:
    """Its power goes while a command runs: that is told, and soon."""

    async def play() -> None:
        commands = await SshHost.connect(desk.lab.host("lab2"))
        assert commands.alive
        wire = await commands.open("cat")
        running_lab.switch("lab2", "off")
        with pytest.raises((ChannelError, DeadlineError)):
            await commands.run("echo", "hello", within=60)
        await commands.ended()
        assert "lab2 was lost" in str(commands.ended_error())
        wire.close()
        await commands.close()

    try:
        run(play())
    finally:
        running_lab.switch("lab2", "on")


# A public key of another kind, of no host in particular.
_ECDSA = (
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CL"
    "rbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="
)
