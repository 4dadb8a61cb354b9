# SPDX-License-Identifier: Apache-2.0
"""Where a record to be decoded comes from: binary, hexadecimal digits, base64, or a kernel's log."""

from __future__ import annotations

import base64
import binascii
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final, Literal

from seabus.errors import HostError, UsageError

Form = Literal["binary", "hex", "base64"]
FORMS: Final[tuple[Form, ...]] = ("binary", "hex", "base64")
#: No record is larger: a GHES that Linux accepts is at most 64 KiB (drivers/acpi/apei/ghes.c).
MOST_BYTES: Final = 1 << 20
_MOST_TEXT: Final = 8 * MOST_BYTES
# What xxd and hexdump -C write before the bytes of a line.
_OFFSET: Final = re.compile(rb"[0-9a-fA-F]{4,16}(:| ) ")
_HEX: Final = re.compile(rb"(?:0x)?([0-9a-fA-F]{2})+")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/\s]+={0,2}\s*")


def open_input(name: str, stack: ExitStack) -> BinaryIO:
    """A file, or standard input for ``-``.

    :raises HostError: it cannot be opened.
    """
    if name == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise HostError(
            f"cannot read {name}: {error.strerror}", hint="name a file, or - for standard input"
        ) from error


def read_record(name: str, form: Form | None) -> bytes:
    """The bytes of a record.

    :param form: how it is written; None finds out.
    :raises UsageError: it is not that, or too large; the message names the offset.
    """
    with ExitStack() as stack:
        data = open_input(name, stack).read(_MOST_TEXT + 1)
    if not data:
        raise UsageError(f"{_called(name)} is empty", hint="a record is at least 20 bytes")
    form = form or _form_of(data)
    if form == "hex":
        data = _from_hex(data, name)
    elif form == "base64":
        data = _from_base64(data, name)
    if len(data) > MOST_BYTES:
        raise UsageError(
            f"{_called(name)} is larger than any record may be ({MOST_BYTES} bytes)",
            hint="cut the record out of it first, with dd or head -c",
        )
    return data


def _form_of(data: bytes) -> Form:
    head = data[:4096]
    if b"\0" in head or any(byte >= 0x80 for byte in head):
        return "binary"
    stripped = data.strip()
    if _HEX.fullmatch(re.sub(rb"[\s,:]|0x", b"", stripped)) or _OFFSET.match(stripped):
        return "hex"
    return "base64" if _BASE64.fullmatch(stripped) else "binary"


def _from_hex(data: bytes, name: str) -> bytes:
    digits = bytearray()
    place = 0
    for line in data.splitlines(keepends=True):
        if line.strip() == b"*":
            what = f"{_called(name)} leaves out lines that repeat (byte {place})"
            raise UsageError(what, hint="hexdump -v -C writes all of them")
        cleaned = re.sub(rb"[\s,:]|0[xX]", b"", _undumped(line))
        if wrong := re.search(rb"[^0-9a-fA-F]", cleaned):
            shown = wrong[0].decode("ascii", "backslashreplace")
            offset = place + max(0, line.find(wrong[0]))
            raise UsageError(
                f"{_called(name)}: {shown!r} at byte {offset} is no hexadecimal digit",
                hint="--format binary or base64, if that is what it is",
            )
        digits += cleaned
        place += len(line)
    if len(digits) % 2:
        raise UsageError(f"{_called(name)} has an odd number of hexadecimal digits ({len(digits)})")
    return bytes.fromhex(digits.decode())


def _undumped(line: bytes) -> bytes:
    """A line of xxd or hexdump -C without its offset and its characters; any other line as it is."""
    found = _OFFSET.match(line)
    if found is None:
        return line
    rest = line[found.end() :].lstrip()
    return rest.partition(b"  ")[0] if found[1] == b":" else rest.partition(b"|")[0]


def _from_base64(data: bytes, name: str) -> bytes:
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error as error:
        raise UsageError(f"{_called(name)} is no base64: {error}", hint="--format binary or hex") from error


def _called(name: str) -> str:
    return "standard input" if name == "-" else name
