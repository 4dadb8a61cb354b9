# SPDX-License-Identifier: Apache-2.0
"""``seabus lab``: every verb, what it prints, and its exit code; by files of one computer, and by labgrid."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from seabus.cli import lab as command
from seabus.cli import main, parser
from seabus.errors import HostError
from seabus.lab import inventory, keeper
from seabus.lab.health import Health
from seabus.lab.inventory import LabHost
from seabus.lab.keys import new_key_pair
from seabus.lab.lease import Leases, Owner
from seabus.lab.ssh import SshHost
from tests.unit.lab.coordinator import Coordinator, owner_of

HOST_KEY = new_key_pair().public


@dataclass
class Desk:
    """A person with a lab file in ``SEABUS_LAB``."""

    file: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error of ``seabus lab …``."""
        self.capsys.readouterr()
        code = main(["lab", *words])
        shown = self.capsys.readouterr()
        return code, shown.out, shown.err

    def told(self, *words: str) -> str:
        """What is printed, if all is well."""
        code, out, err = self.run(*words)
        assert code == 0, err
        return out

    def json(self, *words: str) -> Any:  # noqa: ANN401 - as it comes
        return json.loads(self.told(*words, "--json"))

    def refused(self, *words: str) -> str:
        """What is complained of, if it is a matter of the lab."""
        code, out, err = self.run(*words)
        assert (code, out) == (3, "")
        assert len(err.splitlines()) >= 2, "no hint"
        return err

    def become(self, user: str) -> None:
        self.monkeypatch.setenv("LOGNAME", user)

    def leases(self) -> Leases:
        return keeper.of(inventory.load(self.file))


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    found = Coordinator(tmp_path_factory.mktemp("labgrid"), ["h1", "h2"])
    yield found
    found.kill()


