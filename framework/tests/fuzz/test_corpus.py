# SPDX-License-Identifier: Apache-2.0
"""Inputs that the fuzzer found worth keeping: each once took another way through a decoder."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def targets() -> dict[str, Callable[[bytes], None]]:
    spec = importlib.util.spec_from_file_location("targets", HERE / "targets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Callable[[bytes], None]] = module.TARGETS
    return found


@pytest.mark.parametrize("name", sorted(targets()))
def test_the_corpus_and_its_neighbours(name: str) -> None:
    target = targets()[name]
    kept = sorted((HERE / "corpus" / name).iterdir())
    assert len(kept) >= 10
    dice = random.Random(name)
    for path in kept:
        data = path.read_bytes()
        target(data)
        target(data[: dice.randrange(len(data) + 1)])
        if data:
            damaged = bytearray(data)
            damaged[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            target(bytes(damaged))
