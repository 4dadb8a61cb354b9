# SPDX-License-Identifier: Apache-2.0
"""A world on a lab host: a session sees there what it sees in an emulator, but for firmware records."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from seabus.arch.addresses import HostPhysical
from seabus.chains import host
from seabus.errors import CapabilityError, DeadlineError
from seabus.faults.poison import HardOffline
from seabus.faults.record import MemoryRecord
from seabus.images.guests import GuestImages
from seabus.judge.verdict import NotAsExpectedError, Verdict
from seabus.lab import inventory
from seabus.lab.bench import Bench
from seabus.lab.embedded import EmbeddedLeases
from seabus.lab.ssh import SshHost
from seabus.lab.tenancy import Tenancy
from seabus.lab.world import LabWorld, on_host
from seabus.machine.config import WorldConfig
from seabus.scenarios import consumed_page
from seabus.session.session import Session
from tests.conformance import must_conform
from tests.lab.conftest import Desk, RunningLab, run

pytestmark = pytest.mark.emulated

CONFIG = WorldConfig()


@pytest.fixture(scope="module")
def tenancy(
    running_lab: RunningLab, images: GuestImages, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenancy]:
    """The first host, for all tests of this module: its guest is booted once."""
    lab = inventory.load(running_lab.file)
    leases = EmbeddedLeases(lab, folder=tmp_path_factory.mktemp("leases"))
    with Desk(lab, leases, images).tenancy("lab1") as tenancy:
        yield tenancy


@contextlib.asynccontextmanager
async def world_on(tenancy: Tenancy, folder: Path) -> AsyncIterator[LabWorld]:
    async with on_host(tenancy, CONFIG, artefacts=folder, say=lambda _: None) as world:
        yield world


async def tell(session: Session, verb: str, **arguments: object) -> None:
    """Ask the host's agent, and do not wait for an answer."""
    session.world.l1.send(verb, **arguments)


def taken(bench: Bench) -> str | None:
    """The host that a worker has."""
    return bench.tenancy.host.name if bench.tenancy else None


def test_the_core_scenario_passes(tenancy: Tenancy, tmp_path: Path) -> None:
    async def play() -> None:
        async with world_on(tenancy, tmp_path) as world:
            assert isinstance(world.fault_at(HostPhysical(0)), HardOffline)
            outcome = await consumed_page.run(world)
            assert outcome.judgement.verdict is Verdict.PASS, outcome.judgement
            assert outcome.receipts
            assert world.notes["versions"]["lab_host"] == "lab1"

    run(play())
    assert tenancy.pfns, "which page is to be given back"


def test_its_negative_control_does_not(tenancy: Tenancy, tmp_path: Path) -> None:
    async def play() -> None:
        async with world_on(tenancy, tmp_path) as world:
            outcome = await consumed_page.run(world, inject=False)
            assert outcome.judgement.verdict is not Verdict.PASS

    run(play())


def test_a_guest_is_booted_once_and_brought_back(tenancy: Tenancy, tmp_path: Path) -> None:
    """What one world does to it the next does not see; nothing of it stays on the host but its state."""
    worlds = tenancy.worlds

    async def play(name: str) -> tuple[str, bytes]:
        (tmp_path / name).mkdir()
        async with world_on(tenancy, tmp_path / name) as world:
            assert (await world.l2.run("test", "-e", "/run/mark")).exit != 0
            await world.l2.write("/run/mark", b"mine")
            alive = f"test -d {world.folder} && test -d /proc/{world.vmm_pid}"
            assert (await tenancy.ssh.run("sh", "-c", alive)).exit == 0
            boot = (await world.l2.read("/proc/sys/kernel/random/boot_id")).decode()
            random = (await world.l2.run("head", "-c", "16", "/dev/urandom")).stdout
        left = f"ls -d {world.folder}; grep -h '^State:.[^ZX]' /proc/{world.vmm_pid}/status"
        assert (await tenancy.ssh.run("sh", "-c", left)).text == ""
        return boot, random

    first, second = run(play("first")), run(play("second"))
    assert first[0] == second[0]
    assert first[1] != second[1]
    assert list(tenancy.frozen) == [CONFIG]
    assert tenancy.worlds == worlds + 2
    huge = run(tenancy.ssh.read("/sys/kernel/mm/transparent_hugepage/enabled")).decode()
    assert f"[{tenancy.health.huge_pages}]" in huge


def test_our_agents_do_there_what_they_do_in_an_emulator(tenancy: Tenancy, tmp_path: Path) -> None:
    async def play() -> None:
        async with world_on(tenancy, tmp_path) as world:
            for commands in (world.l1, world.l2, world.l2_qga):
                await must_conform(commands)

    run(play())


