# SPDX-License-Identifier: Apache-2.0
"""Signal frames: chains laid out by hand from sigcontext.h, and frames that Linux 7.3 wrote."""

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch.frame_chain import read_records
from seabus.arch.frame_records import (
    EsrRecord,
    ExtraRecord,
    FpmrRecord,
    FpsimdRecord,
    FrameRecord,
    GcsRecord,
    PoeRecord,
    SveRecord,
    Tpidr2Record,
    UnknownRecord,
    ZaRecord,
    ZtRecord,
)
from seabus.arch.malformed import MalformedRecord
from seabus.arch.signal_frame import UCONTEXT_SIZE, decode_signal_frame, decode_ucontext

FRAMES = Path(__file__).parent / "samples" / "linux-7.3" / "frames"
END = bytes(16)


def record(magic: int, payload: bytes) -> bytes:
    return struct.pack("<II", magic, 8 + len(payload)) + payload


ESR = record(0x45535201, struct.pack("<Q", 0x92000010))
FPSIMD = record(0x46508001, struct.pack("<II", 1, 2) + b"".join(n.to_bytes(16, "little") for n in range(32)))
# A vector length of 16 bytes: 32 Z of 16, 16 P and FFR of 2, which makes 546, and 562 with the header; the
# kernel rounds records up to 16.
SVE = record(0x53564501, struct.pack("<HHHH", 16, 1, 0, 0) + bytes(range(256)) * 2 + bytes(34) + bytes(14))
EXTRA_SIZE = len(SVE) + 16


def extra(*, datap: int, size: int) -> bytes:
    return record(0x45585401, struct.pack("<QIIII", datap, size, 0, 0, 0))


KNOWN: list[tuple[bytes, FrameRecord]] = [
    (FPSIMD, FpsimdRecord(1, 2, tuple(range(32)))),
    (ESR, EsrRecord(0x92000010)),
    (record(0x504F4530, struct.pack("<Q", 7)), PoeRecord(7)),
    (SVE, SveRecord(16, 1, bytes(range(256)) * 2 + bytes(34))),
    (record(0x53564501, struct.pack("<HHHH", 64, 0, 0, 0)), SveRecord(64, 0, b"")),
    (record(0x54504902, struct.pack("<Q", 8)), Tpidr2Record(8)),
    (record(0x46504D52, struct.pack("<Q", 9)), FpmrRecord(9)),
    (
        record(0x54366345, struct.pack("<HHHH", 16, 0, 0, 0) + bytes(range(256))),
        ZaRecord(16, bytes(range(256))),
    ),
    (record(0x54366345, struct.pack("<HHHH", 32, 0, 0, 0)), ZaRecord(32, b"")),
    (record(0x5A544E01, struct.pack("<HHHH", 1, 0, 0, 0) + bytes(range(64))), ZtRecord(1, bytes(range(64)))),
    (record(0x47435300, struct.pack("<QQQ", 10, 1, 0)), GcsRecord(10, 1)),
    (record(0x12345678, b"whatever"), UnknownRecord(0x12345678, b"whatever")),
]


@pytest.mark.parametrize(("data", "expected"), KNOWN)
def test_each_record(data: bytes, expected: FrameRecord) -> None:
    assert read_records(data + END) == (expected,)


def test_a_chain() -> None:
    data = FPSIMD + ESR + record(0x46504D52, bytes(8)) + END
    assert [type(r).__name__ for r in read_records(data)] == ["FpsimdRecord", "EsrRecord", "FpmrRecord"]


def test_the_extra_space() -> None:
    base = 0x1000
    chain = ESR + extra(datap=base + len(ESR) + 48, size=EXTRA_SIZE) + END
    data = chain + SVE + END
    for address in (None, base):
        esr, announced, sve = read_records(data, end=len(chain), address=address)
        assert esr == EsrRecord(0x92000010)
        assert announced == ExtraRecord(base + len(ESR) + 48, EXTRA_SIZE)
        assert isinstance(sve, SveRecord)
    assert len(read_records(chain, follow_extra=False)) == 2


