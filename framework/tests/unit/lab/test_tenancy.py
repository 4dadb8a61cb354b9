# SPDX-License-Identifier: Apache-2.0
"""What becomes of a host over leases, on one that is a folder: who may touch it, and when it is clean."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from seabus.errors import CapabilityError, HostError, LeaseLostError, QuarantinedError, SeabusError
from seabus.images.guests import GuestImages
from seabus.lab import hand_back, power, tenancy
from seabus.lab.embedded import EmbeddedLeases
from seabus.lab.inventory import Lab, LabHost
from seabus.lab.lease import TO_BE_EXAMINED
from seabus.lab.ssh import SshHost
from seabus.lab.tenancy import Tenancy
from seabus.machine.config import WorldConfig
from tests.unit.lab.folder_host import FolderHost, FolderSsh, silence

_T = TypeVar("_T")
HOST = LabHost(name="h1", address="a", host_key="k", faults=("hard-offline", "einj"), power_cycle=("pdu",))


def run(work: Coroutine[Any, Any, _T]) -> _T:
    return asyncio.run(work)


class Desk:
    """A person with a host and a keeper of leases; several may have the same host."""

    def __init__(self, there: FolderHost, folder: Path) -> None:
        self.there = there
        self.lab = Lab(path=folder / "lab.toml", name="test", hosts={"h1": HOST})
        self.leases = EmbeddedLeases(self.lab, folder=folder)
        self.said: list[str] = []

    def change(self, **fields: Any) -> None:  # noqa: ANN401
        host = dataclasses.replace(self.lab.host("h1"), **fields)
        self.lab = dataclasses.replace(self.lab, hosts={"h1": host})

    def begin(self) -> Tenancy:
        return run(
            Tenancy.begin(
                self.lab,
                self.leases,
                "h1",
                images=cast(GuestImages, None),  # nothing is copied here
                config=WorldConfig(),
                say=self.said.append,
            )
        )

    @property
    def dirty(self) -> str:
        return self.leases.records()[0].dirty


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderHost:
    there = FolderHost(tmp_path / "host")

    async def connect(host: LabHost) -> FolderSsh:
        if there.silent:
            raise silence(host)
        return FolderSsh(host, there)

    async def furnish(self: Tenancy, config: WorldConfig) -> None:
        del self, config

    monkeypatch.setattr(SshHost, "connect", connect)
    monkeypatch.setattr(power, "cycle", there.cycle)
    monkeypatch.setattr(Tenancy, "_furnish", furnish)
    monkeypatch.setattr(hand_back, "_PAUSE", 0.01)
    monkeypatch.setattr(hand_back, "_GONE", 0.1)
    monkeypatch.setattr(hand_back, "_DEAD", 0.1)
    return there


@pytest.fixture
def desk(there: FolderHost, tmp_path: Path) -> Desk:
    return Desk(there, tmp_path / "leases")


@pytest.fixture
def other(there: FolderHost, tmp_path: Path) -> Desk:
    """Somebody whose keeper knows nothing of the first one's."""
    return Desk(there, tmp_path / "others")


def die(held: Tenancy) -> None:
    """As after a kill -9: nothing is given back, and the keeper sees that the holder is gone."""
    held._ending.set()
    held._beats.join()
    run(held.ssh.close())
    held._leases.release("h1", held.token)


def test_nothing_stays_of_a_lease_that_broke_nothing(desk: Desk) -> None:
    held = desk.begin()
    assert {"fence-1"} <= desk.there.here
    run(held.give_back())
    assert (desk.there.here, desk.there.cycles, desk.dirty) == (set(), 0, "")


