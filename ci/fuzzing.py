# SPDX-License-Identifier: Apache-2.0
"""The fuzzing behind ``ci/fuzz``: each decoder in a process of its own, driven by what code it reaches;
``requests`` is what the agent reads, in C, under the sanitizers.

A crash, an input that takes twenty seconds, or 64 MiB of memory more than at the start ends it with
status 1, and the input is kept.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measured

_ROOT = Path(__file__).resolve().parents[1]
#: How libFuzzer calls the inputs that something went wrong with.
_ARTEFACTS = ("crash-", "timeout-", "oom-", "leak-")
_TESTS = _ROOT / "framework" / "tests" / "fuzz"
_CORPUS = _TESTS / "corpus"
_MOST_MIB = 64
_SECONDS_AN_INPUT = 20
_LENGTHS = {"frame": 6144}  # a signal frame is that long
_REQUESTS = "requests"
_AGENT = _ROOT / "images" / "agent"
_READERS = ("request", "json", "base64", "text", "reply", "victim_plan", "victim_order", "op")
_KEEP = 250  # a corpus is read by people and by every test run


def _names() -> list[str]:
    sys.path.insert(0, str(_TESTS))
    from targets import TARGETS

    return sorted([*TARGETS, _REQUESTS])


def _drive(name: str, folder: str, runs: int, seed: int) -> None:
    """The child: never returns."""
    import atheris

    sys.path.insert(0, str(_TESTS))
    with atheris.instrument_imports(
        include=["seabus.arch", "seabus.channel", "seabus.guest", "seabus.machine.console"]
    ):
        from targets import TARGETS

    target = TARGETS[name]
    state = {"calls": 0, "start": 0}

    def one(data: bytes) -> None:
        target(data)
        state["calls"] += 1
        if state["calls"] == 5000:  # caches and coverage tables have settled
            state["start"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        elif state["start"] and state["calls"] % 5000 == 0:
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - state["start"]) >> 10
            if grown > _MOST_MIB:
                raise MemoryError(f"{grown} MiB more than at the start")

    atheris.Setup([name, *_words(name, folder, runs, seed)], one)
    atheris.Fuzz()


def _words(name: str, folder: str, runs: int, seed: int) -> list[str]:
    """libFuzzer's arguments."""
    return [
        f"-runs={runs}",
        f"-seed={seed}",
        f"-max_len={_LENGTHS.get(name, 2048)}",
        f"-timeout={_SECONDS_AN_INPUT}",
        "-print_final_stats=1",
        f"-artifact_prefix={folder}/",
        folder,
        str(_CORPUS / name),
    ]


def _requests(folder: Path) -> str:
    """The agent's reader of requests, compiled for libFuzzer."""
    program = folder / "requests"
    sources = [_TESTS / "requests.c", *(_AGENT / f"{name}.c" for name in _READERS)]
    flags = ["-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    try:
        subprocess.run(["clang", *flags, "-I", _AGENT, "-o", program, *sources], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"seabus: {_REQUESTS} cannot be compiled: {error}\n  try: install clang and its compiler-rt")
    return str(program)


def _run(name: str, runs: int, seed: int) -> dict[str, object]:
    (_CORPUS / name).mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=f"seabus-fuzz-{name}-") as folder,
        tempfile.TemporaryDirectory(prefix="seabus-fuzz-program-") as programs,
    ):
        command = [sys.executable, __file__, "--drive", name, folder, str(runs), str(seed)]
        if name == _REQUESTS:
            command = [_requests(Path(programs)), *_words(name, folder, runs, seed)]
        started = time.monotonic()
        child = subprocess.run(
            command,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
        )
        seconds = time.monotonic() - started
        found = [path for path in Path(folder).iterdir() if path.name.startswith(_ARTEFACTS)]
        for path in found:
            path.rename(_ROOT / path.name)
        if not found and child.returncode == 0:
            _keep(name, Path(folder))
    stats = dict(
        line.removeprefix("stat::").split(":", 1)
        for line in child.stderr.splitlines()
        if line.startswith("stat::")
    )
    if child.returncode:
        sys.stderr.write(child.stderr[-3000:])
    return {
        "runs": int(stats.get("number_of_executed_units", "0")),
        "seconds": round(seconds, 1),
        "peak_mib": int(stats.get("peak_rss_mb", "0")),
        "ok": child.returncode == 0,
        "kept": len(list((_CORPUS / name).iterdir())),
        "found": [path.name for path in found],
    }


def _keep(name: str, folder: Path) -> None:
    """The smallest inputs that reach all that was reached, up to a number."""
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_size)[:_KEEP]:
        target = _CORPUS / name / path.name
        if len(list((_CORPUS / name).iterdir())) < _KEEP and not target.exists():
            target.write_bytes(path.read_bytes())


def main() -> int:
    if sys.argv[1:2] == ["--drive"]:
        _drive(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
        return 0
    names = _names()
    parser = argparse.ArgumentParser(prog="ci/fuzz", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000, help="inputs a target [1000000]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--record", action="store_true", help="keep what came of it for docs/SPEC.md")
    parser.add_argument("target", nargs="*", help=", ".join(names))
    options = parser.parse_args()
    if unknown := set(options.target) - set(names):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    found = {}
    for name in options.target or names:
        print(f"[fuzz] {name}: {options.runs} inputs", file=sys.stderr, flush=True)
        found[name] = _run(name, options.runs, options.seed)
        print(f"[fuzz] {name}: {found[name]}", file=sys.stderr, flush=True)
        if options.record:
            measured.keep("fuzz", name, {**found[name], "seed": options.seed})
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return 0 if all(one["ok"] for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
