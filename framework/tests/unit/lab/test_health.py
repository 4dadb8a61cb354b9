# SPDX-License-Identifier: Apache-2.0
"""What a host says of itself, and what of it makes it another one than before."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from seabus.errors import HostError
from seabus.lab import hand_back, health
from seabus.lab.health import Health
from seabus.lab.inventory import LabHost
from seabus.lab.lease import Record
from seabus.lab.ssh_login import is_silence
from tests.unit.lab.folder_host import FolderHost, FolderSsh

HOST = LabHost(name="h1", address="a", host_key="k")
GOOD = Health(
    boot_id="b",
    kernel="7.3.4",
    machine="aarch64",
    uid=0,
    tainted=4096,
    corrupted_kib=0,
    huge_pages="always",
    has=frozenset({"kvm", "hard-offline", "tracing"}),
    einj="error_type=0x0 notrigger=0x0",
)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, []),
        ({"boot_id": "c"}, []),  # a reboot is looked at elsewhere
        ({"kernel": "7.4"}, ["its kernel is 7.4, and was 7.3.4"]),
        ({"tainted": 4096 | 16}, ["its kernel is tainted (4112, before 4096)"]),
        ({"tainted": 0}, []),
        ({"corrupted_kib": 8}, ["8 KiB more of its memory are poisoned"]),
        ({"uncorrected": 2}, ["EDAC has counted 2 more uncorrected errors"]),
        ({"has": frozenset({"kvm", "tracing"})}, ["it has lost hard-offline"]),
        ({"has": GOOD.has | {"einj"}}, []),
        (
            {"einj": "error_type=0x10 notrigger=0x1"},
            [
                "its EINJ is not idle (error_type=0x10 notrigger=0x1, before error_type=0x0 notrigger=0x0)",
            ],
        ),
        ({"einj": ""}, ["its EINJ is not idle (gone, before error_type=0x0 notrigger=0x0)"]),
        ({"huge_pages": "never"}, ["its huge pages are `never`, and were `always`"]),
        ({"left": frozenset({"an agent"})}, ["there is still an agent of ours"]),
        ({"left": frozenset({"an agent", "a VMM"})}, ["there is still a VMM, an agent of ours"]),
        (
            {"kernel": "7.4", "corrupted_kib": 4},
            ["its kernel is 7.4, and was 7.3.4", "4 KiB more of its memory are poisoned"],
        ),
    ],
)
def test_what_makes_a_host_another_one(fields: dict[str, Any], words: list[str]) -> None:
    assert dataclasses.replace(GOOD, **fields).differences(GOOD) == words


@pytest.mark.parametrize(
    ("record", "fields", "words"),
    [
        ({"kernel": "7.3.4", "tainted": 4096}, {}, []),
        ({"kernel": "7.3.3", "tainted": 4096}, {}, ["its kernel is 7.3.4, and was 7.3.3"]),
        ({"kernel": "7.3.4"}, {}, ["its kernel is tainted (4096) right after its start"]),
        ({}, {}, []),  # what it was like is not known: another kernel and its own taint are allowed
        ({}, {"tainted": 128}, ["its kernel is tainted (128) right after its start"]),
        ({}, {"tainted": 16}, ["its kernel is tainted (16) right after its start"]),
        ({}, {"corrupted_kib": 4}, ["4 KiB of its memory are poisoned right after its start"]),
        ({}, {"einj": "error_type=0x10 flags=0x0 notrigger=0x0"}, []),
        (
            {},
            {"einj": "error_type=0x10 notrigger=0x1"},
            ["its EINJ is not idle right after its start (notrigger=0x1)"],
        ),
        ({}, {"uncorrected": 1}, ["EDAC has counted 1 uncorrected errors right after its start"]),
    ],
)
def test_what_is_wrong_after_a_reboot(
    record: dict[str, Any], fields: dict[str, Any], words: list[str]
) -> None:
    assert hand_back.what_is_wrong(dataclasses.replace(GOOD, **fields), Record(host="h1", **record)) == words


def examine(there: FolderHost) -> Health:
    return asyncio.run(health.examine("h1", FolderSsh(HOST, there)))  # type: ignore[arg-type]


def test_a_host_is_asked(tmp_path: Path) -> None:
    there = FolderHost(tmp_path)
    found = examine(there)
    assert found == Health(
        boot_id=there.boot_id,
        kernel="7.3.4",
        machine="aarch64",
        uid=0,
        tainted=0,
        corrupted_kib=0,
        huge_pages="always",
        has=frozenset({"kvm", "hard-offline", "tracing"}),
    )
    health.must_be_usable("h1", found)


def test_leftovers_and_einj_are_seen(tmp_path: Path) -> None:
    there = FolderHost(tmp_path)
    einj = tmp_path / "sys/kernel/debug/apei/einj"
    einj.mkdir(parents=True)
    there.put("sys/kernel/debug/apei/einj/error_type", "0x10")
    there.put("sys/kernel/debug/apei/einj/notrigger", "0x1")
    there.put("sys/kernel/debug/apei/einj/error_inject", "")
    (tmp_path / "sys/kernel/tracing/instances/seabus").mkdir()
    for number, count in enumerate((1, 0, 2)):
        (tmp_path / f"sys/devices/system/edac/mc/mc{number}").mkdir(parents=True)
        there.put(f"sys/devices/system/edac/mc/mc{number}/ue_count", str(count))
    there.start(10, "/var/tmp/seabus/seabus-agent-0123 (deleted)")
    there.start(11, "/usr/bin/qemu-system-aarch64", "-qmp", "unix:/run/seabus/world-1-1/qmp")
    found = examine(there)
    assert found.einj == "error_type=0x10 notrigger=0x1"
    assert "einj" in found.has
    assert found.uncorrected == 3
    assert found.left == {"an agent", "a VMM", "a trace instance"}
    # What is not ours does not matter.
    there = FolderHost(tmp_path / "other")
    there.start(10, "/usr/bin/agent")
    there.start(11, "/usr/bin/qemu-system-aarch64", "-qmp", "unix:/run/others/world-1-1/qmp")
    assert examine(there).left == frozenset()


def test_not_a_linux_host(tmp_path: Path) -> None:
    there = FolderHost(tmp_path)
    (tmp_path / "proc/sys/kernel/tainted").write_text("what?\n")
    with pytest.raises(HostError, match="does not answer as a Linux host does") as caught:
        examine(there)
    assert not is_silence(caught.value)  # it is up: its power is none of our business


def test_a_shell_that_greets(tmp_path: Path) -> None:
    """What it says would be taken for an answer, to whatever is asked."""
    there = FolderHost(tmp_path, greeting="welcome to altra-1")
    with pytest.raises(HostError, match="prints something as soon as it is started") as caught:
        examine(there)
    assert "welcome" in caught.value.details["its greeting"]
    assert not is_silence(caught.value)
