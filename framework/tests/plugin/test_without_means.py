# SPDX-License-Identifier: Apache-2.0
"""A run that has not the means to learn anything is an error or a skip that says why, and never a pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from seabus.images import emulator
from seabus.images.store import Store

pytestmark = pytest.mark.emulated

SUITE = """
    import pytest
    from suite import *

    @announced()
    def test_it(world):
        world.expect(inject(world)[1])

    @announced()
    @pytest.mark.seabus_needs("{need}")
    def test_it_if_it_can(world):
        world.expect(inject(world)[1])
"""


@pytest.mark.parametrize("means", ["--seabus-l1-ras=off", "--seabus-l1-append=hest_disable"])
def test_a_host_that_takes_no_records(suite: pytest.Pytester, means: str) -> None:
    """No table of error sources, or a kernel that was told to leave it alone: L0 says yes, and L1 is deaf."""
    suite.makepyfile(SUITE.format(need="host-apei"))
    run = suite.runpytest(means)
    assert run.parseoutcomes() == {"errors": 1, "skipped": 1}
    run.stdout.fnmatch_lines(
        [
            "*injection lost*the host's kernel takes no firmware records*",
            "*SKIPPED*takes no firmware records*",
        ]
    )
    run.stdout.fnmatch_lines(["*SKIPPED*probe: test -d */GHES.0*"])


@pytest.mark.parametrize("means", ["--seabus-l2-ras=off", "--seabus-l2-append=hest_disable"])
def test_a_guest_that_takes_no_records(suite: pytest.Pytester, means: str) -> None:
    """What the host does is judged all the same."""
    suite.makepyfile(SUITE.format(need="guest-apei"))
    run = suite.runpytest(means)
    assert run.parseoutcomes() == {"passed": 1, "skipped": 1}
    run.stdout.fnmatch_lines(["*SKIPPED*L2: the guest's kernel takes no records of its VMM*"])
    required = suite.runpytest(means, "--seabus-require=guest-apei", "-k", "if_it_can")
    assert required.parseoutcomes() == {"errors": 1, "deselected": 1}


def test_an_emulator_without_the_command(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """QEMU of Debian 12 and of its backports cannot inject records; it is asked before anything is booted."""
    monkeypatch.setenv("SEABUS_SUITE", "bookworm")
    older = emulator.get(Store(), say=lambda _: None)
    monkeypatch.delenv("SEABUS_SUITE")
    program = tmp_path / "qemu-system-aarch64"
    program.write_text(f'#!/bin/sh\nexec {" ".join(older.command)} "$@"\n')
    program.chmod(0o755)
    suite.makepyfile(SUITE.format(need="host-apei"))
    run = suite.runpytest(f"--seabus-l0-qemu={program}")
    assert run.parseoutcomes() == {"skipped": 2}
    run.stdout.fnmatch_lines(["*SKIPPED*L0's QEMU has no command inject-ghes-v2-error (use QEMU*"])
    required = suite.runpytest(f"--seabus-l0-qemu={program}", "--seabus-require=firmware-record")
    assert required.parseoutcomes() == {"errors": 2}
