# SPDX-License-Identifier: Apache-2.0
"""What a caller gets wrong is said in a line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from seabus import patience
from seabus.errors import UsageError
from seabus.machine import ports
from seabus.machine.argv import Wiring, l0_argv
from seabus.machine.capabilities import EmulatorCapabilities
from seabus.machine.config import WorldConfig
from seabus.world import boot


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"l1_cpus": 0}, "l1_cpus=0"),
        ({"l2_cpus": 99}, "l2_cpus=99"),
        ({"l2_memory_mib": 2000}, "do not fit"),
        ({"l1_kernel": Path("/nowhere/Image")}, "/nowhere/Image"),
        ({"l1_mode": "vhe", "l1_cpus": 1}, "two CPUs"),
    ],
)
def test_impossible_worlds(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        WorldConfig(**wrong)  # type: ignore[arg-type]
    assert caught.value.hint


def test_a_file_that_is_no_kernel(tmp_path: Path) -> None:
    wrong = tmp_path / "bzImage"
    wrong.write_bytes(b"MZ" + bytes(100))
    with pytest.raises(UsageError, match="not an arm64 kernel Image"):
        boot.check_kernel(wrong)


def test_a_vmm_for_another_architecture(tmp_path: Path) -> None:
    wrong = tmp_path / "qemu"
    wrong.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00")
    with pytest.raises(UsageError, match="not an arm64 program"):
        boot.check_program(wrong)


@pytest.mark.parametrize("value", ["0", "-1", "fast", "1e9"])
def test_patience_must_be_sensible(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEABUS_PATIENCE", value)
    with pytest.raises(UsageError, match="SEABUS_PATIENCE"):
        patience.scale()


def test_a_comma_in_a_path_begins_no_option_of_the_emulator(tmp_path: Path) -> None:
    place = tmp_path / "runs, mine"
    argv = l0_argv(
        ["qemu-system-aarch64"],
        WorldConfig(),
        EmulatorCapabilities(version="", machine="virt-11.1", monitor_object=True),
        firmware=place / "efi",
        ram=place / "ram",
        wiring=Wiring(
            descriptors=dict.fromkeys(("qmp", *ports.CONNECTED), 3), folder=place / "run", consoles=place
        ),
        boot=None,
    )
    named = [word for word in argv if "runs," in word and not word.endswith("efi")]
    assert len(named) == 4
    assert all("runs,, mine" in word for word in named)
