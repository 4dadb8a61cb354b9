# SPDX-License-Identifier: Apache-2.0
"""One worker's place in a lab, on hosts that are none: which is taken, kept, left, and how."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seabus.channel.interface import CommandResult
from seabus.errors import (
    AgentError,
    BootError,
    CapabilityError,
    ChannelError,
    DeadlineError,
    DiskError,
    HeldError,
    HostError,
    ImageError,
    LeaseLostError,
    MachineError,
    QuarantinedError,
    SeabusError,
    UsageError,
)
from seabus.lab import guest, inventory
from seabus.lab.bench import Bench, Move
from seabus.lab.emulated import EmulatedHost, EmulatedLab
from seabus.lab.health import Health
from seabus.lab.inventory import Lab, LabHost
from seabus.lab.keys import new_key_pair
from seabus.lab.world import can_break_memory
from seabus.machine.config import WorldConfig
from seabus.session import life
from seabus.session.stage import Stage

GOOD = Health(
    boot_id="one",
    kernel="6.12",
    machine="aarch64",
    uid=0,
    tainted=0,
    corrupted_kib=0,
    huge_pages="",
    has=frozenset({"kvm", "hard-offline", "soft-offline", "tracing"}),
)


class Ssh:
    """A connection to a host that is well unless it is told otherwise."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def alive(self) -> bool:
        return self._host.connected

    async def run(self, *argv: str, within: float = 15.0) -> CommandResult:
        self._host.asked += 1
        if self._host.silent:
            raise DeadlineError(f"waited {within:g} s for {argv[0]}")
        return CommandResult(argv=argv, exit=self._host.exit, signal=None, stdout=b"", stderr=b"")


@dataclasses.dataclass
class Host:
    """What a host of the lab is like.

    :param refuses: what keeps us from taking it, one error a try.
    :param fails: what the set-up of a world on it ends with, one error a try.
    :param exit: the status of each probe.
    """

    name: str
    refuses: list[SeabusError] = dataclasses.field(default_factory=list)
    fails: list[SeabusError] = dataclasses.field(default_factory=list)
    health: Health = GOOD
    now: Health = GOOD
    connected: bool = True
    silent: bool = False
    exit: int = 0
    asked: int = 0
    lost: bool = False


class Tenancy:
    def __init__(self, host: Host, described: LabHost, lab: FakeLab) -> None:
        self.host = described
        self.token = 7
        self.health = host.health
        self.ssh = Ssh(host)
        self.state = host
        self._lab = lab

    @property
    def lost(self) -> bool:
        return self.state.lost

    async def give_back(self, why: str = "") -> None:
        self._lab.did.append(f"{'reboot' if why else 'give back'} {self.host.name}")

    async def _leave(self) -> None:
        self._lab.did.append(f"let go of {self.host.name}")


class FakeLab:
    """Hosts, what was done to them, and a clock that only waiting moves."""

    def __init__(self, **hosts: dict[str, Any]) -> None:
        self.hosts = {name: Host(name) for name in hosts}
        described = {
            name: LabHost(name=name, address="a", host_key="k", **fields) for name, fields in hosts.items()
        }
        self.lab = Lab(path=Path("lab.toml"), name="lab", hosts=described)
        self.did: list[str] = []
        self.said: list[str] = []
        self.now = 0.0

    async def begin(self, lab: Lab, leases: object, name: str, **rest: object) -> Tenancy:
        del leases, rest
        host = self.hosts[name]
        if host.refuses:
            raise host.refuses.pop(0)
        self.did.append(f"take {name}")
        return Tenancy(host, lab.hosts[name], self)

    @contextlib.asynccontextmanager
    async def on_host(self, tenancy: Tenancy, config: WorldConfig, **rest: object) -> AsyncIterator[str]:
        del config, rest
        if tenancy.state.fails:
            raise tenancy.state.fails.pop(0)
        yield tenancy.host.name

    @contextlib.contextmanager
    def over(
        self, opening: contextlib.AbstractAsyncContextManager[str], *, injecting: bool
    ) -> Iterator[SimpleNamespace]:
        del injecting
        with asyncio.Runner() as runner:
            name = runner.run(opening.__aenter__())
            try:
                yield SimpleNamespace(host=name, stage=SimpleNamespace(is_dead=lambda _: False))
            finally:
                runner.run(opening.__aexit__(None, None, None))

    def bench(self, **options: Any) -> Bench:  # noqa: ANN401 - of a bench
        return Bench(self.lab, None, say=self.said.append, **options)  # type: ignore[arg-type]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def examine(self, name: str, ssh: object) -> Health:
        del ssh
        now: Health = self.hosts[name].now
        return now


