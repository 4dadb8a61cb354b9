# SPDX-License-Identifier: Apache-2.0
"""The host has the last word about whose it is: the scripts of the fence, run in a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from seabus.errors import DiskError, HostError, LeaseLostError
from seabus.lab import fence
from seabus.lab.fence import Mark
from seabus.lab.inventory import LabHost
from tests.unit.lab.folder_host import FolderHost, FolderSsh

HOST = LabHost(name="h1", address="a", host_key="k")


class Desk:
    def __init__(self, root: Path) -> None:
        self.host = FolderHost(root)
        self.ssh = FolderSsh(HOST, self.host)

    @classmethod
    def of(cls, host: FolderHost) -> Desk:
        """Another connection to it."""
        desk = cls.__new__(cls)
        desk.host, desk.ssh = host, FolderSsh(HOST, host)
        return desk

    def put_up(self, mark: Mark) -> str:
        return asyncio.run(fence.put_up("h1", self.ssh, mark))  # type: ignore[arg-type]

    def must_hold(self, mark: Mark, *, boot_id: str = "", dirty: str = "") -> None:
        asyncio.run(fence.must_hold("h1", self.ssh, mark, boot_id=boot_id, dirty=dirty))  # type: ignore[arg-type]

    def take_down(self, mark: Mark) -> None:
        asyncio.run(fence.take_down("h1", self.ssh, mark))  # type: ignore[arg-type]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_up_and_down(desk: Desk) -> None:
    mark = Mark(token=7)
    assert desk.put_up(mark) == ""
    assert desk.put_up(mark) == ""  # once more is no harm
    desk.must_hold(mark)
    assert desk.host.here == {"fence-7"}
    desk.take_down(mark)
    assert desk.host.here == set()


def test_two_fresh_keepers_give_out_the_same_number(desk: Desk) -> None:
    """Two users, two laptops, two coordinators: each counts from 1, and only one has the host."""
    one, other = Mark(token=1), Mark(token=1)
    desk.put_up(one)
    for act in (desk.put_up, desk.must_hold, desk.take_down):
        with pytest.raises(LeaseLostError, match="another lease with the same number"):
            act(other)
    desk.must_hold(one)
    assert desk.host.here == {"fence-1"}


def test_a_later_lease_wins_and_an_earlier_one_does_not_get_past_it(desk: Desk) -> None:
    early, late = Mark(token=9), Mark(token=10)
    desk.put_up(early)
    desk.host.start(4711, "/var/tmp/seabus/seabus-agent-0123")
    desk.host.start(4712, "/usr/bin/sleep")
    assert desk.put_up(late) == "lease 9 of it was never given back"
    assert (desk.host.root / "killed").read_text() == "4711\n"
    for act in (desk.put_up, desk.must_hold, desk.take_down):
        with pytest.raises(LeaseLostError, match=r"h1 knows a later lease, 10 \(ours is 9\)"):
            act(early)
    desk.must_hold(late)
    assert desk.host.here == {"fence-10", "dirty"}


def test_of_two_keepers_neither_has_the_later_number(desk: Desk) -> None:
    """Whoever holds it goes on, whatever the number of who comes; a reboot takes the fence away."""
    mine, theirs = Mark(token=7, keeper="embedded:a"), Mark(token=9, keeper="labgrid:b")
    desk.put_up(mine)
    desk.host.start(4711, "/var/tmp/seabus/seabus-agent-0123")
    with pytest.raises(LeaseLostError, match="held under lease 7 of another keeper, embedded:a"):
        desk.put_up(theirs)
    desk.must_hold(mine)
    assert not (desk.host.root / "killed").exists()
    assert desk.put_up(Mark(token=8, keeper="embedded:a")) == "lease 7 of it was never given back"
    desk.host.boots()
    again = Desk.of(desk.host)
    assert again.put_up(theirs) == ""


def test_a_fence_that_went_is_not_ours_any_more(desk: Desk) -> None:
    mark = Mark(token=2)
    desk.put_up(mark)
    (desk.host.root / "run/seabus/fence-2").unlink()
    with pytest.raises(LeaseLostError, match="does not know our lease any more"):
        desk.must_hold(mark)


def test_a_host_that_was_rebooted_meanwhile(desk: Desk) -> None:
    """The connection's own end may be seen late: what was examined is not what would be broken."""
    mark = Mark(token=2)
    desk.put_up(mark)
    boot = desk.host.boot_id
    desk.must_hold(mark, boot_id=boot)
    desk.host.boots()
    desk.ssh = FolderSsh(HOST, desk.host)
    with pytest.raises(HostError, match="was rebooted under our lease"):
        desk.must_hold(mark, boot_id=boot)
    with pytest.raises(LeaseLostError, match="does not know our lease any more"):
        desk.must_hold(mark)


def test_dirt_is_known_to_the_host(desk: Desk) -> None:
    one, other = Mark(token=1), Mark(token=2)
    desk.put_up(one)
    desk.must_hold(one, dirty="given hard-offline under lease 1")
    desk.must_hold(one, dirty="given einj under lease 1")
    assert desk.put_up(other) == "given hard-offline under lease 1"
    with pytest.raises(LeaseLostError):
        desk.take_down(one)
    assert "dirty" in desk.host.here
    desk.take_down(other)
    assert desk.host.here == set()


def test_who_lost_the_host_makes_it_no_dirtier(desk: Desk) -> None:
    desk.put_up(Mark(token=2))
    with pytest.raises(LeaseLostError):
        desk.must_hold(Mark(token=1), dirty="given einj")
    assert desk.host.here == {"fence-2"}


def test_a_host_whose_run_is_no_folder(desk: Desk) -> None:
    (desk.host.root / "run/seabus").write_text("")
    with pytest.raises(HostError, match="h1 cannot keep a fence") as caught:
        desk.put_up(Mark(token=1))
    assert not isinstance(caught.value, DiskError)
