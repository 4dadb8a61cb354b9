# SPDX-License-Identifier: Apache-2.0
"""A host is taken by one, broken by its holder alone, and given back as it was - or not given at all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from seabus.arch.addresses import HostPhysical
from seabus.errors import CapabilityError, DiskError, HeldError, HostError, LeaseLostError, QuarantinedError
from seabus.lab import fence, health
from seabus.lab.embedded import EmbeddedLeases
from seabus.lab.inventory import Lab
from seabus.lab.ssh import SshHost
from tests.lab.conftest import Desk, RunningLab, run

pytestmark = pytest.mark.emulated

HARD_OFFLINE = "/sys/devices/system/memory/hard_offline_page"


async def poison(ssh: SshHost) -> int:
    """Break a page that nobody uses; its page frame number."""
    ends = "s/ *[0-9a-f]*-\\([0-9a-f]*\\) : System RAM.*/\\1/p"
    end = int((await ssh.run("sed", "-n", ends, "/proc/iomem")).text.split()[-1], 16)
    page = HostPhysical((end >> 12) - 0x2000 << 12)
    (await ssh.run("sh", "-c", f"echo {page} >{HARD_OFFLINE}")).must_succeed()
    return page.pfn


def change(lab: Lab, name: str, **fields: object) -> Lab:
    hosts = {**lab.hosts, name: dataclasses.replace(lab.host(name), **fields)}  # type: ignore[arg-type]
    return dataclasses.replace(lab, hosts=hosts)


def test_one_at_a_time_and_nothing_stays(desk: Desk) -> None:
    with desk.tenancy("lab1") as tenancy:
        agent = tenancy.agent_argv[0]
        assert run(tenancy.ssh.run("test", "-x", agent)).exit == 0
        with pytest.raises(HeldError, match="lab1 is held by"):
            run(desk.begin("lab1"))
        boot = tenancy.health.boot_id
    assert all(record.owner is None and not record.dirty for record in desk.leases.records())

    async def look() -> None:
        ssh = await SshHost.connect(desk.lab.host("lab1"))
        left = f"ls {agent} /run/seabus/*; pidof {Path(agent).name}; ls /sys/kernel/tracing/instances"
        found = await ssh.run("sh", "-c", left)
        assert found.text == ""
        assert (await health.examine("lab1", ssh)).boot_id == boot
        await ssh.close()

    run(look())


def test_poison_is_undone_without_a_reboot(desk: Desk) -> None:
    with desk.tenancy("lab1") as tenancy:
        boot = tenancy.health.boot_id

        async def play() -> None:
            await tenancy.permit("hard-offline")
            tenancy.pfns.add(await poison(tenancy.ssh))
            assert (await health.examine("lab1", tenancy.ssh)).corrupted_kib == 4

        run(play())
        assert desk.leases.records()[0].dirty
    assert not desk.leases.records()[0].dirty
    with desk.tenancy("lab1") as tenancy:
        assert (tenancy.health.corrupted_kib, tenancy.health.boot_id) == (0, boot)


@pytest.mark.parametrize("hours", [-30])
def test_a_host_whose_clock_is_wrong(desk: Desk, hours: int) -> None:
    """Leases, deadlines and fences go by no clock of the host's, and its faults are found all the same."""
    with desk.tenancy("lab2") as tenancy:

        async def play() -> None:
            now = int((await tenancy.ssh.run("date", "+%s")).text)
            (await tenancy.ssh.run("date", "-s", f"@{now + hours * 3600}")).must_succeed()
            await tenancy.permit("hard-offline")
            tenancy.pfns.add(await poison(tenancy.ssh))
            await tenancy.permit("hard-offline")

        run(play())
        with pytest.raises(HeldError, match="lab2 is held by"):
            run(desk.begin("lab2"))
    record = next(one for one in desk.leases.records() if one.host == "lab2")
    assert record.owner is None
    assert not record.dirty


def test_what_cannot_be_undone_is_rebooted(desk: Desk) -> None:
    with desk.tenancy("lab1") as tenancy:
        boot = tenancy.health.boot_id

        async def play() -> None:
            await tenancy.permit("hard-offline")
            await poison(tenancy.ssh)  # and nobody knows which page it was

        run(play())
    assert any("4 KiB more of its memory are poisoned" in text for text in desk.said)
    assert not desk.leases.records()[0].dirty
    with desk.tenancy("lab1") as tenancy:
        assert tenancy.health.boot_id != boot


def test_a_holder_that_died_leaves_a_host_that_is_rebooted(desk: Desk) -> None:
    tenancy = run(desk.begin("lab1"))
    boot = tenancy.health.boot_id

    async def die() -> None:
        await tenancy.permit("hard-offline")
        await poison(tenancy.ssh)
        await tenancy.ssh.close()

    run(die())
    desk.leases.release("lab1", tenancy.token)  # as it is when the process is gone
    with desk.tenancy("lab1") as after:
        assert after.health.boot_id != boot
        assert after.health.corrupted_kib == 0
    assert not desk.leases.records()[0].dirty
    run(tenancy._leave())


def test_only_what_the_lab_file_allows(desk: Desk) -> None:
    desk.lab = change(desk.lab, "lab1", faults=("soft-offline",))
    with desk.tenancy("lab1") as tenancy, pytest.raises(CapabilityError, match="does not allow hard-offline"):
        run(tenancy.permit("hard-offline"))
    assert not desk.leases.records()[0].dirty