Make = Callable[..., FakeLab]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    def lab(**hosts: dict[str, Any]) -> FakeLab:
        made = FakeLab(**hosts)
        for name, fake in {
            "Tenancy.begin": made.begin,
            "on_host": made.on_host,
            "Session.over": made.over,
            "keeper.of": lambda _: SimpleNamespace(close=lambda: None),
            "health.examine": made.examine,
            "time": SimpleNamespace(monotonic=lambda: made.now, sleep=made.sleep),
        }.items():
            monkeypatch.setattr(f"seabus.lab.bench.{name}", fake)
        return made

    return lab


def play(bench: Bench, *needs: str, config: WorldConfig | None = None) -> str:
    """A test that passes; the host it ran on."""
    with bench.session(config or WorldConfig(), needs, artefacts=Path()) as session:
        return str(session.host)


# Which host


def test_hosts_are_matched_by_what_they_have(make: Make) -> None:
    lab = make(a={}, b={"capabilities": ("sve",)}, c={"faults": ("hard-offline",)})
    bench = lab.bench()
    assert play(bench) == "a"
    assert play(bench, "sve") == "b"
    assert play(bench) == "b"  # it will do
    assert play(bench, "hard-offline") == "c"
    assert lab.did == ["take a", "give back a", "take b", "give back b", "take c"]
    with pytest.raises(CapabilityError, match=r"no host of lab\.toml has sve, hard-offline") as caught:
        play(bench, "sve", "hard-offline")
    assert caught.value.capability == "sve"


def test_workers_begin_at_different_hosts(make: Make) -> None:
    lab = make(a={}, b={}, c={})
    assert [play(lab.bench(number=number)) for number in range(4)] == ["a", "b", "c", "a"]


def test_what_only_a_guest_has_is_not_asked_of_hosts(make: Make) -> None:
    lab = make(a={})
    with contextlib.suppress(CapabilityError):  # which would be a skip here
        play(lab.bench(), "guest-apei")
    assert lab.did == ["take a"]


@pytest.mark.parametrize(
    ("word", "fields"),
    [("einj", {"faults": ("einj",)}), ("host-apei", {"capabilities": ("host-apei",)})],
    ids=["examined", "probed"],
)
def test_a_lab_file_that_says_too_much(make: Make, word: str, fields: dict[str, Any]) -> None:
    """Another host is taken, and it is said which declaration is wrong; the host is asked once."""
    lab = make(a=fields, b=fields)
    lab.hosts["a"].exit = 1
    lab.hosts["b"].health = dataclasses.replace(GOOD, has=GOOD.has | {"einj"})
    bench = lab.bench()
    assert play(bench, word) == "b"
    assert lab.did == ["take a", "give back a", "take b"]
    assert lab.said == [f"the lab file says {word} of a, which has none"]
    lab.hosts["b"].exit = 1
    lab.hosts["b"].health = GOOD
    bench.leave()
    with pytest.raises(CapabilityError, match=f"has {word}") as caught:
        play(bench, word)
    assert "of a, which has none; the lab file says" in caught.value.hint
    assert lab.did.count("take a") == 1


@pytest.mark.parametrize(
    "config",
    [
        WorldConfig(l1_mode="vhe"),
        WorldConfig(l1_cpus=4),
        WorldConfig(l2_backing="hugetlb-2M"),
        WorldConfig(l2_backing="hugetlb-1G", l2_memory_mib=1024),
    ],
)
def test_what_no_lab_host_can_do_is_refused_before_one_is_taken(make: Make, config: WorldConfig) -> None:
    lab = make(a={})
    with pytest.raises(CapabilityError, match="lab host"):
        play(lab.bench(), config=config)
    assert lab.did == []