@pytest.mark.parametrize(
    ("data", "offset", "field"),
    [
        (b"", 0, "magic"),
        (ESR, 16, "magic"),  # no end
        (ESR[:12], 4, "size"),
        (struct.pack("<II", 0, 16) + bytes(8), 4, "size"),
        (struct.pack("<II", 0x45535201, 0) + bytes(24), 4, "size"),
        (struct.pack("<II", 0x45535201, 4) + bytes(24), 4, "size"),
        (struct.pack("<II", 0x45535201, 24) + bytes(32), 4, "size"),
        (struct.pack("<II", 0x45535201, 0xFFFFFFF0) + bytes(32), 4, "size"),
        (struct.pack("<II", 0x46508001, 512) + bytes(600), 4, "size"),
        (ESR + ESR + END, 16, "magic"),
        (record(0x53564501, struct.pack("<HHHH", 17, 0, 0, 0)) + END, 8, "vl"),
        (record(0x53564501, struct.pack("<HHHH", 8208, 0, 0, 0)) + END, 8, "vl"),
        (record(0x53564501, struct.pack("<HHHH", 16, 0, 0, 0) + bytes(16)) + END, 4, "size"),
        (record(0x54366345, struct.pack("<HHHH", 32, 0, 0, 0) + bytes(1008)) + END, 4, "size"),
        (record(0x5A544E01, struct.pack("<HHHH", 2, 0, 0, 0) + bytes(64)) + END, 4, "size"),
        (extra(datap=48, size=16), 32, "magic"),
        (extra(datap=48, size=16) + ESR + END, 32, "magic"),
        (extra(datap=48, size=32) + END + bytes(16), 16, "extra_context.size"),
        (extra(datap=48, size=24) + END + bytes(32), 16, "extra_context.size"),
        (extra(datap=48, size=(256 << 10) + 16) + END + bytes(32), 16, "extra_context.size"),
        (extra(datap=49, size=16) + END + bytes(16), 8, "datap"),
        (extra(datap=48, size=32) + END + extra(datap=96, size=16), 48, "magic"),
    ],
)
def test_malformed(data: bytes, offset: int, field: str) -> None:
    with pytest.raises(MalformedRecord) as caught:
        read_records(data)
    assert (caught.value.offset, caught.value.field) == (offset, field)


def test_a_pointer_that_leads_elsewhere() -> None:
    data = extra(datap=0x2000, size=16) + END + END
    assert len(read_records(data)) == 1
    with pytest.raises(MalformedRecord, match="datap at byte 8"):
        read_records(data, address=0x1000)


@pytest.mark.parametrize(
    ("name", "code", "esr", "magics"),
    [
        ("hwpoison", 4, None, ["FpsimdRecord", "FpmrRecord"]),
        ("hole", 3, 0x92000010, ["FpsimdRecord", "EsrRecord", "FpmrRecord"]),
        ("adrerr", 2, 0x92000007, ["FpsimdRecord", "EsrRecord", "FpmrRecord"]),
        ("adraln", 1, 0x92000061, ["FpsimdRecord", "EsrRecord", "FpmrRecord"]),
    ],
)
def test_frames_of_sigbus(name: str, code: int, esr: int | None, magics: list[str]) -> None:
    frame = decode_signal_frame((FRAMES / f"{name}.bin").read_bytes())
    assert (frame.info.signo, frame.info.code) == (7, code)
    assert (frame.info.lsb == 12) is (code == 4)
    assert frame.context.esr == esr
    assert [type(r).__name__ for r in frame.context.records] == magics
    report = frame.sigbus()
    assert (report.esr, report.pc, report.code) == (esr, frame.context.pc, code)
    # Linux records no FAR of a poisoned page or an abort; of a translation or alignment fault, si_addr.
    assert report.fault_address == (0 if code in {3, 4} else report.address)


def test_the_registers_of_a_frame() -> None:
    context = decode_signal_frame((FRAMES / "segv.bin").read_bytes()).context
    assert (context.fault_address, context.pc, context.sp) == (0x123456, 0x400AF0, 0xFFFFD465A300)
    assert context.pstate == 0x80001000
    assert len(context.registers) == 31
    assert (context.flags, context.link, context.stack, context.sigmask) == (0, 0, (0, 2, 0), 0)


def test_each_register_has_its_place() -> None:
    data = bytearray(UCONTEXT_SIZE)
    # ucontext.h and sigcontext.h: uc_mcontext at 176, its fault_address, regs, sp, pc, pstate in a row.
    for number in range(35):
        struct.pack_into("<Q", data, 176 + 8 * number, number + 1)
    struct.pack_into("<QQQIxxxxQQ", data, 0, 101, 102, 103, 104, 105, 106)
    context = decode_ucontext(bytes(data))
    assert context.fault_address == 1
    assert context.registers == tuple(range(2, 33))
    assert (context.sp, context.pc, context.pstate) == (33, 34, 35)
    assert (context.flags, context.link, context.stack, context.sigmask) == (101, 102, (103, 104, 105), 106)
    assert (context.records, context.esr) == ((), None)


