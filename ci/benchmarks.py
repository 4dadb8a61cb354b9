# SPDX-License-Identifier: Apache-2.0
"""The benchmarks behind ``ci/bench``. Figures of shared machines are noisy: read medians, and mind n."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lab_benchmarks
import measured
import shell_benchmarks

from seabus.arch.addresses import HostPhysical
from seabus.arch.cper import decode_status_block, memory_error_record
from seabus.arch.esr import decode_esr
from seabus.images import emulator, guests
from seabus.images.store import Store
from seabus.judge.verdict import Verdict
from seabus.machine.config import WorldConfig
from seabus.scenarios import consumed_page
from seabus.world import restore, template
from seabus.world.freeze import Frozen

_ROOT = Path(__file__).parents[1]


def say(text: str) -> None:
    print(f"[bench] {text}", file=sys.stderr, flush=True)


def frozen(folder: Path) -> Frozen:
    return template.ensure(WorldConfig(), store=Store(), artefacts=folder, say=say)


def cold_boot_s(folder: Path) -> list[float]:
    """Process start to L2's agent answering, without freezing and digesting."""
    shared = Store()
    image, guest_images = emulator.get(shared, say=say), guests.get(shared, say=say)
    found = []
    for number in range(3):
        place = folder / f"boot-{number}"
        place.mkdir()
        reached: list[float] = []

        def note(message: str, reached: list[float] = reached) -> None:
            if message == "L2: agent answers":
                reached.append(time.monotonic())

        started = time.monotonic()
        template.boot_once(WorldConfig(), image, guest_images, place, note)
        found.append(reached[0] - started)
        shutil.rmtree(place)
    return found


def clone_ready_s(folder: Path) -> list[float]:
    """Emulator process start to both agents having answered with living timers."""
    return asyncio.run(_clones(frozen(folder), folder))["ready"]


def clone_private_mib(folder: Path) -> list[float]:
    """Memory a clone has written itself, at the end of a whole fault."""
    return asyncio.run(_faults(frozen(folder), folder, 20))["private"]


def fault_to_verdict_s(folder: Path) -> list[float]:
    """Injection to verdict in a ready clone."""
    return asyncio.run(_faults(frozen(folder), folder, 30))["verdict"]


def faults_per_minute(folder: Path) -> list[float]:
    """Whole tests (clone, fault, verdict, end), two at a time; each figure is one batch of 40."""
    clone = frozen(folder)
    found = []
    for _ in range(3):
        started = time.monotonic()
        asyncio.run(_two_at_a_time(clone, folder, 40))
        found.append(40 / (time.monotonic() - started) * 60)
    return found