def test_what_a_test_cannot_do_there_is_a_missing_capability() -> None:
    stage: Any = SimpleNamespace(world=object())
    with pytest.raises(CapabilityError, match="not started anew"):
        asyncio.run(life.restart(stage))


def test_two_labs_of_emulators_share_no_leases(tmp_path: Path) -> None:
    """Whatever their folders are called, and even if one takes the other's place."""
    nothing: Any = None
    names = set()
    for folder in ("one/lab", "two/lab", "two/lab"):
        lab = EmulatedLab(tmp_path / folder, nothing, nothing, new_key_pair(), print)
        lab.hosts["h"] = EmulatedHost("h", tmp_path, 1, new_key_pair())
        file = tmp_path / "lab.toml"
        file.write_text(lab.lab_file())
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "id_lab").touch()
        names.add(inventory.load(file).name)
    assert len(names) == 3


@pytest.mark.parametrize(
    ("faults", "has", "types", "able"),
    [
        (("einj",), {"einj"}, "0x00000008\tMemory Correctable\n0x00000010\tMemory Uncorrectable", True),
        (("einj",), {"einj"}, "0x00000001\tProcessor Correctable\n0x00000008\tMemory Correctable", False),
        (("einj",), set(), "0x00000010\tMemory Uncorrectable", False),
        ((), {"einj"}, "0x00000010\tMemory Uncorrectable", False),
        (("einj",), {"einj"}, "", False),
    ],
)
def test_firmware_that_cannot_break_memory_is_not_asked(
    faults: tuple[str, ...], has: set[str], types: str, able: bool
) -> None:
    class Files:
        async def run(self, *argv: str) -> CommandResult:
            return CommandResult(
                argv=argv, exit=0 if types else 1, signal=None, stdout=types.encode(), stderr=b""
            )

    tenancy: Any = SimpleNamespace(host=SimpleNamespace(faults=faults), health=SimpleNamespace(has=has))
    commands: Any = Files()
    assert asyncio.run(can_break_memory(tenancy, commands)) is able


def test_a_guest_must_run_the_kernel_that_was_asked_for(tmp_path: Path) -> None:
    image = tmp_path / "Image"
    image.write_bytes(b"MZ\0\0Linux version 6.12.1-mine (gcc) #1\0Linux version %s (%s)\0")
    guest.must_run(image, "6.12.1-mine")
    with pytest.raises(MachineError, match=r"runs Linux 7.3.4\+deb13-arm64, and not 6.12.1-mine of"):
        guest.must_run(image, "7.3.4+deb13-arm64")
    image.write_bytes(b"zimg, compressed")
    guest.must_run(image, "7.3.4+deb13-arm64")


class StageOfALab(Stage):
    """One whose VMM is looked at so often before it is gone."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    async def look_after_vmm(self) -> bool:
        self._looks -= 1
        return self._looks >= 0


@pytest.mark.parametrize(
    ("error", "looks", "lived"),
    [
        (None, 0, True),
        (ChannelError("closed by the far side"), 0, False),
        (ChannelError("closed by the far side"), 2, False),
        (ChannelError("closed by the far side"), 10_000, True),  # then it is the agent's end alone
        (AgentError("no", kind="os"), 0, True),
    ],
)
def test_a_channel_that_ends_with_its_vmm(error: SeabusError | None, looks: int, lived: bool) -> None:
    async def touch() -> None:
        if error:
            raise error

    async def play() -> bool:
        return await StageOfALab(looks).while_vmm_lives(asyncio.ensure_future(touch()))

    assert asyncio.run(play()) is lived


# Waiting


def test_others_hold_the_hosts(make: Make) -> None:
    lab = make(a={}, b={})
    lab.hosts["a"].refuses = [HeldError("a is held by anna")] * 25
    lab.hosts["b"].refuses = [HeldError("b is held by bert")] * 25
    assert play(lab.bench()) == "a"
    said = "waiting for a lab host: a is held by anna; b is held by bert"
    assert lab.said == [said] * 3
    assert lab.now == 25


def test_nobody_waits_for_ever(make: Make) -> None:
    """It is no host's fault: none is left, and the test not tried again."""
    lab = make(a={})
    lab.hosts["a"].refuses = [HeldError("a is held by anna")] * 1000
    with pytest.raises(DeadlineError, match="waited 60 s for a lab host") as caught:
        play(lab.bench(patience=60))
    assert caught.value.details["held"] == "a is held by anna"
    assert 60 < lab.now < 63
    assert lab.did == []