def test_a_host_that_lacks_something_is_left_clean(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def furnish(self: Tenancy, config: WorldConfig) -> None:
        raise CapabilityError(f"lab host {self.host.name} has no QEMU for {config}")

    with monkeypatch.context() as patch:
        patch.setattr(Tenancy, "_furnish", furnish)
        with pytest.raises(CapabilityError):
            desk.begin()
    assert (desk.there.here, desk.leases.records()[0].owner) == (set(), None)
    run(desk.begin().give_back())
    assert desk.there.cycles == 0


def test_two_fresh_keepers_with_equal_tokens(desk: Desk, other: Desk) -> None:
    held = desk.begin()
    with pytest.raises(LeaseLostError, match="held under lease 1 of another keeper"):
        other.begin()
    assert desk.there.cycles == 0
    run(held.permit("hard-offline"))
    run(held.give_back())
    assert not desk.dirty


def test_a_stale_keeper_does_not_reboot_a_host_in_use(desk: Desk, other: Desk) -> None:
    """It believes the host to be dirty, and others have long had it: its number is too small."""
    token = other.leases.acquire("h1", ttl=60)
    other.leases.soil("h1", token, "given einj", kernel="", tainted=0)
    other.leases.release("h1", token)
    for _ in range(5):
        desk.leases.release("h1", desk.leases.acquire("h1", ttl=60))
    held = desk.begin()
    with pytest.raises(LeaseLostError, match="held under lease 6 of another keeper"):
        other.begin()
    assert desk.there.cycles == 0
    assert other.leases.records()[0].failures == 0
    run(held.permit("hard-offline"))
    run(held.give_back())


def test_another_keeper_does_not_end_a_lease_in_force(desk: Desk, other: Desk) -> None:
    """Its number is larger: that of another count, which says nothing."""
    for _ in range(5):
        other.leases.release("h1", other.leases.acquire("h1", ttl=60))
    held = desk.begin()
    desk.there.start(4711, "/var/tmp/seabus/seabus-agent-0123")
    with pytest.raises(LeaseLostError, match="held under lease 1 of another keeper"):
        other.begin()
    assert (desk.there.cycles, (desk.there.root / "killed").exists()) == (0, False)
    run(held.permit("hard-offline"))
    run(held.give_back())


def test_dirt_that_the_keeper_lost_is_found_on_the_host(desk: Desk, tmp_path: Path) -> None:
    held = desk.begin()
    run(held.permit("hard-offline"))
    die(held)
    (tmp_path / "leases/h1.json").unlink()
    desk.leases.release("h1", desk.leases.acquire("h1", ttl=60))  # so that its numbers are higher
    after = desk.begin()
    assert desk.there.cycles == 1
    assert any("given hard-offline under lease 1" in text for text in desk.said)
    run(after.give_back())
    assert (desk.dirty, desk.there.here) == ("", set())


def test_what_einj_broke_may_be_met_by_the_next_one(desk: Desk) -> None:
    """Nothing shows of an error that nobody has met: only a reboot is sure to end it."""
    held = desk.begin()
    run(held.permit("einj"))
    run(held.give_back())
    assert (desk.there.cycles, desk.dirty) == (1, "")
    assert any("may not have been met yet" in text for text in desk.said)


def test_who_repaired_a_host_may_be_wrong(desk: Desk) -> None:
    """It is examined as one that has just been started is."""
    token = desk.leases.acquire("h1", ttl=60)
    for _ in range(3):
        desk.leases.fail("h1", token, "tainted")
    desk.leases.release("h1", token)
    desk.leases.repaired("h1")
    desk.there.put("proc/sys/kernel/tainted", "16")
    held = desk.begin()
    assert (desk.there.cycles, desk.dirty) == (1, "")
    assert any("its kernel is tainted (16)" in text for text in desk.said)
    run(held.give_back())


def test_a_fence_that_was_left_is_dirt(desk: Desk) -> None:
    die(desk.begin())
    boot = desk.there.boot_id
    held = desk.begin()
    assert held.health.boot_id != boot
    assert any("lease 1 of it was never given back" in text for text in desk.said)
    run(held.give_back())


def test_poison_of_nobody_is_dirt(desk: Desk) -> None:
    desk.there.corrupt(4)
    held = desk.begin()
    assert (desk.there.cycles, held.health.corrupted_kib) == (1, 0)
    run(held.give_back())


def test_who_lost_the_lease_removes_nothing_of_the_next_one(desk: Desk) -> None:
    held = desk.begin()
    desk.leases.release("h1", held.token)
    following = desk.begin()
    (desk.there.root / "run/seabus/world-2-1").mkdir()
    desk.there.start(4711, "/var/tmp/seabus/seabus-agent-0123")
    before = desk.there.here
    held.ssh = FolderSsh(HOST, desk.there)  # type: ignore[assignment]
    run(held.give_back())
    assert held.lost
    assert desk.there.here == before
    assert not (desk.there.root / "killed").exists()
    assert any("left as it is: the lease 1 of lab host h1 is over" in text for text in desk.said)
    run(following.give_back())
    assert (desk.there.root / "killed").read_text() == "4711\n"
    assert desk.there.here == set()


@pytest.mark.parametrize("why", ["", "it misbehaved"])
def test_who_lost_the_host_to_another_keeper_undoes_and_reboots_nothing(desk: Desk, why: str) -> None:
    held = desk.begin()
    run(held.permit("hard-offline"))
    folder = desk.there.root / "run/seabus"
    (folder / "fence-9").write_text(f"theirs {desk.leases.name}\n")
    desk.there.ran.clear()
    with pytest.raises(LeaseLostError, match="knows a later lease, 9"):
        run(held.give_back(why))
    assert held.lost
    assert desk.there.cycles == 0
    assert not any("unpoison" in one or ("kill -9" in one and "fence-" not in one) for one in desk.there.ran)
    assert desk.dirty


def test_a_lost_connection_is_no_reason_to_reboot_somebody_elses_host(desk: Desk) -> None:
    held = desk.begin()
    (desk.there.root / "run/seabus/fence-9").write_text(f"theirs {desk.leases.name}\n")
    run(held.ssh.close())
    with pytest.raises(LeaseLostError, match="knows a later lease, 9"):
        run(held.give_back("the connection was lost"))
    assert desk.there.cycles == 0


def test_what_was_broken_is_noted_on_the_host_first(desk: Desk) -> None:
    held = desk.begin()
    run(held.permit("hard-offline", 0x1234))
    assert "dirty" in desk.there.here
    assert desk.dirty == "given hard-offline under lease 1"
    unpoison = desk.there.root / "sys/kernel/debug/hwpoison/unpoison-pfn"
    run(held.give_back())
    assert unpoison.read_text() == "0x1234\n"
    assert (desk.there.here, desk.dirty, desk.there.cycles) == (set(), "", 0)


def test_a_host_that_was_rebooted_meanwhile_is_not_broken(desk: Desk) -> None:
    held = desk.begin()
    desk.there.boots()
    held.ssh = FolderSsh(HOST, desk.there)  # type: ignore[assignment]
    with pytest.raises(HostError, match="was rebooted under our lease"):
        run(held.permit("hard-offline"))
    assert "dirty" not in desk.there.here
    run(held.give_back())
    assert desk.there.cycles == 1


def test_a_fence_that_went_ends_the_lease(desk: Desk) -> None:
    held = desk.begin()
    (desk.there.root / "run/seabus/fence-1").unlink()
    with pytest.raises(LeaseLostError, match="does not know our lease any more"):
        run(held.permit("hard-offline"))
    assert held.lost
    with pytest.raises(LeaseLostError):
        run(held.give_back())


def test_a_power_cycle_that_does_nothing_is_a_failure(desk: Desk) -> None:
    desk.there.swallows_power = True
    held = desk.begin()
    run(held.permit("hard-offline"))
    with pytest.raises(QuarantinedError, match="still runs the boot it had before"):
        run(held.give_back("it misbehaved"))
    assert desk.there.cycles == 3
    assert desk.dirty


def test_a_power_cycle_that_takes_effect_later_is_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The switch returns at once; for a while the old boot still answers."""
    monkeypatch.setattr(hand_back, "_GONE", 10)
    held = desk.begin()
    looks = []
    boot_id = hand_back._boot_id

    async def look(ssh: SshHost) -> str:
        looks.append(await boot_id(ssh))
        if len(looks) == 4:
            desk.there.boots()
        return looks[-1]

    desk.there.swallows_power = True
    monkeypatch.setattr(hand_back, "_boot_id", look)
    run(held.give_back("it misbehaved"))
    assert (desk.there.cycles, len(set(looks)), desk.dirty) == (1, 2, "")


def test_a_repaired_host_is_examined_before_it_is_rebooted(desk: Desk) -> None:
    """It has no power-cycle, a person rebooted it and gave it another kernel: it is as good as any."""
    desk.change(power_cycle=())
    held = desk.begin()
    run(held.permit("hard-offline"))
    desk.there.corrupt(4)
    with pytest.raises(QuarantinedError, match="must be rebooted, and the lab file has no"):
        run(held.give_back())
    desk.there.boots()
    desk.there.put("kernel", "7.4.0")
    desk.there.put("proc/sys/kernel/tainted", "4096")
    desk.leases.repaired("h1")
    assert desk.dirty == TO_BE_EXAMINED
    held = desk.begin()
    assert desk.leases.check("h1", held.token).dirty == ""
    run(held.permit("hard-offline"))
    run(held.give_back())
    assert desk.dirty == ""


def test_a_repaired_host_that_was_not_is_put_aside_again(desk: Desk) -> None:
    desk.change(power_cycle=())
    held = desk.begin()
    run(held.permit("hard-offline"))
    desk.there.corrupt(4)
    with pytest.raises(QuarantinedError):
        run(held.give_back())
    desk.leases.repaired("h1")
    with pytest.raises(QuarantinedError):
        desk.begin()


def test_a_clean_host_that_is_off_is_switched_on(desk: Desk) -> None:
    desk.there.silent = True
    held = desk.begin()
    assert desk.there.cycles == 1
    run(held.give_back())
    assert desk.dirty == ""


def test_a_clean_host_that_stays_off_is_put_aside_after_three_failures(desk: Desk) -> None:
    desk.change(boot_seconds=0)
    desk.there.silent = desk.there.swallows_power = True
    with pytest.raises(QuarantinedError, match="did not come up"):
        desk.begin()
    assert desk.there.cycles == 3


def test_each_look_at_a_host_that_nobody_can_switch_on_is_a_failure(desk: Desk) -> None:
    desk.change(power_cycle=())
    desk.there.silent = True
    with pytest.raises(HostError, match="h1 does not answer") as caught:
        desk.begin()
    assert not isinstance(caught.value, QuarantinedError)
    assert desk.leases.records()[0].failures == 1
    desk.there.silent = False  # a person has switched it on
    run(desk.begin().give_back())
    assert desk.leases.records()[0].failures == 0
    desk.there.silent = True
    for failures in (1, 2):
        with pytest.raises(HostError) as again:
            desk.begin()
        assert not isinstance(again.value, QuarantinedError)
        assert desk.leases.records()[0].failures == failures
    with pytest.raises(QuarantinedError):
        desk.begin()


def test_a_host_that_answers_with_another_key_is_not_rebooted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(host: LabHost) -> FolderSsh:
        raise HostError(f"{host.name} has another key than the lab file says")

    monkeypatch.setattr(SshHost, "connect", connect)
    with pytest.raises(HostError, match="another key"):
        desk.begin()
    assert (desk.there.cycles, desk.leases.records()[0].failures) == (0, 0)


def test_the_hosts_own_huge_page_mode_survives_its_holder(desk: Desk) -> None:
    """`never` is ours: whoever comes after a kill -9 must not take it for the host's."""
    enabled = desk.there.root / "sys/kernel/mm/transparent_hugepage/enabled"
    held = desk.begin()
    enabled.write_text("always madvise [never]\n")
    die(held)
    (desk.there.root / "run/seabus/fence-1").unlink()
    held = desk.begin()
    assert (held.health.huge_pages, desk.there.cycles) == ("always", 0)
    run(held.give_back())
    assert enabled.read_text() == "always\n"


def test_what_programs_of_ours_are_left_is_ended(desk: Desk) -> None:
    held = desk.begin()
    run(held.permit("hard-offline"))
    desk.there.start(10, "/var/tmp/seabus/seabus-agent-0123")
    desk.there.start(11, "/usr/bin/qemu-system-aarch64", "-qmp", "unix:/run/seabus/world-1-1/qmp")
    desk.there.start(12, "/usr/bin/qemu-system-aarch64", "-qmp", "unix:/run/others/world-1-1/qmp")
    run(held.give_back())
    assert sorted((desk.there.root / "killed").read_text().split()) == ["10", "11"]
    assert (desk.there.cycles, desk.dirty) == (0, "")


def test_a_trace_instance_that_stays_is_dirt(desk: Desk) -> None:
    held = desk.begin()
    run(held.permit("hard-offline"))
    busy = desk.there.root / "sys/kernel/tracing/instances/seabus/busy"
    busy.mkdir(parents=True)
    run(held.give_back())
    assert desk.there.cycles == 1
    assert any("a trace instance of ours" in text for text in desk.said)


def test_files_are_those_of_the_configuration(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later test with another kernel must not run the first one's."""
    pushed = []

    async def push(self: Tenancy, local: Path, name: str, *, mode: int = 0o644) -> str:
        del self, mode
        pushed.append(local)
        return f"/there/{name} of {local.name}"

    class Images:
        kernel = tmp_path / "ours"

        def initrd(self, level: str) -> Path:
            return tmp_path / f"initrd-{level}"

    monkeypatch.setattr(Tenancy, "_push", push)
    held = desk.begin()
    held._images = cast(GuestImages, Images())
    usual = run(held.files_for(WorldConfig()))
    assert (usual.kernel, usual.initrd) == ("/there/l2-Image of ours", "/there/l2-initrd of initrd-l2")
    for name in ("theirs", "root"):
        (tmp_path / name).touch()
    other = WorldConfig(l2_kernel=tmp_path / "theirs", l2_initrd=tmp_path / "root")
    found = run(held.files_for(other))
    assert (found.kernel, found.initrd) == ("/there/l2-Image of theirs", "/there/l2-initrd of root")
    assert run(held.files_for(WorldConfig())) == usual
    assert len(pushed) == 4  # each once
    run(held.give_back())


def test_a_beat_survives_a_full_disk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenancy, "TTL", 1.5)
    renew, fails = desk.leases.renew, [OSError(28, "No space left on device")]
    renewed = []

    def full(host: str, token: int, *, ttl: float) -> None:
        if fails:
            raise fails.pop()
        renewed.append(token)
        renew(host, token, ttl=60)

    monkeypatch.setattr(desk.leases, "renew", full)
    held = desk.begin()
    late = time.monotonic() + 5
    while not renewed and time.monotonic() < late:
        time.sleep(0.02)
    assert renewed
    assert not held.lost
    assert any("No space left" in text for text in desk.said)
    run(held.give_back())


def test_a_lease_that_is_not_renewed_in_time_is_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    held = desk.begin()
    now = tenancy._clock()
    monkeypatch.setattr(tenancy, "_clock", lambda: now + tenancy.TTL + 1)
    assert held.lost
    run(held.give_back())


def test_every_error_here_has_a_hint(desk: Desk) -> None:
    desk.change(power_cycle=())
    desk.there.silent = True
    with pytest.raises(SeabusError) as caught:
        desk.begin()
    assert caught.value.hint.startswith("switch it on")
