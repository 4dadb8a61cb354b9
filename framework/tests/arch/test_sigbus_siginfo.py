# SPDX-License-Identifier: Apache-2.0
"""``siginfo_t`` and ``signalfd_siginfo``: bytes laid out by hand from the headers, and real ones."""

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch.malformed import MalformedRecord
from seabus.arch.siginfo import (
    SIGINFO_SIZE,
    SegvCode,
    SigLayout,
    decode_siginfo,
    encode_siginfo,
)
from seabus.arch.signalfd import SignalfdSiginfo, decode_signalfd_siginfo

FRAMES = Path(__file__).parent / "samples" / "linux-7.3" / "frames"

# include/uapi/asm-generic/siginfo.h, LP64: three ints, 4 bytes of padding, then the union: si_addr at 16,
# si_addr_lsb (a short) at 24, si_lower and si_upper behind 8 bytes of padding at 32, si_pkey likewise.
AR = bytes.fromhex("07000000 00000000 04000000 00000000 0010008000ff0000 0c00").ljust(128, b"\0")
AO_2M = bytes.fromhex("07000000 00000000 05000000 00000000 00002000aaaa0000 1500").ljust(128, b"\0")
OBJERR = bytes.fromhex("07000000 00000000 03000000 00000000 08f0ffa3ffff0000").ljust(128, b"\0")
BNDERR = bytes.fromhex(
    "0b000000 00000000 03000000 00000000 1000000000000000 0000000000000000 2000000000000000 3000000000000000"
).ljust(128, b"\0")
PKUERR = bytes.fromhex(
    "0b000000 00000000 04000000 00000000 1000000000000000 0000000000000000 07000000"
).ljust(128, b"\0")


@pytest.mark.parametrize(
    ("data", "name", "address", "lsb"),
    [
        (AR, "BUS_MCEERR_AR", 0xFF0080001000, 12),
        (AO_2M, "BUS_MCEERR_AO", 0xAAAA00200000, 21),
        (OBJERR, "BUS_OBJERR", 0xFFFFA3FFF008, None),
    ],
)
def test_faults(data: bytes, name: str, address: int, lsb: int | None) -> None:
    info = decode_siginfo(data)
    assert (info.signo, info.errno, info.code_name) == (7, 0, name)
    assert (info.address, info.lsb) == (address, lsb)
    assert (info.sender, info.bounds, info.pkey) == (None, None, None)
    assert info.encode() == data
    assert encode_siginfo(signo=7, code=info.code, address=address, lsb=lsb) == data
    report = info.sigbus()
    assert (report.signo, report.code, report.address, report.lsb) == (7, info.code, address, lsb)


def test_segmentation_faults() -> None:
    bounds = decode_siginfo(BNDERR)
    assert (bounds.code_name, bounds.address, bounds.bounds) == ("SEGV_BNDERR", 16, (32, 48))
    assert encode_siginfo(signo=11, code=3, address=16, bounds=(32, 48)) == BNDERR
    key = decode_siginfo(PKUERR)
    assert (key.code_name, key.pkey, key.bounds, key.lsb) == ("SEGV_PKUERR", 7, None, None)
    assert encode_siginfo(signo=11, code=4, address=16, pkey=7) == PKUERR
    assert [code.value for code in SegvCode] == list(range(1, 11))


def siginfo(signo: int, code: int, union: bytes = b"") -> bytes:
    return struct.pack("<iii4x", signo, 0, code) + union.ljust(112, b"\0")


@pytest.mark.parametrize(
    ("signo", "code", "layout", "name"),
    [
        # Linux kernel/signal.c siginfo_layout()
        (7, 0, SigLayout.KILL, "SI_USER"),
        (7, 0x80, SigLayout.KILL, "SI_KERNEL"),
        (7, -6, SigLayout.RT, "SI_TKILL"),
        (7, -1, SigLayout.RT, "SI_QUEUE"),
        (7, -2, SigLayout.TIMER, "SI_TIMER"),
        (7, -5, SigLayout.POLL, "SI_SIGIO"),
        (7, 1, SigLayout.FAULT, "BUS_ADRALN"),
        (7, 2, SigLayout.FAULT, "BUS_ADRERR"),
        (7, 6, SigLayout.POLL, "code 6"),
        (7, 7, SigLayout.KILL, "code 7"),
        (11, 9, SigLayout.FAULT, "SEGV_MTESERR"),
        (11, 11, SigLayout.KILL, "code 11"),
        (4, 1, SigLayout.FAULT, "code 1"),
        (5, 6, SigLayout.FAULT_PERF_EVENT, "code 6"),
        (17, 1, SigLayout.CHLD, "code 1"),
        (29, 1, SigLayout.POLL, "code 1"),
        (31, 1, SigLayout.SYS, "code 1"),
        (10, 3, SigLayout.POLL, "code 3"),
    ],
)
def test_what_a_code_selects(signo: int, code: int, layout: SigLayout, name: str) -> None:
    info = decode_siginfo(siginfo(signo, code))
    assert (info.layout, info.code_name) == (layout, name)


def test_a_signal_that_a_process_sent() -> None:
    info = decode_siginfo(siginfo(7, 0, struct.pack("<ii", 812, 1000)))
    assert info.sender == (812, 1000)
    assert (info.address, info.lsb) == (None, None)
    with pytest.raises(MalformedRecord, match="SI_USER carries no address") as caught:
        info.sigbus()
    assert (caught.value.offset, caught.value.field) == (8, "si_code")