def test_a_host_in_quarantine_keeps_nobody_from_the_others(make: Make) -> None:
    lab = make(a={}, b={})
    lab.hosts["a"].refuses = [QuarantinedError("a is in quarantine")] * 9
    assert play(lab.bench()) == "b"
    lab.hosts["b"].refuses = [QuarantinedError("b is in quarantine")]
    with pytest.raises(HostError, match=r"no host of lab\.toml can be used") as caught:
        play(lab.bench())
    assert caught.value.details["reasons"] == "a is in quarantine\nb is in quarantine"
    assert lab.now == 0


@pytest.mark.parametrize(("boots_in", "given"), [(600, 600), (30, 120)])
def test_a_host_that_boots_has_its_time(make: Make, boots_in: int, given: int) -> None:
    """It cannot be reached meanwhile, as one that never will be cannot."""
    lab = make(a={"boot_seconds": boots_in})
    lab.hosts["a"].refuses = [HostError("a cannot be reached")] * (given - 10)
    assert play(lab.bench()) == "a"
    lab.hosts["a"].refuses = [HostError("a cannot be reached")] * 10_000
    before = lab.now
    with pytest.raises(HostError, match=r"no host of lab\.toml can be used"):
        play(lab.bench())
    assert given <= lab.now - before < given + 3


# Moving


def test_a_host_that_hangs_is_left_once(make: Make) -> None:
    """The usual sign of it is that something did not happen in time."""
    lab = make(a={}, b={})
    lab.hosts["a"].fails = [DeadlineError("waited 15 s for our agent on a")]
    lab.hosts["a"].silent = True
    bench = lab.bench()
    assert play(bench) == "b"
    moved = [bench.moved]
    assert lab.did == ["take a", "reboot a", "take b"]
    assert play(bench) == "b"
    moved.append(bench.moved)
    assert moved == [Move("a", "it does not answer: waited 15 s for our agent on a"), None]
    lab.hosts["b"].fails = [DeadlineError("x")]
    lab.hosts["a"].fails = [DeadlineError("y")]
    with pytest.raises(DeadlineError, match="y"):
        play(bench)


def lose(host: Host) -> None:
    host.connected = False


def reboot(host: Host) -> None:
    host.now = dataclasses.replace(GOOD, boot_id="two")


def update(host: Host) -> None:
    host.now = dataclasses.replace(GOOD, kernel="6.13")


@pytest.mark.parametrize("happens", [lose, reboot, update])
def test_a_host_that_is_not_what_it_was_is_rebooted(make: Make, happens: Callable[[Host], None]) -> None:
    """Even if what was noticed of it is only that the guest did not boot."""
    lab = make(a={}, b={})
    lab.hosts["a"].fails = [BootError("the VMM ended")]
    happens(lab.hosts["a"])
    assert play(lab.bench()) == "b"
    assert lab.did == ["take a", "reboot a", "take b"]


@pytest.mark.parametrize(
    "error",
    [
        ChannelError("a's agent closed"),
        AgentError("L1's agent: no room", kind="os", errno=28),
        MachineError("`mkdir` ended with status 1"),
        DeadlineError("waited 15 s for L2's agent"),
        HostError("l2-Image on lab host a is not what was sent"),
        DiskError("lab host a has no room"),
    ],
)
def test_a_host_that_is_well_is_left_as_it_is(make: Make, error: SeabusError) -> None:
    """It may be to blame, so another one is tried; but nothing calls for a reboot."""
    lab = make(a={}, b={})
    lab.hosts["a"].fails = [error]
    bench = lab.bench()
    assert play(bench) == "b"
    assert bench.moved == Move("a", str(error))
    assert lab.did == ["take a", "give back a", "take b"]


