# SPDX-License-Identifier: Apache-2.0
"""What our side makes of an L0 that refuses; the far side is a stand-in that speaks just enough QMP."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from typing import Any

import pytest

from seabus.arch import HostPhysical, MemorySection, decode_status_block
from seabus.channel.qmp import Qmp
from seabus.errors import CapabilityError, ChannelError, MachineError
from seabus.faults import record as records

GREETING = {
    "QMP": {"version": {"qemu": {"major": 9, "minor": 0, "micro": 0}, "package": ""}, "capabilities": []}
}
NOT_FOUND = {"class": "CommandNotFound", "desc": "The command inject-ghes-v2-error has not been found"}


async def far_side(sock: socket.socket, answer: dict[str, Any] | None) -> None:
    """Greets, negotiates, and answers every later command alike; None hangs up on it."""
    reader, writer = await asyncio.open_connection(sock=sock)
    writer.write(json.dumps(GREETING).encode() + b"\n")
    while data := await reader.read(65536):  # one message each: the client awaits every answer
        message = json.loads(data)
        negotiating = message["execute"] == "qmp_capabilities"
        if answer is None and not negotiating:
            break
        found = {"return": {}} if negotiating or answer is None else answer
        name = {"id": message["id"]} if "id" in message else {}
        writer.write(json.dumps({**found, **name}).encode() + b"\n")
    writer.close()


def injected(answer: dict[str, Any] | None) -> None:
    async def play() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        served = asyncio.create_task(far_side(theirs, answer))
        qmp = Qmp("L0")
        try:
            await qmp.connect(ours)
            await records.inject(qmp, b"record")
        finally:
            await qmp.close()
            await served

    asyncio.run(play())


def test_an_emulator_without_the_command() -> None:
    with pytest.raises(CapabilityError, match="no command inject-ghes-v2-error") as caught:
        injected({"error": NOT_FOUND})
    assert "10.2" in caught.value.hint


def test_an_emulator_that_refuses_the_record() -> None:
    with pytest.raises(MachineError, match="L0 refused inject-ghes-v2-error: too long"):
        injected({"error": {"class": "GenericError", "desc": "too long"}})


def test_an_emulator_that_hangs_up() -> None:
    with pytest.raises(ChannelError, match="closed during inject-ghes-v2-error"):
        injected(None)


def test_the_record_names_page_and_nonce() -> None:
    nonce = uuid.uuid4()
    record = records.MemoryRecord(address=HostPhysical(0x4567_8000), nonce=nonce)
    (entry,) = decode_status_block(record.encoded()).entries
    assert isinstance(entry.section, MemorySection)
    assert (entry.section.physical_address, entry.fru_id) == (0x4567_8000, nonce)