@pytest.mark.parametrize("length", range(SIGINFO_SIZE))
def test_every_truncation(length: int) -> None:
    with pytest.raises(MalformedRecord) as caught:
        decode_siginfo(AR[:length])
    assert caught.value.offset == length
    with pytest.raises(MalformedRecord):
        decode_signalfd_siginfo(AR[:length])


@pytest.mark.parametrize(
    ("data", "offset", "field"),
    [
        (AR + b"\0", 128, "siginfo"),
        (bytes(128), 0, "si_signo"),
        (siginfo(65, 0), 0, "si_signo"),
        (b"\xff" * 128, 0, "si_signo"),
    ],
)
def test_malformed(data: bytes, offset: int, field: str) -> None:
    with pytest.raises(MalformedRecord) as caught:
        decode_siginfo(data)
    assert (caught.value.offset, caught.value.field) == (offset, field)


def test_an_lsb_that_is_no_bit() -> None:
    info = decode_siginfo(AR[:24] + b"\x40\x00" + AR[26:])
    assert info.lsb == 64
    with pytest.raises(MalformedRecord, match="si_addr_lsb at byte 24"):
        info.sigbus()


@pytest.mark.parametrize(
    "arguments",
    [
        {"signo": 7, "code": 4, "address": 0},
        {"signo": 7, "code": 3, "address": 0, "lsb": 12},
        {"signo": 7, "code": 0, "address": 0},
        {"signo": 7, "code": 4, "address": -1, "lsb": 12},
        {"signo": 7, "code": 4, "address": 1 << 64, "lsb": 12},
        {"signo": 7, "code": 4, "address": 0, "lsb": 1 << 16},
        {"signo": 11, "code": 4, "address": 0},
        {"signo": 11, "code": 1, "address": 0, "pkey": 1},
        {"signo": 11, "code": 3, "address": 0},
        {"signo": 7, "code": 4, "address": 0, "lsb": 12, "errno": 1 << 31},
    ],
)
def test_values_that_cannot_be_encoded(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each says something else
        encode_siginfo(**arguments)  # type: ignore[arg-type]


@given(st.binary(min_size=112, max_size=112), st.integers(1, 64), st.integers(-(1 << 31), (1 << 31) - 1))
def test_what_is_decoded_is_encoded_again(union: bytes, signo: int, code: int) -> None:
    data = struct.pack("<iii4x", signo, -7, code) + union
    info = decode_siginfo(data)
    assert info.encode() == data
    assert info.errno == -7
    assert info.code_name
    with contextlib.suppress(MalformedRecord):
        assert str(info.sigbus())


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    for decode in (decode_siginfo, decode_signalfd_siginfo):
        with contextlib.suppress(MalformedRecord):
            assert decode(data).encode() == data or decode is decode_signalfd_siginfo


# include/uapi/linux/signalfd.h, counted field by field: ssi_addr at 72, ssi_addr_lsb at 80.
SSI = bytes.fromhex("07000000 00000000 05000000").ljust(72, b"\0") + bytes.fromhex(
    "0010008000ff0000 0c00"
).ljust(56, b"\0")


def test_signalfd() -> None:
    info = decode_signalfd_siginfo(SSI)
    assert info == SignalfdSiginfo(signo=7, code=5, addr=0xFF0080001000, addr_lsb=12)
    assert info.encode() == SSI
    assert str(info.sigbus()) == (
        "SIGBUS BUS_MCEERR_AO at 0xff0080001000, 4096 bytes: memory error found, action optional"
    )


def test_each_field_of_signalfd_has_its_place() -> None:
    # offset, size, in the order of the structure
    places = [(4 * n, 4) for n in range(12)] + [(48, 8), (56, 8), (64, 8), (72, 8), (80, 2), (84, 4), (88, 8)]
    places.append((96, 4))
    data = bytearray(128)
    for number, (offset, size) in enumerate(places, 1):
        data[offset : offset + size] = number.to_bytes(size, "little")
    info = decode_signalfd_siginfo(bytes(data))
    values = [getattr(info, name) for name in info.__dataclass_fields__]
    assert values == list(range(1, 21))
    assert info.encode() == bytes(data)


def test_signalfd_of_other_signals() -> None:
    info = SignalfdSiginfo(signo=17, code=1, pid=812, status=-1)
    assert decode_signalfd_siginfo(info.encode()) == info
    with pytest.raises(MalformedRecord, match="carries no address"):
        info.sigbus()
    with pytest.raises(MalformedRecord, match="ssi_addr_lsb"):
        SignalfdSiginfo(signo=7, code=4, addr_lsb=64).sigbus()
    with pytest.raises(ValueError, match="ssi_code"):
        SignalfdSiginfo(signo=7, code=1 << 31).encode()


def test_what_a_kernel_gave_to_signalfd() -> None:
    info = decode_signalfd_siginfo((FRAMES / "signalfd.bin").read_bytes())
    assert (info.signo, info.code, info.addr_lsb) == (7, 5, 12)
    assert info.addr % 4096 == 0
    assert info.encode() == (FRAMES / "signalfd.bin").read_bytes()