@pytest.mark.parametrize(
    "error",
    [
        BootError("L2 did not reach the milestone `init`"),
        UsageError("no arm64 kernel"),
        ImageError("damaged"),
        CapabilityError("cannot be observed"),
    ],
)
def test_what_is_the_tests_own_fault_moves_nothing(make: Make, error: SeabusError) -> None:
    lab = make(a={}, b={})
    lab.hosts["a"].fails = [error]
    bench = lab.bench()
    with pytest.raises(type(error)):
        play(bench)
    assert bench.moved is None
    assert lab.did == ["take a"]
    assert play(bench) == "a"


def test_a_host_that_was_left_comes_last(make: Make) -> None:
    lab = make(a={}, b={})
    lab.hosts["a"].fails = [DeadlineError("x")]
    bench = lab.bench()
    assert play(bench) == "b"
    bench.leave()
    assert play(bench) == "b"
    bench.leave()
    lab.hosts["b"].refuses = [QuarantinedError("b")]
    assert play(bench) == "a"  # there is no other


# A test has begun


def test_a_test_that_fails_on_a_host_that_hangs(make: Make) -> None:
    lab = make(a={}, b={})
    bench = lab.bench()
    play(bench)
    lab.hosts["a"].silent = True
    assert bench.move_from("a", DeadlineError("late")) == Move("a", "it does not answer: late")
    assert play(bench) == "b"
    assert lab.did == ["take a", "reboot a", "take b"]


@pytest.mark.parametrize("error", [MachineError("status 7"), BootError("b"), AgentError("no", kind="os")])
def test_a_test_that_fails_on_a_host_that_is_well(make: Make, error: SeabusError) -> None:
    lab = make(a={}, b={})
    bench = lab.bench()
    play(bench)
    assert bench.move_from("a", error) is None
    assert lab.did == ["take a"]


def test_a_host_that_was_lost_during_a_test(make: Make) -> None:
    """It is left when the test ends; who then asks whether it was to blame hears so."""
    lab = make(a={}, b={})
    bench = lab.bench()
    with bench.session(WorldConfig(), (), artefacts=Path()):
        lab.hosts["a"].connected = False
    why = "the connection was lost during a test"
    assert bench.move_from("a", ChannelError("lost")) == Move("a", why)
    assert lab.did == ["take a", "reboot a"]


def test_a_host_whose_kernel_gave_up(make: Make) -> None:
    lab = make(a={}, b={})
    bench = lab.bench()
    with bench.session(WorldConfig(), (), artefacts=Path()) as session:
        session.stage.is_dead = lambda level: level == "L1"  # type: ignore[method-assign]
    assert play(bench) == "b"
    assert lab.did == ["take a", "reboot a", "take b"]


# A lease that is lost


@pytest.mark.parametrize("when", ["between", "during"])
def test_a_host_that_is_not_ours_any_more_is_not_touched(make: Make, when: str) -> None:
    lab = make(a={}, b={})
    bench = lab.bench()
    with bench.session(WorldConfig(), (), artefacts=Path()):
        if when == "during":
            lab.hosts["a"].lost = True
    if when == "between":
        lab.hosts["a"].lost = True
    asked = lab.hosts["a"].asked
    assert play(bench) == "b"
    assert lab.did == ["take a", "let go of a", "take b"]
    assert lab.hosts["a"].asked == asked


def test_a_host_that_says_itself_that_it_is_not_ours(make: Make) -> None:
    lab = make(a={}, b={})
    bench = lab.bench()
    play(bench)
    assert bench.move_from("a", LeaseLostError("knows a later lease")) == Move("a", "its lease 7 was lost")
    assert play(bench) == "b"
    assert lab.did == ["take a", "let go of a", "take b"]


def test_the_end_gives_the_host_back(make: Make) -> None:
    lab = make(a={})
    bench = lab.bench()
    play(bench)
    bench.close()
    assert lab.did == ["take a", "give back a"]
