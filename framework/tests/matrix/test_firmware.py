# SPDX-License-Identifier: Apache-2.0
"""The four steps of firmware-first, on what the monitor said once, and on what it must not say."""

from __future__ import annotations

import pytest

from seabus.matrix.firmware import STEPS, judge_firmware
from seabus.matrix.judge import Status

_REGISTERS = (
    "vector=0x0000000000000400 esr=0x0000000092000010 far=0x000000000f000000"
    " elr=0x000000004020007c spsr=0x00000000000003c0 daif=0x00000000000003c0 "
)
RECORD = (
    "1100000000000000000000009800000000000000"
    "1411bca5646fde4eb8633e83ed7c83b1000000000003000050000000"
    + "00" * 44
    + "060000000000000000000000000000000000000f0000000000f0ffffffffffff"
    + "00" * 48
)
SERIAL = (
    f"EL1 taken {_REGISTERS}\nEL3 handed {_REGISTERS}\nEL2 entered {_REGISTERS}\n"
    f"record={RECORD}\nEL1 injected {_REGISTERS}\n"
)
LOG = """\
Taking exception 4 [Data Abort] on CPU 0
...from EL0 to EL1
...with ELR 0x4020007c
Taking exception 13 [Secure Monitor Call] on CPU 0
...from EL1 to EL3
Exception return from AArch64 EL3 to AArch64 EL2 PC 0x40201400
Exception return from AArch64 EL2 to AArch64 EL1 PC 0x40200c00
"""


def statuses(serial: str, log: str = LOG) -> list[Status]:
    answers = judge_firmware(serial, log)
    assert [answer.question.at["step"] for answer in answers] == list(STEPS)
    return [answer.status for answer in answers]


def test_what_tcg_cannot_route_is_said() -> None:
    agreed = Status.AGREED
    assert statuses(SERIAL) == [Status.UNREACHABLE, agreed, agreed, agreed]
    routed = SERIAL.replace(f"EL1 taken {_REGISTERS}\n", "").replace("EL3 handed", "EL3 taken")
    assert statuses(routed) == [agreed] * 4


@pytest.mark.parametrize(
    ("was", "told", "step"),
    [
        ("EL3 handed vector=0x0000000000000400", "EL3 handed vector=0x0000000000000200", 0),
        ("EL1 taken", "EL1 jumped", 0),
        ("0000000f0000000000f0", "0000000e0000000000f0", 1),
        ("record=11", "record=12", 1),
        (f"record={RECORD}", "record=", 1),
        ("EL2 entered vector=0x0000000000000400", "EL2 entered vector=0x0000000000000580", 2),
        ("EL2 entered", "EL2 left", 2),
        ("EL1 injected vector=0x0000000000000400", "EL1 injected vector=0x0000000000000480", 3),
        ("EL1 injected", "EL1 taken", 3),
    ],
)
def test_a_wrong_step_is_found(was: str, told: str, step: int) -> None:
    lie = SERIAL.replace(was, told)
    assert lie != SERIAL
    assert statuses(lie)[step] is Status.UNEXPLAINED


def test_all_levels_may_be_wrong_by_the_same() -> None:
    """Where the load is, none of them knows but by the others."""
    lie = SERIAL.replace("elr=0x000000004020007c", "elr=0x00000000deadbeef")
    assert statuses(lie)[0] is Status.UNEXPLAINED


@pytest.mark.parametrize(
    ("gone", "step"),
    [
        ("with ELR 0x4020007c", 0),
        ("from EL0 to EL1", 0),
        ("EL3 to AArch64 EL2", 2),
        ("EL2 to AArch64 EL1", 3),
    ],
)
def test_the_emulator_must_say_the_same(gone: str, step: int) -> None:
    assert statuses(SERIAL, LOG.replace(gone, "nothing"))[step] is Status.UNEXPLAINED


def test_silence_is_unexplained() -> None:
    assert set(statuses("")) == {Status.UNEXPLAINED}
