# SPDX-License-Identifier: Apache-2.0
"""``decode`` of a session and of the tests that are saved from it."""

from __future__ import annotations

from seabus.arch.esr import decode_esr


def decode(value: int | bytes) -> object:
    """An ESR_ELx (a number) or a CPER (bytes), in words."""
    if isinstance(value, int):
        return decode_esr(value)
    from seabus.arch.cper import decode_record

    return decode_record(value)
