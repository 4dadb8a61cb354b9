# SPDX-License-Identifier: Apache-2.0
"""``seabus decode`` and ``encode``: what is written in any form is read, and what is wrong is named."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

import pytest

from seabus.arch.cper import MemoryErrorType, MemorySection, decode_status_block
from seabus.cli import main
from seabus.cli.record_input import MOST_BYTES

# A status block of one corrected error without a body, after ACPI 6.5, 18.3.2.7 and 18.3.2.7.1.
BLOCK = bytes.fromhex(
    "12000000 00000000 00000000 48000000 02000000"  # corrected, one entry, no raw data, 72 bytes
    "33221100 5544 7766 8899 aabbccddeeff 02000000 0003 00 00 00000000"  # of a vendor; v3; nothing valid
) + bytes(44)


def xxd(data: bytes) -> str:
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        words = " ".join(row[place : place + 2].hex() for place in range(0, len(row), 2))
        lines.append(f"{at:08x}: {words:39}  {'.' * len(row)}")
    return "\n".join(lines) + "\n"


def hexdump(data: bytes) -> str:
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        lines.append(f"{at:08x}  {row[:8].hex(' ')}  {row[8:].hex(' ')}  |{'.' * len(row)}|")
    return "\n".join(lines) + "\n"


FORMS = {
    "binary": BLOCK,
    "hex": BLOCK.hex().encode(),
    "hex-words": b"0x" + BLOCK.hex(" ", 4).encode() + b"\n",
    "xxd": xxd(BLOCK).encode(),
    "hexdump": hexdump(BLOCK).encode(),
    "base64": base64.encodebytes(BLOCK),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_understood(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "record").write_bytes(FORMS[form])
    assert main(["decode", "cper", str(tmp_path / "record"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {(row["name"], row["value"]) for row in rows} >= {("block_status", 0x12), ("error_severity", 2)}


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BLOCK)))
    assert main(["decode", "cper", "-"]) == 0
    assert "Generic Error Status Block" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("data", "words", "message"),
    [
        (b"", [], "is empty"),
        (BLOCK[:50], [], "data_length at byte 12: 72 bytes wanted, 30 left"),
        (BLOCK.hex().encode()[:-1], ["--format", "hex"], "odd number of hexadecimal digits (183)"),
        (b"12 34 5g", ["--format", "hex"], "'g' at byte 7 is no hexadecimal digit"),
        (b"a===", ["--format", "base64"], "is no base64"),
        (b"00000000  12 00\n*\n00000100\n", [], "leaves out lines that repeat (byte 16)"),
        (b"\xff" * (MOST_BYTES + 1), [], "is larger than any record may be"),
        (bytes(16) + b"\x09" + bytes(20), [], "error_severity at byte 16"),
    ],
)
def test_bad_input_is_a_usage_error_with_its_place(
    data: bytes, words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "record").write_bytes(data)
    assert main(["decode", "cper", str(tmp_path / "record"), *words]) == 2
    assert message in capsys.readouterr().err


def test_an_endless_input_is_not_read_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "cper", "/dev/zero"]) == 2
    assert "larger than any record may be" in capsys.readouterr().err


def test_esr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "esr", "0x92000410", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    fields = {field["name"]: (field["high"], field["low"], field["value"]) for field in found["fields"]}
    assert fields["EC"] == (31, 26, 0x24)
    assert fields["FnV"] == (10, 10, 1)
    assert fields["DFSC"] == (5, 0, 0x10)
    assert main(["decode", "esr", "0x92000410"]) == 0
    assert "DFSC 0x10 synchronous external abort" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["decode", "esr", "lots"], "'lots' is no number"),
        (["decode", "esr", "0x10000000000000000"], "does not fit into 64 bits"),
        (["encode", "esr", "0x24", "DFS=1"], "did you mean DFSC"),
        (["encode", "esr", "0x24", "DFSC"], "'DFSC' is not FIELD=VALUE"),
        (["encode", "esr", "0x02"], "0x02 is no exception class"),
        (["encode", "esr", "0x24", "el=1"], "el is no field of the register"),
        (["encode", "cper"], "say what to encode"),
    ],
)
def test_wrong_words(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_esr_round_trip(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "esr", "0x24", "DFSC=0x10", "FnV=1"]) == 0
    assert capsys.readouterr().out == "0x92000410\n"


RECORD = """
severity = "corrected"
[[entry]]
section = "arm-processor"
fru_text = "cpu 3"
timestamp = 2026-11-23T10:00:00
[entry.body]
midr = 0x410fd4f0
mpidr = 0x80000000
[[entry.body.errors]]
type = 2
error_info = 0x54007f
[[entry]]
section = "unknown"
severity = "recoverable"
[entry.body]
guid = "12345678-1234-1234-1234-123456789abc"
data = "00112233"
"""


def test_a_kernels_log_is_told_from_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_text(
        "{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 1\n"
        "{1}[Hardware Error]: event severity: corrected\n"
        "{1}[Hardware Error]:  Error 0, type: corrected\n"
        "{1}[Hardware Error]:   section_type: memory error\n"
        "{1}[Hardware Error]:   physical_address: 0x0000000040001000\n"
    )
    assert main(["decode", "cper", str(tmp_path / "log")]) == 0
    assert "memory error at 0x40001000" in " ".join(capsys.readouterr().out.split())


def test_words_of_the_specification(tmp_path: Path) -> None:
    (tmp_path / "in.toml").write_text(
        '[[entry]]\nsection = "memory"\n[entry.body]\nerror_type = "multi-bit ECC"\n'
    )
    assert main(["encode", "cper", "--from", str(tmp_path / "in.toml"), "-o", str(tmp_path / "out")]) == 0
    (entry,) = decode_status_block((tmp_path / "out").read_bytes()).entries
    assert isinstance(entry.section, MemorySection)
    assert entry.section.error_type == MemoryErrorType.MULTI_BIT_ECC


def test_a_record_from_toml(tmp_path: Path) -> None:
    (tmp_path / "in.toml").write_text(RECORD)
    assert main(["encode", "cper", "--from", str(tmp_path / "in.toml"), "-o", str(tmp_path / "out")]) == 0
    block = decode_status_block((tmp_path / "out").read_bytes())
    assert [entry.severity.name for entry in block.entries] == ["CORRECTED", "RECOVERABLE"]
    assert block.entries[0].fru_text == "cpu 3"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("fru_text", "fru_txt", "entry[0] has no 'fru_txt'"),
        ('"arm-processor"', '"arm"', "entry[0]: there is no section 'arm'"),
        ('"corrected"', '"bad"', "severity: there is no 'bad'"),
        ("0x54007f", "[1]", "entry[0].body.errors[0].error_info is a number"),
        ("type = 2", 'type = "cash"', "entry[0].body.errors[0]: "),
        ("midr = 0x410fd4f0", "midr = 0x1410fd4f0410fd4f0", "the record cannot be encoded"),
        ('"00112233"', '"0g"', "entry[1].body.data is hexadecimal digits"),
        ("2026-11-23T10:00:00", '"noon"', "entry[0].timestamp is a date and time"),
        ("[[entry]]", "[[entry", "at line 3"),
        ('section = "arm-processor"', 'section = ["arm-processor"]', "entry[0]: there is no section ["),
        (
            "[[entry.body.errors]]\ntype = 2\nerror_info = 0x54007f",
            "errors = [1]",
            "body.errors[0] is a table",
        ),
        ("[entry.body]\nguid", "body = 5\nguid", "entry[1] has no 'guid'"),
    ],
)
def test_what_is_wrong_in_toml_is_named(
    before: str, after: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.toml").write_text(RECORD.replace(before, after, 1))
    assert main(["encode", "cper", "--from", str(tmp_path / "in.toml")]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("entry = [1]", "entry[0] is a table"),
        ('[[entry]]\nsection = "memory"\nbody = 5', "entry[0].body is a table"),
        ("entry = 1", "the record has no entry"),
    ],
)
def test_what_is_no_table_is_named(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.toml").write_text(text)
    assert main(["encode", "cper", "--from", str(tmp_path / "in.toml")]) == 2
    assert message in capsys.readouterr().err
