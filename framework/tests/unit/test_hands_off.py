# SPDX-License-Identifier: Apache-2.0
"""Both guards of the whole suite are there: no test writes to this machine's kernel (conftest.py), and
nothing that a test runs does (ci/hands_off.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GUARD = [sys.executable, str(Path(__file__).parents[3] / "ci" / "hands_off.py"), "--"]

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


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount fakes over sysfs")


def guarded(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GUARD, "sh", "-c", script], capture_output=True, text=True, check=False, timeout=60
    )


@needs_root
@pytest.mark.parametrize(
    "place", ["/sys/devices/system/memory/hard_offline_page", "/sys/kernel/debug/apei/einj/error_inject"]
)
def test_what_a_child_writes_is_recorded(place: str) -> None:
    done = guarded(f"sh -c 'echo 0x1000 >{place}'")
    assert done.returncode == 1
    assert f"somebody wrote to {place}" in done.stderr


@needs_root
def test_whoever_writes_nothing_is_let_be() -> None:
    done = guarded("cat /sys/kernel/debug/hwpoison/corrupt-pfn; exit 7")
    assert (done.returncode, done.stdout) == (7, "0\n")
    assert "0 writes to this kernel" in done.stderr
