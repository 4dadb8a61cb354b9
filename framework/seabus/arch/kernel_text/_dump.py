# SPDX-License-Identifier: Apache-2.0
"""Bytes out of the kernel's hex dumps."""

import re
from collections.abc import Iterable

# print_hex_dump(..., DUMP_PREFIX_OFFSET, 16, 4, ...): "00000010: 04030201 08070605 ...  ascii". Each group is
# a 32-bit number of the CPU, so little-endian; a row whose length is no multiple of 4 is printed byte by
# byte. Source: Linux lib/hexdump.c.
_ROW = re.compile(
    r"(?P<offset>[0-9a-f]{8}): (?P<groups>[0-9a-f]{2}(?:[0-9a-f]{6})?(?: [0-9a-f]{2,8})*)(?:  .*)?"
)
_GROUPS = 4
_BYTES = 16


def read_dump(lines: Iterable[str]) -> bytes:
    """Return the bytes of the rows among ``lines``, as long as their offsets follow one another from 0.

    A row that is damaged or missing ends the dump: what came before it is returned.
    """
    data = bytearray()
    for line in lines:
        row = _ROW.fullmatch(line)
        if row is None:
            continue
        groups = row["groups"].split(" ")
        if int(row["offset"], 16) != len(data):
            break
        if len(groups) <= _GROUPS and all(len(group) == 8 for group in groups):
            for group in groups:
                data += bytes.fromhex(group)[::-1]
        elif len(groups) <= _BYTES and all(len(group) == 2 for group in groups):
            data += bytes.fromhex("".join(groups))
        else:
            break
    return bytes(data)
