# SPDX-License-Identifier: Apache-2.0
"""Runs on a lab host are killed at random moments; nothing may be left, held, or judged wrong for it."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

_TEST: Final = "testcases/test_injectors.py::test_poisoned_and_consumed[hard-offline]"
_LEFT: Final = "ls -d /run/seabus/world-* 2>/dev/null; pidof qemu-system-aarch64; true"


def say(text: str) -> None:
    print(f"[lab-kills] {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="ci/lab-kills", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=100, help="how many kills [100]")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 16))
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seabus-lab-") as scratch:
        folder = Path(scratch)
        os.environ["SEABUS_LABS"] = str(folder / "leases")
        os.environ["SEABUS_LAB"] = str(folder / "lab" / "lab.toml")
        lab = subprocess.Popen(
            [sys.executable, "-m", "seabus", "lab", "emulate", str(folder / "lab")], stdout=subprocess.PIPE
        )
        try:
            assert lab.stdout is not None
            if not lab.stdout.readline():
                raise SystemExit("the emulated host did not come up")
            return _play(arguments)
        finally:
            lab.send_signal(signal.SIGINT)
            lab.wait(60)


def _play(arguments: argparse.Namespace) -> int:
    chance = random.Random(arguments.seed)
    killed = finished = 0
    wrong: list[str] = []
    started = time.monotonic()
    while killed < arguments.count:
        run = _start()
        try:
            output, _ = run.communicate(timeout=chance.uniform(1, 40))
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            killed += 1
            continue
        finished += 1
        if run.returncode != 0:
            wrong.append(output.decode(errors="replace")[-2000:])
            say(wrong[-1])
        if finished % 5 == 0:
            say(f"{killed} killed, {finished} finished, {len(wrong)} wrong")
    last = _start()
    output, _ = last.communicate()
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
    return 1 if wrong or left or result["held"] or result["dirty"] else 0


def _start() -> subprocess.Popen[bytes]:
    words = ["-q", "-p", "no:cacheprovider", "--seabus-lab", os.environ["SEABUS_LAB"], _TEST]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _seabus(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "seabus", "lab", *words], stdout=subprocess.PIPE, check=True, text=True
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