def test_a_lease_that_was_taken_away_breaks_nothing(desk: Desk) -> None:
    with desk.tenancy("lab1") as tenancy:
        desk.leases.release("lab1", tenancy.token)
        stolen = desk.leases.acquire("lab1", ttl=60)
        with pytest.raises(LeaseLostError, match="the lease 1 of lab host lab1 is over"):
            run(tenancy.permit("hard-offline"))
        assert desk.leases.check("lab1", stolen).dirty == ""
        desk.leases.release("lab1", stolen)
        # The next test's keeper counts from 1 as well: our fence, which we may not take down, would stop it.
        run(fence.take_down("lab1", tenancy.ssh, tenancy.mark))


@pytest.mark.parametrize("leases_before", [0, 1])
def test_two_keepers_of_leases_are_found_out_by_the_host(
    desk: Desk, tmp_path: Path, leases_before: int
) -> None:
    """Each believes that the host is free, and their numbers say nothing of each other's."""
    other = EmbeddedLeases(desk.lab, folder=tmp_path / "other")
    for _ in range(leases_before):
        other.release("lab1", other.acquire("lab1", ttl=60))
    with desk.tenancy("lab1") as tenancy:
        with pytest.raises(LeaseLostError, match="held under lease 1 of another keeper"):
            run(Desk(desk.lab, other, desk.images).begin("lab1"))
        run(tenancy.permit("hard-offline"))
        assert run(health.examine("lab1", tenancy.ssh)).boot_id == tenancy.health.boot_id


def test_dirt_that_its_keeper_has_lost(desk: Desk, tmp_path: Path) -> None:
    """The record is gone; the host was noted to be dirty, and says so."""
    tenancy = run(desk.begin("lab1"))
    boot = tenancy.health.boot_id
    run(tenancy.permit("hard-offline"))
    tenancy._ending.set()
    run(tenancy.ssh.close())
    (tmp_path / "leases/lab1.json").unlink()
    desk.leases.release("lab1", desk.leases.acquire("lab1", ttl=60))  # so that its numbers are higher
    with desk.tenancy("lab1") as after:
        assert after.health.boot_id != boot
    assert any("given hard-offline under lease 1" in text for text in desk.said)


def test_a_host_without_room(desk: Desk) -> None:
    """Its disk is full before the guest's kernel is on it."""
    folder = "/run/small"
    full = ["sh", "-c", f"mkdir -p {folder} && mount -t tmpfs -o size=64k tmpfs {folder}"]

    async def prepare(*argv: str) -> None:
        ssh = await SshHost.connect(desk.lab.host("lab1"))
        (await ssh.run(*argv)).must_succeed()
        await ssh.close()

    run(prepare(*full))
    try:
        desk.lab = change(desk.lab, "lab1", folder=folder)
        with pytest.raises(DiskError, match="lab host lab1 has no space left") as caught:
            run(desk.begin("lab1"))
        assert "or name another `folder`" in caught.value.hint
        assert "No space left" in caught.value.details["stderr"]
        assert desk.leases.records()[0].owner is None
    finally:
        run(prepare("umount", folder))


def test_a_host_that_does_not_come_back_is_put_aside_and_the_others_go_on(desk: Desk) -> None:
    desk.lab = change(desk.lab, "lab1", power_cycle=("false",))
    tenancy = run(desk.begin("lab1"))
    run(tenancy.permit("hard-offline"))
    with pytest.raises(QuarantinedError, match="power-cycle ended with status 1"):
        run(tenancy.give_back("it misbehaved"))
    with pytest.raises(QuarantinedError):
        run(desk.begin("lab1"))
    with desk.tenancy("lab2"):
        pass
    desk.leases.repaired("lab1")
    desk.lab = change(
        desk.lab, "lab1", power_cycle=(*desk.lab.host("lab2").power_cycle[:-2], "lab1", "cycle")
    )
    with desk.tenancy("lab1"):
        pass
    assert not desk.leases.records()[0].dirty


def test_no_host_is_the_one_we_sit_at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk.tenancy("lab1") as tenancy:
        monkeypatch.setattr(health, "own_boot_id", lambda: tenancy.health.boot_id)
        with pytest.raises(HostError, match="the computer you sit at"):
            health.must_be_usable("lab1", tenancy.health)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"machine": "x86_64"}, "is no arm64 host but x86_64"),
        ({"uid": 1000}, "does not let us in as root"),
        ({"has": frozenset({"hard-offline", "tracing"})}, "has no /dev/kvm"),
        ({"has": frozenset({"kvm", "tracing"})}, "without memory failure handling"),
    ],
)
def test_hosts_that_cannot_be_used(fields: dict[str, object], words: str) -> None:
    good = health.Health(
        boot_id="x",
        kernel="7",
        machine="aarch64",
        uid=0,
        tainted=0,
        corrupted_kib=0,
        huge_pages="",
        has=frozenset({"kvm", "hard-offline", "tracing"}),
    )
    health.must_be_usable("h", good)
    with pytest.raises(CapabilityError, match=words):
        health.must_be_usable("h", dataclasses.replace(good, **fields))  # type: ignore[arg-type]


def test_a_qemu_that_is_not_there(desk: Desk, running_lab: RunningLab) -> None:
    del running_lab
    desk.lab = change(desk.lab, "lab1", qemu="/opt/qemu")
    with pytest.raises(CapabilityError, match="lab1 has no /opt/qemu"):
        run(desk.begin("lab1"))
    assert desk.leases.records()[0].owner is None
