# SPDX-License-Identifier: Apache-2.0
"""Leases that are files: a reboot, a full disk, a damaged record."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from seabus.errors import DiskError, HostError
from seabus.lab.embedded import EmbeddedLeases
from seabus.lab.inventory import Lab
from seabus.lab.lease import Owner
from tests.unit.lab.coordinator import owner_of
from tests.unit.lab.keepers import HOSTS, TTL, known


def test_what_a_reboot_of_this_computer_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds since boot start again: a reservation of the last boot would seem to have long to go."""
    lab = Lab(path=Path("x"), name="t", hosts=HOSTS)
    before = EmbeddedLeases(lab, folder=tmp_path, clock=lambda: 1_000_000.0)
    before.soil("h1", before.acquire("h1", ttl=TTL), "given einj", kernel="", tainted=0)
    before.reserve("h1", ttl=TTL)
    monkeypatch.setattr("seabus.lab.embedded.boot_id", lambda: "another")
    (record, _) = EmbeddedLeases(lab, folder=tmp_path, clock=lambda: 10.0).records()
    assert (record.owner, record.reserved, record.reserved_until) == (None, None, 0.0)
    assert record.dirty == "given einj"


def test_no_room_for_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = EmbeddedLeases(Lab(path=Path("x"), name="t", hosts=HOSTS), folder=tmp_path)
    token = leases.acquire("h1", ttl=TTL)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DiskError, match="record of lab host h1 cannot be written: No space left"):
        leases.soil("h1", token, "given einj", kernel="", tainted=0)
    monkeypatch.undo()
    leases.check("h1", token)


def test_a_person_gives_back_what_a_run_of_theirs_had_when_it_was_killed(tmp_path: Path) -> None:
    leases = EmbeddedLeases(Lab(path=Path("x"), name="t", hosts=HOSTS), folder=tmp_path)
    leases.acquire("h1", ttl=TTL, owner=Owner.person())
    with subprocess.Popen(["sleep", "100"]) as run:
        leases.acquire("h1", ttl=TTL, owner=owner_of(run))
        run.kill()
    held = known(leases, "h1")
    assert held.owner == Owner.person()
    leases.release("h1", held.token)
    assert known(leases, "h1").owner is None


def test_keepers_are_told_apart(tmp_path: Path) -> None:
    """Their tokens mean nothing to each other: those of two users, two labs."""
    lab = Lab(path=Path("x"), name="t", hosts=HOSTS)
    one, same, other = (EmbeddedLeases(lab, folder=tmp_path / name) for name in ("a", "a", "b"))
    assert one.name == same.name != other.name
    assert " " not in one.name


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    leases = EmbeddedLeases(Lab(path=Path("x"), name="t", hosts=HOSTS), folder=tmp_path)
    leases.acquire("h1", ttl=TTL)
    (tmp_path / "h1.json").write_text("{")
    with pytest.raises(HostError, match="record of lab host h1 is damaged"):
        leases.records()