def test_frames_with_sve_and_sme() -> None:
    context = decode_signal_frame((FRAMES / "full-hole.bin").read_bytes()).context
    sve = next(r for r in context.records if isinstance(r, SveRecord))
    assert (sve.vl, sve.streaming, len(sve.data)) == (64, False, 32 * 64 + 17 * 8)
    assert ZaRecord(32, b"") in context.records
    context = decode_signal_frame((FRAMES / "full-za16.bin").read_bytes()).context
    assert SveRecord(64, 0, b"") in context.records
    assert ZaRecord(16, bytes(256)) in context.records
    assert ZtRecord(1, bytes(64)) in context.records


def test_a_frame_with_an_extra_space() -> None:
    data = (FRAMES / "full-sve256.bin").read_bytes()
    context = decode_signal_frame(data).context
    names = [type(r).__name__ for r in context.records]
    assert names == [
        *("FpsimdRecord", "EsrRecord", "ExtraRecord", "SveRecord", "Tpidr2Record", "ZaRecord", "FpmrRecord"),
    ]
    sve = next(r for r in context.records if isinstance(r, SveRecord))
    assert (sve.vl, len(sve.data)) == (256, 32 * 256 + 17 * 32)
    assert sve.data[32 * 256 :][:32] == b"\xff" * 32  # PTRUE P0.B
    # extra_context is at 1008 of the ucontext, and points to what follows it and the chain's end.
    announced = next(r for r in context.records if isinstance(r, ExtraRecord))
    ucontext = announced.datap - 1008 - 32 - 16
    assert decode_signal_frame(data, address=ucontext - 128).context == context
    assert decode_ucontext(data[128:], address=ucontext) == context
    with pytest.raises(MalformedRecord, match="datap"):
        decode_ucontext(data[128:], address=ucontext + 16)
    cut = decode_signal_frame(data[: 128 + UCONTEXT_SIZE], follow_extra=False).context
    assert cut.records == context.records[:3]


@pytest.mark.parametrize("name", ["hole", "full-sve256"])
def test_every_truncation(name: str) -> None:
    data = (FRAMES / f"{name}.bin").read_bytes()
    for length in range(len(data)):
        with pytest.raises(MalformedRecord) as caught:
            decode_signal_frame(data[:length])
        assert caught.value.offset is not None
        assert 0 <= caught.value.offset < len(data)


def test_a_truncation_names_what_is_missing() -> None:
    data = bytes(UCONTEXT_SIZE)
    for length, offset, field in ((0, 0, "uc_flags"), (180, 176, "fault_address"), (440, 440, "pc")):
        with pytest.raises(MalformedRecord) as caught:
            decode_ucontext(data[:length])
        assert (caught.value.offset, caught.value.field) == (offset, field)
    with pytest.raises(MalformedRecord, match="__reserved at byte 464"):
        decode_ucontext(data[:-1])


@given(st.binary(max_size=300))
def test_any_bytes_are_a_chain_or_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedRecord):
        assert len(read_records(data)) <= len(data) // 16


MAGICS = [0, 0x46508001, 0x45535201, 0x45585401, 0x53564501, 0x54366345, 0x5A544E01, 0x47435300, 0x504F4530]


@given(
    st.lists(
        st.tuples(st.sampled_from(MAGICS) | st.integers(0, 2**32 - 1), st.binary(max_size=64)), max_size=8
    ),
    st.booleans(),
)
def test_any_chain_ends(parts: list[tuple[int, bytes]], aligned: bool) -> None:
    data = b"".join(
        record(magic, payload.ljust((len(payload) + 23) // 16 * 16 - 8, b"\0") if aligned else payload)
        for magic, payload in parts
    )
    with contextlib.suppress(MalformedRecord):
        assert len(read_records(data + END)) <= len(parts)


def test_many_records_take_linear_time() -> None:
    data = b"".join(record(0x1000000 + n, bytes(8)) for n in range(100_000)) + END
    assert len(read_records(data)) == 100_000
