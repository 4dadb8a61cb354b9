# SPDX-License-Identifier: Apache-2.0
"""The VM of the matrix as the probe described it (Linux 7.3.4 under QEMU 11.1.3), and its questions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seabus.arch.expected_abort import KvmInjection
from seabus.kvmprobe.vm import Vm
from seabus.matrix.question import Question
from seabus.matrix.table import questions


@pytest.fixture(scope="session")
def vm() -> Vm:
    return Vm.of(json.loads(Path(__file__).with_name("vm.json").read_text()))


@pytest.fixture(scope="session")
def table(vm: Vm) -> list[Question]:
    return list(questions(vm, KvmInjection()))
