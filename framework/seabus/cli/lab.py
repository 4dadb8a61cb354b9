# SPDX-License-Identifier: Apache-2.0
"""``seabus lab``: hosts that people and CI jobs share. The verbs are those that labgrid's users know."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from seabus import durations
from seabus.errors import HeldError, HostError, UsageError
from seabus.images import kvmprobe
from seabus.images.store import Store
from seabus.lab import emulated, health, inventory, keeper, kvm
from seabus.lab.inventory import Lab
from seabus.lab.lease import Leases, Owner, Record
from seabus.lab.ssh import SshHost
from seabus.matrix.judge import Status
from seabus.matrix.table import GROUPS
from seabus.report import matrix_json, matrix_terminal
from seabus.report.console import Console
from seabus.report.progress import teller

_DESCRIPTION: Final = """\
Lab hosts are real machines that tests poison. Only those named in the lab file are ever touched, each by one
holder at a time. `pytest --seabus-lab FILE` takes and returns hosts by itself; these commands are for people.
"""
_FILE: Final = "SEABUS_LAB"
_HOURS: Final = 8.0
_LOOK_AGAIN: Final = 1.0
_SAY_AGAIN: Final = 10.0
#: No host takes so long; who dies meanwhile holds nothing.
_MATRIX_SECONDS: Final = 1800.0


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser("lab", help="share the hosts of a lab", description=_DESCRIPTION)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, text: str, work: Any, *, host: bool = True) -> argparse.ArgumentParser:  # noqa: ANN401
        one: argparse.ArgumentParser = verbs.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}."
        )
        one.add_argument(
            "--lab", type=Path, metavar="FILE", help=f"the lab file [${_FILE}]", default=os.environ.get(_FILE)
        )
        if host:
            one.add_argument("host", help="its name in the lab file")
        one.set_defaults(main=work)
        return one

    for name, text in (("places", "list the hosts"), ("who", "list who holds which host")):
        listing = verb(name, text, _places if name == "places" else _who, host=False)
        listing.add_argument("--json", action="store_true", help="a list of objects on standard output")
    showing = verb("show", "show all that is known of a host", _show)
    showing.add_argument("--json", action="store_true", help="an object on standard output")
    taking = verb("acquire", "take a host for yourself, and for your own test runs", _acquire)
    taking.add_argument(
        "--hours",
        type=durations.hours,
        default=_HOURS,
        help=f"give it back by itself after so long [{_HOURS:g}]",
    )
    giving = verb("release", "give a host back that you took, or had reserved", _release)
    giving.add_argument("--kick", action="store_true", help="take it away from whoever holds it")
    reserving = verb("reserve", "be the next who gets a host: it is kept from all others", _reserve)
    reserving.add_argument("--hours", type=durations.hours, default=1.0, help="for so long from now [1]")
    waiting = verb("wait", "wait until you can get a host", _wait)
    waiting.add_argument(
        "--timeout", type=durations.seconds, default=3600.0, metavar="SECONDS", help="[3600]"
    )
    checking = verb("check", "connect to a host, load its modules for faults, and examine it", _check)
    checking.add_argument("--json", action="store_true", help="an object on standard output")
    asking = verb("matrix", "ask a host's KVM what a VMM may inject; nothing is broken", _matrix)
    asking.add_argument(
        "--groups", default=",".join(GROUPS), metavar="LIST", help="parts of the matrix [%(default)s]"
    )
    asking.add_argument("--json", action="store_true", help="the cells on standard output")
    verb("repaired", "end the quarantine of a host", _repaired)
    verb("console", "show the console of a host", _console)
    shell = verb("ssh", "open a shell on a host, by its key of the lab file", _ssh)
    shell.add_argument("command", nargs=argparse.REMAINDER, help="run this instead")
    making = verbs.add_parser(
        "emulate",
        help="run a lab of emulators, to try all this",
        description="Boot emulated hosts, write DIR/lab.toml, and keep them running until Ctrl-C.",
    )
    making.add_argument("folder", type=Path, metavar="DIR", help="for the lab file and the consoles")
    making.add_argument("--hosts", type=int, default=1, metavar="N", help="how many [1]")
    making.set_defaults(main=_emulate)
    switch = verbs.add_parser("emulated-power")  # what the lab file of emulators calls
    switch.add_argument("switch", type=Path)
    switch.add_argument("host")
    switch.add_argument("state")
    switch.set_defaults(main=_emulated_power)


# Looking


def _places(arguments: argparse.Namespace) -> int:
    with _leases(arguments) as (lab, leases):
        records = {record.host: record for record in leases.records()}
    if arguments.json:
        print(json.dumps([_as_json(lab, records[name]) for name in lab.hosts], indent=1))
        return 0
    table = Table("host", "address", "state", "faults")
    for name, host in lab.hosts.items():
        table.add_row(name, f"{host.address}:{host.port}", _state(records[name]), " ".join(host.faults))
    Console().print(table)
    return 0


def _who(arguments: argparse.Namespace) -> int:
    with _leases(arguments) as (lab, leases):
        wanted = [record for record in leases.records() if record.owner or record.reserved]
    if arguments.json:
        print(json.dumps([_as_json(lab, record) for record in wanted], indent=1))
        return 0
    for record in wanted:
        if record.owner:
            lent = f", lent by {record.lent_by}" if record.lent_by else ""
            print(f"{record.host}: {record.owner} (lease {record.token}){lent}")
        if record.reserved:
            print(f"{record.host}: reserved for {record.reserved}")
    if not wanted:
        print("nobody holds a host")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    with _leases(arguments) as (lab, leases):
        host = lab.host(arguments.host)
        record = _record(leases, host.name)
    if arguments.json:
        print(json.dumps(_as_json(lab, record), indent=1))
        return 0
    shown: dict[str, object] = {
        field.name.replace("_", "-"): getattr(host, field.name) for field in dataclasses.fields(host)
    }
    shown |= {
        "state": _state(record),
        "lease": record.token,
        "lent-by": record.lent_by,
        "reserved-for": record.reserved,
        "dirty": record.dirty,
        "failures": record.failures,
        "quarantine": record.quarantined,
    }
    for name, value in shown.items():
        words = " ".join(value) if isinstance(value, tuple) else value
        print(f"{name:14} {words if words or words == 0 else '-'}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    host = _lab(arguments).host(arguments.host)

    async def look() -> health.Health:
        ssh = await SshHost.connect(host)
        try:
            return await health.examine(host.name, ssh)
        finally:
            await ssh.close()

    found = asyncio.run(look())
    if arguments.json:
        # JSON has no sets.
        print(json.dumps(dataclasses.asdict(found), default=sorted, indent=1))
    else:
        has = ", ".join(sorted(found.has)) or "nothing"
        print(f"{host.name}: Linux {found.kernel}, {found.machine}; has {has}")
        print(f"{host.name}: tainted {found.tainted}, {found.corrupted_kib} KiB poisoned")
    health.must_be_usable(host.name, found)
    return 0


# Taking and giving


def _acquire(arguments: argparse.Namespace) -> int:
    with _leases(arguments) as (lab, leases):
        host = lab.host(arguments.host)
        token = leases.acquire(host.name, ttl=arguments.hours * 3600, owner=Owner.person())
    print(f"{host.name} is yours for {arguments.hours:g} h (lease {token}); seabus lab release {host.name}")
    return 0


def _release(arguments: argparse.Namespace) -> int:
    with _leases(arguments) as (lab, leases):
        record = _record(leases, lab.host(arguments.host).name)
        if record.owner is None:
            if Owner.person().is_as(record.reserved):
                leases.reserve(record.host, ttl=0)
                print(f"{record.host} is reserved for you no longer")
            else:
                print(f"nobody holds {record.host}")
            return 0
        if not arguments.kick and (record.owner.pid or not record.owner.is_as(Owner.person())):
            raise HeldError(
                f"lab host {record.host} is held by {record.owner}, not by you",
                hint="--kick takes it away: their run ends as `error`, and nothing more is broken by it",
            )
        leases.release(record.host, record.token)
        after = _record(leases, record.host)
        if (
            after.owner
            and after.owner == record.lent_by
            and (arguments.kick or after.owner.is_as(Owner.person()))
        ):
            # Whoever takes it away means it: not that the lender has it again.
            leases.release(after.host, after.token)
            after = _record(leases, record.host)
    if after.owner is not None and after.token == record.token:
        raise HeldError(f"{arguments.host} is still {_state(after)}", hint="try again; seabus lab who")
    print(f"{arguments.host} is {_state(after)}")
    return 0


def _reserve(arguments: argparse.Namespace) -> int:
    with _leases(arguments) as (lab, leases):
        leases.reserve(lab.host(arguments.host).name, ttl=arguments.hours * 3600)
    print(f"you are next on {arguments.host}: seabus lab wait {arguments.host}")
    return 0


def _wait(arguments: argparse.Namespace) -> int:
    say = teller()
    me = Owner.person()
    late = time.monotonic() + arguments.timeout
    said, said_at = "", -math.inf
    with _leases(arguments) as (lab, leases):
        name = lab.host(arguments.host).name
        while True:
            record = _record(leases, name)
            if record.quarantined:
                raise HostError(
                    f"{name} is in quarantine: {record.quarantined}",
                    hint=f"repair it, then: seabus lab repaired {name}",
                )
            if record.owner and not record.owner.pid and record.owner.is_as(me):
                print(f"{name} is yours already")
                return 0
            if record.owner:
                reason = f"held by {record.owner}"
            elif record.reserved and not record.reserved.is_as(me):
                reason = f"reserved for {record.reserved}"
            else:
                print(f"{name} is free")
                return 0
            if time.monotonic() > late:
                raise HeldError(f"{name} is still {reason}", hint="--timeout SECONDS, or ask them")
            if reason != said or time.monotonic() - said_at > _SAY_AGAIN:
                say(f"{name} is {reason}; {late - time.monotonic():.0f} s left to wait")
                said, said_at = reason, time.monotonic()
            time.sleep(_LOOK_AGAIN)  # keepers of leases tell nobody when one ends


def _matrix(arguments: argparse.Namespace) -> int:
    groups = [group for group in arguments.groups.split(",") if group]
    if unknown := sorted(set(groups) - set(GROUPS)):
        raise UsageError(f"--groups knows no {unknown[0]!r}", hint=f"of {', '.join(GROUPS)}")
    image = kvmprobe.get(Store(), say=teller())
    with _leases(arguments) as (lab, leases):
        host = lab.host(arguments.host)
        token = leases.acquire(host.name, ttl=_MATRIX_SECONDS)
        try:
            run = asyncio.run(kvm.ask_host(host, image, groups=groups, say=teller()))
        finally:
            leases.release(host.name, token)
    if arguments.json:
        json.dump(matrix_json.result([run], []), sys.stdout)
        print()
    else:
        matrix_terminal.show(run, None, console=Console())
    return int(bool(run.of(Status.UNEXPLAINED)))


def _repaired(arguments: argparse.Namespace) -> int:
    with _leases(arguments) as (lab, leases):
        record = _record(leases, lab.host(arguments.host).name)
        if record.repaired() == record:
            print(f"{arguments.host} has nothing to be repaired")
            return 0
        leases.repaired(arguments.host)
    print(f"{arguments.host} is looked at again when it is next used")
    return 0


# Going there


def _console(arguments: argparse.Namespace) -> int:
    host = _lab(arguments).host(arguments.host)
    if not host.console:
        raise UsageError(f"the lab file has no `console` for {host.name}", hint="a command that prints it")
    os.execvp(host.console[0], host.console)


def _ssh(arguments: argparse.Namespace) -> int:
    host = _lab(arguments).host(arguments.host)
    # OpenSSH's own client, for its terminal; the key it may trust is that of the lab file alone.
    name = host.address if host.port == 22 else f"[{host.address}]:{host.port}"
    words = ["ssh", "-p", str(host.port), "-o", "StrictHostKeyChecking=yes"]
    words += ["-o", "UserKnownHostsFile=none", "-o", "GlobalKnownHostsFile=none"]
    words += ["-o", f"KnownHostsCommand=/bin/echo {name} {host.host_key}"]
    if host.identity:
        words += ["-i", str(host.identity), "-o", "IdentitiesOnly=yes"]
    os.execvp("ssh", [*words, f"{host.user}@{host.address}", *arguments.command])


# A lab of emulators


def _emulate(arguments: argparse.Namespace) -> int:
    if not 1 <= arguments.hosts <= 16:
        raise UsageError(f"--hosts {arguments.hosts} is out of range", hint="1 to 16")
    say = teller()

    async def run() -> None:
        folder = emulated.clear(arguments.folder.absolute())
        names = [f"lab{number + 1}" for number in range(arguments.hosts)]
        async with emulated.EmulatedLab.open(folder, names, say=say):
            print(folder / "lab.toml", flush=True)
            say("all up; Ctrl-C ends them")
            await asyncio.Event().wait()

    asyncio.run(run())
    return 0


def _emulated_power(arguments: argparse.Namespace) -> int:
    emulated.press(arguments.switch, arguments.host, arguments.state)
    return 0


# Inside


def _lab(arguments: argparse.Namespace) -> Lab:
    if arguments.lab is None:
        raise UsageError("which lab?", hint=f"--lab FILE, or set {_FILE}; see docs/lab.md")
    return inventory.load(Path(arguments.lab))


@contextlib.contextmanager
def _leases(arguments: argparse.Namespace) -> Iterator[tuple[Lab, Leases]]:
    lab = _lab(arguments)
    leases = keeper.of(lab)
    try:
        yield lab, leases
    finally:
        leases.close()


def _record(leases: Leases, name: str) -> Record:
    return next(record for record in leases.records() if record.host == name)


def _state(record: Record) -> str:
    if record.quarantined:
        return f"quarantine: {record.quarantined}"
    if record.owner:
        return f"held by {record.owner}"
    free = "free, to be rebooted first" if record.dirty else "free"
    return f"{free}; reserved for {record.reserved}" if record.reserved else free


def _as_json(lab: Lab, record: Record) -> dict[str, Any]:
    host = lab.host(record.host)
    return {
        "host": host.name,
        "address": host.address,
        "port": host.port,
        "faults": list(host.faults),
        "capabilities": list(host.capabilities),
        "token": record.token,
        "owner": dataclasses.asdict(record.owner) if record.owner else None,
        "lent_by": dataclasses.asdict(record.lent_by) if record.lent_by else None,
        "reserved": dataclasses.asdict(record.reserved) if record.reserved else None,
        "dirty": record.dirty,
        "failures": record.failures,
        "quarantined": record.quarantined,
    }