@pytest.fixture(params=["embedded", "labgrid"])
def desk(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:
    head = f'[lab]\nname = "t"\nleases = "{request.param}"\n'
    if request.param == "labgrid":
        head += f'coordinator = "{request.getfixturevalue("coordinator").address}"\n'
    file = tmp_path / "lab.toml"
    file.write_text(
        head
        + f'[hosts.h1]\naddress = "h1.lab"\nport = 2222\nhost-key = "{HOST_KEY}"\n'
        + 'faults = ["einj", "madvise"]\nconsole = ["conserver", "h1"]\n'
        + f'[hosts.h2]\naddress = "h2.lab"\nhost-key = "{new_key_pair().public}"\n'
    )
    monkeypatch.setenv("SEABUS_LAB", str(file))
    monkeypatch.setenv("SEABUS_LABS", str(tmp_path / "labs"))
    monkeypatch.setenv("LOGNAME", "alice")
    found = Desk(file, capsys, monkeypatch)
    yield found
    if request.param == "labgrid":
        for host in ("h1", "h2"):
            # What a reservation holds is let go by whoever has reserved it.
            reserved = next(one for one in found.json("places") if one["host"] == host)["reserved"]
            found.become(reserved["user"] if reserved else "alice")
            found.told("release", host, "--kick")
            found.told("repaired", host)
            leases = found.leases()
            token = leases.acquire(host, ttl=60)
            leases.clean(host, token)
            leases.release(host, token)
            leases.close()


def row(desk: Desk, host: str = "h1") -> Any:  # noqa: ANN401 - as it comes
    found: dict[str, Any] = desk.json("show", host)
    return found


def test_places(desk: Desk) -> None:
    assert [one["host"] for one in desk.json("places")] == ["h1", "h2"]
    desk.told("acquire", "h1")
    desk.become("bob")
    desk.told("reserve", "h2")
    first, second = desk.json("places")
    assert (first["address"], first["port"], first["faults"]) == ("h1.lab", 2222, ["einj", "madvise"])
    assert (first["owner"]["user"], first["owner"]["pid"]) == ("alice", 0)
    assert second["reserved"]["user"] == "bob"
    out = " ".join(desk.told("places").split())
    assert "h1.lab:2222" in out
    assert "held by alice@" in out


def test_acquire_who_and_release(desk: Desk) -> None:
    assert desk.told("who") == "nobody holds a host\n"
    assert desk.json("who") == []
    out = desk.told("acquire", "h1", "--hours", "2")
    token = row(desk)["token"]
    assert out == f"h1 is yours for 2 h (lease {token}); seabus lab release h1\n"
    assert desk.told("who") == f"h1: alice@{socket.gethostname()} (lease {token})\n"
    assert [one["host"] for one in desk.json("who")] == ["h1"]
    assert "lab host h1 is held by alice@" in desk.refused("acquire", "h1")
    assert desk.told("release", "h1") == "h1 is free\n"
    assert desk.told("release", "h1") == "nobody holds h1\n"
    assert row(desk)["owner"] is None


def test_hours_end(desk: Desk) -> None:
    desk.told("acquire", "h1", "--hours", "0.0003")
    desk.become("bob")
    assert desk.told("wait", "h1", "--timeout", "20") == "h1 is free\n"
    desk.told("acquire", "h1")


def test_what_is_not_yours_is_taken_by_kick_alone(desk: Desk) -> None:
    desk.told("acquire", "h1")
    desk.become("bob")
    assert "held by alice@" in desk.refused("release", "h1")
    assert "not by you" in desk.refused("release", "h1")
    assert row(desk)["owner"]["user"] == "alice"
    assert desk.told("release", "h1", "--kick") == "h1 is free\n"
    assert row(desk)["owner"] is None


def test_what_you_acquired_is_for_your_own_run(desk: Desk) -> None:
    """A worker of pytest takes it, as any other host, and it is yours again when that is done."""
    desk.told("acquire", "h1")
    worker = desk.leases()
    token = worker.acquire("h1", ttl=60)
    me = Owner.me()
    assert f"h1: {me} (lease {token}), lent by alice@" in desk.told("who")
    shown = row(desk)
    assert (shown["owner"]["pid"], shown["lent_by"]["user"]) == (os.getpid(), "alice")
    assert "held by alice@" in desk.refused("release", "h1")  # not while the run has it
    worker.check("h1", token)
    worker.release("h1", token)
    assert (row(desk)["owner"]["user"], row(desk)["owner"]["pid"]) == ("alice", 0)
    token = worker.acquire("h1", ttl=60)
    assert desk.told("release", "h1", "--kick") == "h1 is free\n"
    with pytest.raises(Exception, match=f"the lease {token} of lab host h1 is over"):
        worker.check("h1", token)
    worker.close()


def test_reserve_and_wait(desk: Desk) -> None:
    assert desk.told("reserve", "h1") == "you are next on h1: seabus lab wait h1\n"
    assert desk.told("wait", "h1") == "h1 is free\n"
    desk.become("bob")
    assert f"h1: reserved for alice@{socket.gethostname()}\n" in desk.told("who")
    assert "h1 is reserved for alice@" in desk.refused("acquire", "h1")
    assert "reserved for alice@" in desk.refused("reserve", "h1")
    err = desk.refused("wait", "h1", "--timeout", "1.5")
    assert "h1 is still reserved for alice@" in err
    assert "s] h1 is reserved for alice@" in err.splitlines()[0]  # progress
    desk.become("alice")
    desk.told("acquire", "h1")
    assert row(desk)["reserved"] is None
    assert desk.told("wait", "h1") == "h1 is yours already\n"


def test_a_reservation_can_be_given_up(desk: Desk) -> None:
    desk.told("reserve", "h1")
    desk.become("bob")
    assert desk.told("release", "h1") == "nobody holds h1\n"
    assert row(desk)["reserved"]["user"] == "alice"
    desk.become("alice")
    assert desk.told("release", "h1") == "h1 is reserved for you no longer\n"
    assert row(desk)["reserved"] is None
    desk.become("bob")
    desk.told("acquire", "h1")


def test_wait_for_a_run_that_ends(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """With progress now and then, so that nobody thinks it hangs."""
    monkeypatch.setattr(command, "_SAY_AGAIN", 0.5)
    monkeypatch.setattr(command, "_LOOK_AGAIN", 0.1)
    leases = desk.leases()
    holder = subprocess.Popen(["sleep", "1000"])
    ending = threading.Timer(2, holder.kill)
    reaping = threading.Thread(target=holder.wait)  # a zombie would still be there
    try:
        owner = dataclasses.replace(owner_of(holder), user="bob")
        leases.acquire("h1", ttl=1000, owner=owner)
        ending.start()
        reaping.start()
        code, out, err = desk.run("wait", "h1")
        assert (code, out) == (0, "h1 is free\n")
        lines = [line for line in err.splitlines() if f"h1 is held by bob@{owner.computer}" in line]
        assert len(lines) >= 2
    finally:
        holder.kill()
        holder.wait()
        leases.close()


def test_wait_for_a_far_run_that_says_nothing_any_more(desk: Desk) -> None:
    """Of another computer's process nothing is known but its signs of life."""
    leases = desk.leases()
    far = dataclasses.replace(Owner.me(), user="bob", computer="elsewhere", pid=4711)
    leases.acquire("h1", ttl=2, owner=far)
    assert "h1: bob@elsewhere, process 4711" in desk.told("who")
    code, out, err = desk.run("wait", "h1", "--timeout", "30")
    assert (code, out) == (0, "h1 is free\n")
    assert "h1 is held by bob@elsewhere" in err
    leases.close()
    desk.told("acquire", "h1")


def test_show(desk: Desk) -> None:
    leases = desk.leases()
    desk.told("reserve", "h1")
    token = leases.acquire("h1", ttl=60)
    desk.told("reserve", "h1")
    leases.soil("h1", token, "given einj", kernel="k", tainted=0)
    leases.fail("h1", token, "did not boot")
    shown = dict(line.split(maxsplit=1) for line in desk.told("show", "h1").splitlines())
    assert shown["address"] == "h1.lab"
    assert shown["faults"] == "einj madvise"
    assert shown["identity"] == "-"
    assert shown["state"].startswith("held by alice@")
    assert shown["lease"] == str(token)
    assert shown["reserved-for"].startswith("alice@")
    assert shown["dirty"] == "given einj"
    assert shown["failures"] == "1"
    assert shown["quarantine"] == "-"
    told = row(desk)
    assert (told["token"], told["failures"], told["dirty"]) == (token, 1, "given einj")
    assert told["reserved"]["user"] == "alice"
    leases.release("h1", token)
    leases.close()
    assert "free, to be rebooted first; reserved for alice@" in desk.told("show", "h1")


def test_quarantine_and_repaired(desk: Desk) -> None:
    leases = desk.leases()
    token = leases.acquire("h1", ttl=60)
    for _ in range(3):
        leases.fail("h1", token, "does not boot")
    leases.release("h1", token)
    leases.close()
    assert "quarantine: does not boot" in desk.told("show", "h1")
    assert row(desk)["quarantined"] == "does not boot"
    err = desk.refused("wait", "h1")
    assert "h1 is in quarantine: does not boot" in err
    assert "seabus lab repaired h1" in err
    assert "seabus lab repaired h1" in desk.refused("acquire", "h1")
    assert desk.told("repaired", "h1") == "h1 is looked at again when it is next used\n"
    assert desk.told("repaired", "h1") == "h1 has nothing to be repaired\n"
    assert row(desk)["failures"] == 0
    assert row(desk)["dirty"]  # it is still to be looked at
    desk.told("acquire", "h1")


# Without a keeper of leases


@pytest.fixture
def gone_to(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The programs that would have taken our place."""
    found: list[list[str]] = []

    def execvp(program: str, words: list[str]) -> None:
        assert program == words[0]
        found.append(list(words))
        raise SystemExit(0)

    monkeypatch.setattr(os, "execvp", execvp)
    return found


only_embedded = pytest.mark.parametrize("desk", ["embedded"], indirect=True)


@only_embedded
def test_console(desk: Desk, gone_to: list[list[str]]) -> None:
    with pytest.raises(SystemExit):
        desk.run("console", "h1")
    assert gone_to == [["conserver", "h1"]]
    code, _, err = desk.run("console", "h2")
    assert code == 2
    assert "has no `console` for h2" in err


@only_embedded
def test_ssh_trusts_the_key_of_the_lab_file_alone(
    desk: Desk, gone_to: list[list[str]], tmp_path: Path
) -> None:
    identity = tmp_path / "id"
    identity.write_text(new_key_pair().private)
    desk.file.write_text(desk.file.read_text().replace("port = 2222", 'port = 2222\nidentity = "id"'))
    for words in (["ssh", "h1", "uname", "-r"], ["ssh", "h2"]):
        with pytest.raises(SystemExit):
            desk.run(*words)
    words, plain = gone_to
    assert words[-3:] == ["root@h1.lab", "uname", "-r"]
    assert plain[-1] == "root@h2.lab"
    # As OpenSSH understands it.
    shown = subprocess.run(
        [words[0], "-G", "-F", "none", *words[1:-2]], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    options = dict(line.split(maxsplit=1) for line in shown if " " in line)
    assert options["port"] == "2222"
    assert options["stricthostkeychecking"] == "true"
    assert (options["userknownhostsfile"], options["globalknownhostsfile"]) == ("none", "none")
    assert options["knownhostscommand"] == f"/bin/echo [h1.lab]:2222 {HOST_KEY}"
    assert options["identityfile"] == str(identity)
    assert options["identitiesonly"] == "yes"


@only_embedded
def test_check(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    health = Health(
        boot_id="b",
        kernel="7.3.4",
        machine="aarch64",
        uid=0,
        tainted=0,
        corrupted_kib=4,
        huge_pages="",
        has=frozenset({"kvm", "hard-offline", "tracing"}),
    )
    closed: list[str] = []

    class Connection:
        async def close(self) -> None:
            closed.append("h1")

    async def connect(host: inventory.LabHost) -> Connection:
        return Connection()

    async def examine(name: str, commands: object) -> Health:
        return health

    monkeypatch.setattr(SshHost, "connect", connect)
    monkeypatch.setattr("seabus.lab.health.examine", examine)
    out = desk.told("check", "h1")
    assert "h1: Linux 7.3.4, aarch64; has hard-offline, kvm, tracing\n" in out
    assert "4 KiB poisoned" in out
    assert desk.json("check", "h1")["has"] == ["hard-offline", "kvm", "tracing"]
    assert len(closed) == 2
    health = dataclasses.replace(health, has=frozenset({"hard-offline", "tracing"}))
    code, out, err = desk.run("check", "h1")
    assert code == 3
    assert "has no /dev/kvm" in err
    assert "hard-offline" in out  # what it has is told all the same


@only_embedded
def test_a_host_whose_kvm_is_asked_is_ours_meanwhile(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[str] = []

    async def unreachable(host: LabHost, image: object, **_: object) -> None:
        held.append(desk.told("who"))
        raise HostError(f"lab host {host.name} cannot be reached")

    monkeypatch.setattr("seabus.images.kvmprobe.get", lambda *_, **__: None)
    monkeypatch.setattr("seabus.lab.kvm.ask_host", unreachable)
    assert "cannot be reached" in desk.refused("matrix", "h1")
    assert held[0].startswith("h1: ")
    assert desk.told("who") == "nobody holds a host\n"
    code, _, err = desk.run("matrix", "h1", "--groups", "access,nested")
    assert code == 2
    assert "--groups knows no 'nested'" in err


@only_embedded
def test_the_power_of_emulated_hosts(desk: Desk, runtime: Path) -> None:
    switch = runtime / "power"
    assert "is `seabus lab emulate` running?" in desk.refused("emulated-power", str(switch), "h1", "cycle")
    pressed: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(switch))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                pressed.append(connection.recv(100))
                connection.sendall(b"ok\n")

        thread = threading.Thread(target=answer)
        thread.start()
        desk.told("emulated-power", str(switch), "h1", "cycle")
        thread.join()
    assert pressed == [b"h1 cycle\n"]


@only_embedded
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["show", "h11"], "did you mean h1?"),
        (["acquire", "h1", "--hours", "0"], "is not a number of hours"),
        (["acquire", "h1", "--hours", "nan"], "is not a number of hours"),
        (["reserve", "h1", "--hours", "-1"], "is not a number of hours"),
        (["wait", "h1", "--timeout", "soon"], "--timeout"),
        (["who", "--lab", "/nowhere/lab.toml"], "/nowhere/lab.toml"),
        (["emulate", "/tmp/x", "--hosts", "0"], "--hosts 0 is out of range"),
        (["borrow", "h1"], "borrow"),
    ],
)
def test_mistakes_of_the_caller(desk: Desk, words: list[str], says: str) -> None:
    code, out, err = desk.run(*words)
    assert (code, out) == (2, "")
    assert says in err


@only_embedded
def test_a_coordinator_that_does_not_answer(desk: Desk) -> None:
    there = 'leases = "labgrid"\ncoordinator = "127.0.0.1:1"'
    desk.file.write_text(desk.file.read_text().replace('leases = "embedded"', there))
    assert "the labgrid coordinator 127.0.0.1:1" in desk.refused("who")


@only_embedded
def test_which_lab(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEABUS_LAB")
    code, _, err = desk.run("who")
    assert code == 2
    assert "--lab FILE, or set SEABUS_LAB" in err
    assert desk.told("who", "--lab", str(desk.file)) == "nobody holds a host\n"


@only_embedded
@pytest.mark.parametrize(
    "verb", ["show", "acquire", "release", "reserve", "wait", "check", "matrix", "repaired", "ssh"]
)
def test_every_verb_knows_the_hosts(desk: Desk, verb: str) -> None:
    code, out, err = desk.run(verb, "h11")
    assert (code, out) == (2, "")
    assert "has no host h11" in err


def test_every_verb_is_tested() -> None:
    """By name, above."""
    choices = [action.choices for action in parser("lab")._actions if action.choices]
    lab = dict(choices[0])["lab"]
    verbs = next(action.choices for action in lab._actions if action.choices)
    assert {"places", "who", "show", "wait"} < set(verbs)
    text = Path(__file__).read_text()
    assert not {verb for verb in verbs if f'"{verb}"' not in text}
