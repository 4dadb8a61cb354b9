# SPDX-License-Identifier: Apache-2.0
"""The guard of the whole suite's (conftest.py) is there: no test writes to this machine's kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Files that cannot do harm if the guard is broken: there are none of these names.
PLACES = [
    "/sys/devices/system/memory/hard_offline_page.not",
    "/sys/kernel/debug/hwpoison/corrupt-pfn.not",
    "/sys/kernel/debug/apei/einj/error_inject.not",
    "/proc/sys/vm/memory_failure_recovery.not",
]


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_written_to_this_kernel(place: str) -> None:
    with pytest.raises(PermissionError, match="a test would write"):
        Path(place).write_text("0x1000")
    with pytest.raises(PermissionError, match="a test would write"):
        os.open(place, os.O_WRONLY)
    with pytest.raises(FileNotFoundError):
        Path(place).read_text()