def test_a_vmm_that_ends_is_no_error_of_ours(tenancy: Tenancy, tmp_path: Path) -> None:
    """Its sockets end with it, so that the guest's agent is cut off in the middle of a touch."""
    opening = on_host(tenancy, CONFIG, artefacts=tmp_path, say=lambda _: None)
    with Session.over(opening) as session:
        victim = session.victim()
        fault = session.fault_at(victim.page.host_physical)
        session.inject(fault)
        session.until("L1", "memory_failure", pfn=victim.page.host_physical.pfn)
        session.run(tell(session, "kill", pid=session.vmm_pid, signo=9))
        victim.touch("read")
        with pytest.raises(NotAsExpectedError) as caught:
            session.expect(host.announces(fault), host.loses_page(victim.page, vmm_pid=session.vmm_pid))
    findings = caught.value.judgement.findings
    assert [finding.subject for finding in findings if finding.kind == "dead"] == ["VMM"]


def test_a_firmware_record_is_refused(tenancy: Tenancy, tmp_path: Path) -> None:
    opening = on_host(tenancy, CONFIG, artefacts=tmp_path, say=lambda _: None)
    with Session.over(opening) as session:
        victim = session.victim()
        with pytest.raises(CapabilityError, match="only be injected into an emulated host") as caught:
            session.inject(MemoryRecord(address=victim.page.host_physical))
    assert "hard-offline" in caught.value.hint
    assert caught.value.capability == "firmware-record"


def test_a_vmm_is_not_started_anew(tenancy: Tenancy, tmp_path: Path) -> None:
    opening = on_host(tenancy, CONFIG, artefacts=tmp_path, say=lambda _: None)
    with Session.over(opening) as session, pytest.raises(CapabilityError, match="not started anew"):
        session.restart_vmm()


def test_a_connection_that_stands_still_is_named(tenancy: Tenancy, tmp_path: Path) -> None:
    """The process that serves it on the host is stopped: nothing is closed, and nothing comes any more."""

    async def stop(pid: int, signal: str) -> None:
        other = await SshHost.connect(tenancy.host)
        (await other.run("kill", f"-{signal}", str(pid))).must_succeed()
        await other.close()

    opening = on_host(tenancy, CONFIG, artefacts=tmp_path, say=lambda _: None)
    with Session.over(opening) as session:
        agent = session.run(session.world.l1.request("hello"))["pid"]
        up = 'p=$1; while ! grep -q ^sshd /proc/$p/comm; do p=$(cut -d" " -f4 /proc/$p/stat); done; echo $p'
        server = int(session.host.run("sh", "-c", up, "sh", str(agent)).must_succeed().text)
        run(stop(server, "STOP"))
        began = time.monotonic()
        try:
            with pytest.raises(DeadlineError, match="lab host lab1 stands still: it does not answer"):
                session.run(session.world.l1.request("clock", within=3))
            assert time.monotonic() - began < 12
        finally:
            run(stop(server, "CONT"))


def test_a_host_that_panics(
    running_lab: RunningLab, images: GuestImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the host's failure, or what a scenario wanted; and the host is left, and rebooted."""
    monkeypatch.setenv("SEABUS_LABS", str(tmp_path / "labs"))
    said: list[str] = []
    lab = inventory.load(running_lab.file)
    bench = Bench(lab, images, number=1, say=said.append)
    (tmp_path / "kept").mkdir()
    with bench.session(CONFIG, (), artefacts=tmp_path / "kept") as session:
        assert taken(bench) == "lab2"
        boot = session.world.notes["l1"]["boot_id"]
        victim = session.victim()
        fault = session.fault_at(victim.page.host_physical)
        session.inject(fault)
        session.until("L1", "memory_failure", pfn=victim.page.host_physical.pfn)
        crash = base64.b64encode(b"c").decode()
        session.run(tell(session, "write", path="/proc/sysrq-trigger", data=crash, create=False))
        victim.touch("read")
        lost = [*host.announces(fault), *host.loses_page(victim.page, vmm_pid=session.vmm_pid)]
        with pytest.raises(NotAsExpectedError) as caught:
            session.expect(lost)
        dead = [finding for finding in caught.value.judgement.findings if finding.kind == "dead"]
        assert [finding.subject for finding in dead] == ["host"]
        assert "Kernel panic - not syncing" in dead[0].text
    assert taken(bench) is None
    assert "lab2: not clean: its kernel gave up during a test" in said
    bench.close()
    leases = EmbeddedLeases(lab)
    assert not any(record.dirty or record.owner for record in leases.records())

    async def booted() -> str:
        ssh = await SshHost.connect(lab.host("lab2"))
        found = (await ssh.read("/proc/sys/kernel/random/boot_id")).decode().strip()
        await ssh.close()
        return found

    assert run(booted()) != boot
