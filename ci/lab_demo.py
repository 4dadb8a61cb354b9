# SPDX-License-Identifier: Apache-2.0
"""The lab at work, and what it does when its parts are killed. Run by ``ci/lab-demo``."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as xml
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import measured
import psutil

from seabus.images import emulator, guests
from seabus.images.store import Store

#: The core of the catalogue: what any host can do.
CORE: Final = (
    "testcases/test_injectors.py",
    "testcases/test_never_consumed.py",
    "testcases/test_consumed_page.py",
)
#: Tests of it that pass where nothing is killed: fewer would be a lab on which hardly anything runs.
_CORE_AT_LEAST: Final = 25
#: What the vandal does, each once.
_DEEDS: Final = 3
_BIN: Final = Path(sys.executable).parent


def say(text: str) -> None:
    print(f"[lab-demo {time.monotonic() - _START:6.1f} s] {text}", file=sys.stderr, flush=True)


_START: Final = time.monotonic()


class Coordinator:
    """A labgrid coordinator, started again whenever it dies, as an init system would."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._folder = folder
        self._ending = False
        self.process = self._start()
        threading.Thread(target=self._keep, daemon=True).start()

    def create(self, *places: str) -> None:
        for place in places:
            late = time.monotonic() + 60
            argv = [_BIN / "labgrid-client", "-x", self.address, "-p", place, "create"]
            while subprocess.run(argv, capture_output=True, check=False).returncode:
                if time.monotonic() > late:
                    raise SystemExit("the coordinator does not answer")
                time.sleep(0.3)

    def wait_saved(self) -> None:
        """labgrid writes its places down every 15 s; before that a kill would lose the lab itself."""
        while not (self._folder / "places.yaml").exists():
            time.sleep(0.5)

    def close(self) -> None:
        self._ending = True
        self.process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        with (self._folder / "coordinator.log").open("ab") as log:
            argv = [_BIN / "labgrid-coordinator", "-l", self.address]
            return subprocess.Popen(argv, cwd=self._folder, stdout=log, stderr=log)

    def _keep(self) -> None:
        while not self._ending:
            self.process.wait()
            time.sleep(1)
            if not self._ending:
                self.process = self._start()


def lab_file(folder: Path, coordinator: Coordinator) -> Path:
    """The lab file of the emulated hosts, with leases by the coordinator."""
    text = (folder / "lab" / "lab.toml").read_text()
    path = folder / "lab" / "leased.toml"
    head = f'leases = "labgrid"\ncoordinator = "{coordinator.address}"\n\n[hosts'
    path.write_text(text.replace("\n[hosts", head, 1))
    return path


class Vandal(threading.Thread):
    """Kills a worker, the coordinator and a host, each once, while the tests run."""

    def __init__(
        self, pytest: subprocess.Popen[bytes], coordinator: Coordinator, lab: Path, seed: int
    ) -> None:
        super().__init__(daemon=True)
        self._lab = lab
        self._pytest = pytest
        self._coordinator = coordinator
        self._random = random.Random(seed)
        self.did: list[str] = []

    def run(self) -> None:
        deeds = [self._worker, self._coordinator_dies, self._host]
        self._random.shuffle(deeds)
        for deed in deeds:
            time.sleep(self._random.uniform(25, 60))
            if self._pytest.poll() is not None:
                return
            deed()

    def _worker(self) -> None:
        workers = [one for one in psutil.Process(self._pytest.pid).children() if "-c" in one.cmdline()]
        if workers:
            victim = self._random.choice(workers)
            self._note(f"kill -9 of worker {victim.pid}")
            victim.kill()

    def _coordinator_dies(self) -> None:
        self._note("kill -9 of the coordinator")
        self._coordinator.process.kill()

    def _host(self) -> None:
        if hosts := emulators_of(self._lab):
            victim = self._random.choice(hosts)
            self._note(f"kill -9 of host {victim.pid}")
            victim.kill()

    def _note(self, text: str) -> None:
        self.did.append(text)
        say(text)