def first_verdict_s(folder: Path) -> list[float]:
    """`ci/demo` in a fresh clone with an empty home and cache, downloads included.

    Host packages that are installed already are not fetched again.
    """
    subprocess.run(["git", "clone", "-q", str(_ROOT), str(folder / "clone")], check=True)
    home = folder / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "SEABUS_"))}
    started = time.monotonic()
    subprocess.run(
        ["bash", "ci/demo"],
        cwd=folder / "clone",
        env={**kept, "HOME": str(home)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return [time.monotonic() - started]


def decode_million_esr_s(folder: Path) -> list[float]:
    """A million values of ESR_EL1, most of them aborts, one after the other on one core."""
    del folder
    dice = random.Random(1)
    values = [(0x24 << 26) | dice.getrandbits(25) for _ in range(100_000)]
    found = []
    for _ in range(3):
        started = time.monotonic()
        for _ in range(10):
            for value in values:
                decode_esr(value)
        found.append(time.monotonic() - started)
    return found


def decode_ten_thousand_cper_s(folder: Path) -> list[float]:
    """Ten thousand status blocks of one memory error each."""
    del folder
    data = memory_error_record(HostPhysical(0x4000_1000), fru_id=uuid.UUID(int=1)).encode()
    found = []
    for _ in range(3):
        started = time.monotonic()
        for _ in range(10_000):
            decode_status_block(data)
        found.append(time.monotonic() - started)
    return found


async def _clones(clone: Frozen, folder: Path) -> dict[str, list[float]]:
    ready = []
    for _ in range(30):
        started = time.monotonic()
        async with restore.cloned(clone, artefacts=folder, purpose="bench"):
            ready.append(time.monotonic() - started)
    return {"ready": ready}


async def _faults(clone: Frozen, folder: Path, count: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"verdict": [], "private": []}
    for _ in range(count):
        async with restore.cloned(clone, artefacts=folder, purpose="bench") as world:
            outcome = await consumed_page.run(world)
            if outcome.judgement.verdict is not Verdict.PASS:
                raise RuntimeError(f"a fault ended in {outcome.judgement.verdict}: {folder}")
            found["verdict"].append(outcome.seconds["fault_to_verdict"])
            found["private"].append(world.process.private_mib())
    return found


async def _two_at_a_time(clone: Frozen, folder: Path, count: int) -> None:
    places = [folder / f"lane-{number}" for number in range(2)]
    for place in places:
        place.mkdir(exist_ok=True)
    await asyncio.gather(*(_faults(clone, place, count // 2) for place in places))


@dataclass(frozen=True)
class Benchmark:
    """A measurement, and what docs/SPEC.md promises of its median.

    :param least: the promise is to be at least that, rather than at most.
    """

    measure: Callable[[Path], list[float]]
    limit: float
    least: bool = False

    @property
    def name(self) -> str:
        return self.measure.__name__

    @property
    def what(self) -> str:
        """What is measured, in a sentence."""
        return (self.measure.__doc__ or "").strip().splitlines()[0].removesuffix(".")


BENCHMARKS: Final = (
    Benchmark(clone_ready_s, 0.6),
    Benchmark(fault_to_verdict_s, 1.5),
    Benchmark(clone_private_mib, 80),
    Benchmark(faults_per_minute, 45, least=True),
    Benchmark(cold_boot_s, 45),
    Benchmark(decode_million_esr_s, 5),
    Benchmark(decode_ten_thousand_cper_s, 2),
    Benchmark(first_verdict_s, 180),
    Benchmark(shell_benchmarks.shell_prompt_s, 1),
    Benchmark(shell_benchmarks.shell_plain_prompt_s, 1),
    Benchmark(shell_benchmarks.rewind_s, 0.5),
    Benchmark(lab_benchmarks.lab_connect_s, 1),
    Benchmark(lab_benchmarks.lab_exec_s, 0.2),
    Benchmark(lab_benchmarks.lab_event_s, 0.1),
    Benchmark(lab_benchmarks.lab_world_ready_s, 30),
    Benchmark(lab_benchmarks.lab_fault_to_verdict_s, 1.5),
    Benchmark(lab_benchmarks.lab_over_emulated, 2),
)


def _summary(values: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(values)
    last = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {"n": len(values), "median": round(statistics.median(values), 3), "p95": round(last, 3)}


def main() -> None:
    names = {one.name: one for one in BENCHMARKS}
    parser = argparse.ArgumentParser(prog="ci/bench", description=__doc__)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there as well")
    parser.add_argument("name", nargs="*", help=", ".join(names))
    parser.add_argument("--record", action="store_true", help="keep the figures for docs/SPEC.md")
    arguments = parser.parse_args()
    unknown = set(arguments.name) - set(names)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    figures = {}
    for name in arguments.name or names:
        say(name)
        scratch = Path(tempfile.mkdtemp(prefix="seabus-bench-"))  # kept if the benchmark fails
        figures[name] = _summary(names[name].measure(scratch))
        shutil.rmtree(scratch)
        say(f"{name}: {figures[name]}")
        if arguments.record:
            measured.keep("figures", name, figures[name])
    text = json.dumps(figures, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
