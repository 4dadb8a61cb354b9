# SPDX-License-Identifier: Apache-2.0
"""Runs on a lab host, and now and then the host, are killed at random moments.

Nothing may be left here or there, held, or judged wrong for it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import measured
import psutil
from lab_demo import emulators_of

_TEST: Final = "testcases/test_injectors.py::test_poisoned_and_consumed[hard-offline]"
#: Every process of a run has it in its environment, whoever its parent becomes.
_MARK: Final = "SEABUS_LAB_KILLS"
_RUN: Final = "run"
#: Of the kills, those that hit the host: it then boots anew.
_HOSTS_SHARE: Final = 0.1
#: Seconds: a run that waits for a host to boot, twice, and then some.
_LONGEST_S: Final = 900.0
_LEFT: Final = "ls -d /run/seabus/world-* 2>/dev/null; pidof qemu-system-aarch64; true"


def say(text: str) -> None:
    print(f"[lab-kills] {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="ci/lab-kills", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=100, help="how many kills [100]")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 16))
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--record", action="store_true", help="keep what came of it for docs/SPEC.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seabus-lab-") as scratch:
        folder = Path(scratch)
        os.environ["SEABUS_LABS"] = str(folder / "leases")
        os.environ["SEABUS_LAB"] = str(folder / "lab" / "lab.toml")
        os.environ[_MARK] = ""
        lab = subprocess.Popen(
            [sys.executable, "-m", "seabus", "lab", "emulate", str(folder / "lab")], stdout=subprocess.PIPE
        )
        try:
            assert lab.stdout is not None
            if not lab.stdout.readline():
                raise SystemExit("the emulated host did not come up")
            return _play(arguments, folder / "lab")
        finally:
            lab.send_signal(signal.SIGINT)
            lab.wait(60)


def _play(arguments: argparse.Namespace, lab: Path) -> int:
    chance = random.Random(arguments.seed)
    killed = {"run": 0, "host": 0}
    finished = 0
    wrong: list[str] = []
    started = time.monotonic()
    while sum(killed.values()) < arguments.count:
        run = _start()
        try:
            output, _ = run.communicate(timeout=chance.uniform(1, 25))
        except subprocess.TimeoutExpired:
            if chance.random() < _HOSTS_SHARE:
                hosts = list(emulators_of(lab))
                for host in hosts:
                    host.kill()
                killed["host"] += bool(hosts)  # else it was being started anew
                # No verdict comes of it: the run goes on elsewhere, or says that its host is gone.
                output = _to_its_end(run)
                if run.returncode not in (0, 1) or b"FAILED" in output:
                    wrong.append(output.decode(errors="replace")[-2000:])
            else:
                os.killpg(run.pid, signal.SIGKILL)
                run.communicate()
                killed["run"] += 1
            if left := _orphans():
                wrong.append(f"left here: {left}")
            if sum(killed.values()) % 5 == 0:
                spent = round(time.monotonic() - started)
                say(f"{killed} killed, {finished} finished, {len(wrong)} wrong, {spent} s")
            continue
        finished += 1
        if run.returncode != 0:
            wrong.append(output.decode(errors="replace")[-2000:])
            say(wrong[-1])
    last = _start()
    output = _to_its_end(last)
    if last.returncode != 0:
        wrong.append(output.decode(errors="replace")[-2000:])
    places = json.loads(_seabus("places", "--json"))
    left = _seabus("ssh", "lab1", _LEFT).split()
    result = {
        "seed": arguments.seed,
        "seconds": round(time.monotonic() - started),
        "killed": killed,
        "finished": finished + 1,
        "wrong": wrong,
        "held": [place["host"] for place in places if place["owner"]],
        "dirty": [place["host"] for place in places if place["dirty"]],
        "left_on_the_host": left,
    }
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    bad = bool(wrong or left or result["held"] or result["dirty"])
    if arguments.record:
        hit = ", ".join(f"{times} {what}s" for what, times in killed.items())
        told = f"{hit} killed in {result['seconds']} s: {len(wrong)} wrong, {len(left)} left"
        measured.keep("lab", "lab-kills", {"ok": not bad, "told": told, "seed": arguments.seed})
    return int(bad)


def _to_its_end(run: subprocess.Popen[bytes]) -> bytes:
    """What it says; one that does not end is killed, which is wrong, as its exit status tells."""
    try:
        return run.communicate(timeout=_LONGEST_S)[0]
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        return b"it did not end: " + run.communicate()[0]


def _orphans() -> list[str]:
    """What is left of a killed run on this computer after five seconds."""
    late = time.monotonic() + 5
    while (found := list(_marked())) and time.monotonic() < late:
        time.sleep(0.1)
    return found


def _marked() -> Iterator[str]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(_MARK) == _RUN and process.status() != psutil.STATUS_ZOMBIE:
                yield " ".join(process.cmdline())[:80]


def _start() -> subprocess.Popen[bytes]:
    words = ["-q", "-p", "no:cacheprovider", "--seabus-lab", os.environ["SEABUS_LAB"], _TEST]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, _MARK: _RUN},
    )


def _seabus(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "seabus", "lab", *words], stdout=subprocess.PIPE, check=True, text=True
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
