# SPDX-License-Identifier: Apache-2.0
"""The requests that the fuzzer kept, read again by the agent's own reader under the sanitizers."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
AGENT = HERE.parents[2] / "images" / "agent"
READERS = ("request", "json", "base64", "text", "reply", "victim_plan", "victim_order", "op")
CORPUS = sorted((HERE / "corpus" / "requests").iterdir())


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The harness that libFuzzer drives, compiled to read files."""
    program = tmp_path_factory.mktemp("reader") / "requests"
    sources = [HERE / "requests.c", *(AGENT / f"{name}.c" for name in READERS)]
    flags = [
        "-g",
        "-DREPLAY",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        "-Wall",
        "-Werror",
    ]
    subprocess.run(["cc", *flags, "-I", AGENT, "-o", program, *sources], check=True)
    return program


def test_the_corpus_and_its_neighbours(reader: Path, tmp_path: Path) -> None:
    assert len(CORPUS) >= 10
    dice = random.Random(8)
    for path in CORPUS:
        damaged = bytearray(path.read_bytes())
        if damaged:
            damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        (tmp_path / f"{path.name}.damaged").write_bytes(damaged)
        (tmp_path / f"{path.name}.cut").write_bytes(damaged[: dice.randrange(len(damaged) + 1)])
    read = subprocess.run(
        [reader, *CORPUS, *tmp_path.iterdir()], capture_output=True, text=True, errors="replace", check=False
    )
    assert read.returncode == 0, read.stderr
