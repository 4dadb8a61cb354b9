# SPDX-License-Identifier: Apache-2.0
"""SIGBUS: the agent's reply, well-formed and otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch.malformed import MalformedRecord
from seabus.arch.sigbus import BusCode, SigbusInfo

# What the victim in L2 was seen to get (facts.md).
MEASURED: dict[str, object] = {
    "signo": 7,
    "code": 4,
    "address": "0xffff80001000",
    "lsb": 12,
    "pc": "0xaaaac1230abc",
    "fault_address": "0x0",
    "esr": None,
    "tid": 321,
}


def test_a_reply() -> None:
    info = SigbusInfo.from_mapping(MEASURED)
    assert info == SigbusInfo(
        signo=7,
        code=BusCode.BUS_MCEERR_AR,
        address=0xFFFF80001000,
        lsb=12,
        pc=0xAAAAC1230ABC,
        fault_address=0,
        esr=None,
        tid=321,
    )
    assert info.is_memory_error
    assert str(info) == (
        "SIGBUS BUS_MCEERR_AR at 0xffff80001000, 4096 bytes: memory error consumed, action required"
    )


def test_codes_of_the_kernel() -> None:
    # include/uapi/asm-generic/siginfo.h
    names = ["BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR", "BUS_MCEERR_AO"]
    assert [(code.name, code.value) for code in BusCode] == [(n, i) for i, n in enumerate(names, 1)]
    assert all(code.meaning for code in BusCode)


def test_what_an_agent_may_leave_out_or_add() -> None:
    info = SigbusInfo.from_mapping({"signo": 7, "code": -6, "address": 0, "new": [1]})
    assert info.lsb is info.pc is info.esr is info.tid is None
    assert info.code_name == "code -6"
    assert not info.is_memory_error
    assert str(SigbusInfo.from_mapping({"signo": 11, "code": 1, "address": 16})) == (
        "signal 11 code 1 at 0x10"
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"signo": None}, "signo"),
        ({"address": None}, "address"),
        ({"address": "poison"}, "address"),
        ({"address": "0x1" + 16 * "0"}, "address"),
        ({"address": -1}, "address"),
        ({"address": "9" * 5000}, "address"),
        ({"lsb": 64}, "lsb"),
        ({"code": 1 << 31}, "code"),
        ({"tid": True}, "tid"),
        ({"pc": 1.5}, "pc"),
        ({"esr": {}}, "esr"),
    ],
)
def test_malformed(change: dict[str, object], field: str) -> None:
    with pytest.raises(MalformedRecord) as caught:
        SigbusInfo.from_mapping(MEASURED | change)
    assert caught.value.field == field
    assert caught.value.offset is None


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())


@given(st.dictionaries(st.sampled_from(sorted(MEASURED)), values))
def test_any_mapping_is_a_signal_or_malformed(reply: dict[str, object]) -> None:
    try:
        info = SigbusInfo.from_mapping(reply)
    except MalformedRecord:
        return
    assert str(info)
