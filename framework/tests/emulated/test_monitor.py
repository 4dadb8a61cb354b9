# SPDX-License-Identifier: Apache-2.0
"""The EL3 monitor on an emulated machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from seabus.errors import MachineError
from seabus.images import emulator, monitor
from seabus.images.store import Store
from seabus.matrix.firmware import ask_firmware
from seabus.matrix.judge import Status

pytestmark = pytest.mark.emulated


def test_firmware_first_in_four_steps(tmp_path: Path) -> None:
    store = Store()
    command = emulator.get(store, say=lambda _: None).command
    image = monitor.get(store, say=lambda _: None)
    answers = asyncio.run(ask_firmware(command, image, artefacts=tmp_path))
    assert [answer.reason for answer in answers if answer.status is Status.UNEXPLAINED] == []
    # A processor, or a later emulator, that routes the abort to EL3 agrees in this step as well.
    assert answers[0].status in (Status.UNREACHABLE, Status.AGREED)
    assert [answer.status for answer in answers[1:]] == [Status.AGREED] * 3


def test_a_monitor_that_does_not_run_is_an_error(tmp_path: Path) -> None:
    command = emulator.get(Store(), say=lambda _: None).command
    with pytest.raises(MachineError, match="ended with status 1"):
        asyncio.run(ask_firmware(command, tmp_path / "nonexistent", artefacts=tmp_path))