def emulators_of(lab: Path) -> list[psutil.Process]:
    """The hosts of this lab, and of no other that runs here: each keeps its console in the lab's folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or [""]
        if "setpriv" not in words[0] and any(f"{lab}/" in word and "console" in word for word in words):
            found.append(process)
    return found


def outcomes(junit: Path) -> dict[str, list[str]]:
    """Test names by outcome."""
    found: dict[str, list[str]] = {"pass": [], "fail": [], "error": [], "skip": [], "killed": []}
    for case in xml.parse(junit).getroot().iter("testcase"):
        name = str(case.get("name"))
        failure = case.find("failure")
        if failure is None:
            failure = case.find("error")
        verdict = {p.get("name"): p.get("value") for p in case.iter("property")}.get("seabus_verdict", "")
        if case.find("skipped") is not None:
            found["skip"].append(name)
        elif failure is None:
            found["pass"].append(name)
        elif "crashed" in str(failure.get("message")):
            found["killed"].append(name)
        else:
            found["fail" if verdict == "fail" else "error"].append(name)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="ci/lab-demo", description=__doc__)
    parser.add_argument("--hosts", type=int, default=3, help="how many emulated hosts [3]")
    parser.add_argument("--workers", type=int, help="how many workers; more than hosts wait [one a host]")
    parser.add_argument("--quiet-lab", action="store_true", help="kill nothing")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 16), help="of the kills")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what came of it there")
    parser.add_argument("--record", action="store_true", help="keep it for docs/SPEC.md")
    parser.add_argument("tests", nargs="*", default=CORE, help="pytest arguments [the core catalogue]")
    arguments = parser.parse_args()
    # Hosts that share few cores are slow, and that is no defect of theirs.
    crowd = 2 * arguments.hosts / len(os.sched_getaffinity(0))
    os.environ.setdefault("SEABUS_PATIENCE", f"{max(1, crowd):g}")
    store = Store()
    emulator.get(store, say=say)
    guests.get(store, say=say)
    with tempfile.TemporaryDirectory(prefix="seabus-lab-") as scratch:
        folder = Path(scratch)
        coordinator = Coordinator(folder)
        names = [f"lab{number + 1}" for number in range(arguments.hosts)]
        coordinator.create(*names)
        lab_argv = [
            sys.executable,
            "-m",
            "seabus",
            "lab",
            "emulate",
            str(folder / "lab"),
            "--hosts",
            str(len(names)),
        ]
        lab = subprocess.Popen(lab_argv, stdout=subprocess.PIPE)
        try:
            assert lab.stdout is not None
            if not lab.stdout.readline():
                raise SystemExit("the emulated lab did not come up")
            coordinator.wait_saved()
            return play(arguments, folder, coordinator)
        finally:
            lab.send_signal(signal.SIGINT)
            lab.wait(60)
            coordinator.close()


def play(arguments: argparse.Namespace, folder: Path, coordinator: Coordinator) -> int:
    leased = lab_file(folder, coordinator)
    junit = folder / "junit.xml"
    say(f"{arguments.hosts} hosts are up; seed {arguments.seed}")
    started = time.monotonic()
    words = [
        "-n",
        str(arguments.workers or arguments.hosts),
        "--dist",
        "worksteal",
        "--seabus-lab",
        str(leased),
        f"--junit-xml={junit}",
    ]
    words += ["-p", "no:cacheprovider", "-q", "-rEf"]
    pytest = subprocess.Popen([sys.executable, "-m", "pytest", *words, *arguments.tests])
    vandal = Vandal(pytest, coordinator, folder / "lab", arguments.seed)
    if not arguments.quiet_lab:
        vandal.start()
    pytest.wait()
    found = outcomes(junit)
    seconds = time.monotonic() - started
    places = json.loads(
        subprocess.run(
            [sys.executable, "-m", "seabus", "lab", "places", "--json", "--lab", str(leased)],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    )
    result = {
        "seed": arguments.seed,
        "seconds": round(seconds, 1),
        "killed": vandal.did,
        "outcomes": {name: len(tests) for name, tests in found.items()},
        "failed": found["fail"] + found["error"],
        "skipped": found["skip"],
        "held_at_the_end": [place["host"] for place in places if place["owner"]],
        "dirty_at_the_end": [place["host"] for place in places if place["dirty"]],
        "quarantined": [place["host"] for place in places if place["quarantined"]],
    }
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    wrong = list(_wrong(arguments, vandal, found, places))
    for line in wrong:
        say(line)
    say("NOT as it must be" if wrong else "as it must be")
    if arguments.record:
        told = f"{', '.join(vandal.did) or 'nothing killed'}: "
        told += ", ".join(f"{len(tests)} {name}" for name, tests in found.items())
        told += f", in {result['seconds']} s"
        measured.keep("lab", "lab-demo", {"ok": not wrong, "told": told, "seed": arguments.seed})
    return 1 if wrong else 0


def _wrong(
    arguments: argparse.Namespace,
    vandal: Vandal,
    found: dict[str, list[str]],
    places: list[dict[str, Any]],
) -> Iterator[str]:
    """What a person would not accept of a lab."""
    if found["fail"]:
        yield f"{len(found['fail'])} tests failed, and nothing was wrong with what they test"
    if not arguments.quiet_lab and len(vandal.did) < _DEEDS:
        yield f"the tests were through before all was killed: {vandal.did}"
    # A worker that is killed takes the one test along that it was at; a host, the one that was on it.
    if len(found["killed"]) > sum("worker" in deed for deed in vandal.did):
        yield f"more tests than killed workers are lost: {found['killed']}"
    if len(found["error"]) > sum("host" in deed for deed in vandal.did):
        yield f"more errors than killed hosts: {found['error']}"
    if arguments.tests is CORE and len(found["pass"]) < _CORE_AT_LEAST:
        yield f"only {len(found['pass'])} tests of the core have passed"
    for place in places:
        for state in ("owner", "dirty", "quarantined"):
            if place[state]:
                yield f"{place['host']} is left with {state} {place[state]}"


if __name__ == "__main__":
    sys.exit(main())
