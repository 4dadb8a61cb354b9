# SPDX-License-Identifier: Apache-2.0
"""Two protocols against whoever does not keep to them: leases of lab hosts, and our agent's."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from seabus.errors import ChannelError
from soaks.row import Row, Trial
from tests.agent.conftest import HARMLESS, REPORTS, build
from tests.agent.test_agent_fuzz import mutate, requests
from tests.unit.lab.test_lease import Leases
from tests.unit.lab.test_record_files import Files

#: Of a trial; so a hundred trials are 10^5 steps, and 10^6 lines.
_STEPS: Final = 1000
_LINES: Final = 10_000
_ANSWER_S: Final = 60.0
#: The rules by themselves, and with the files and locks that records are kept in.
_MACHINES: Final[dict[str, Any]] = {"rules": Leases, "files": Files}


async def _leases(trial: Trial) -> str:
    """People acquire, die, come late and break things, by a clock that only the trial moves."""
    rules = settings(
        max_examples=_STEPS // 50,
        stateful_step_count=50,
        deadline=None,
        database=None,
        phases=[Phase.generate],
    )
    machine = seed(trial.dice.getrandbits(32))(_MACHINES[trial.kind])
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            await asyncio.to_thread(run_state_machine_as_test, machine, settings=rules)
    except AssertionError as error:
        return f"{error} {said.getvalue()[-1000:]}"
    return ""


@contextlib.asynccontextmanager
async def _an_agent(folder: Path) -> AsyncIterator[Path]:
    """The agent, compiled for this machine with the sanitizers."""
    yield await asyncio.to_thread(build, folder / "seabus-agent")


async def _garbage(trial: Trial) -> str:
    """Requests with bytes changed, dropped and doubled; then the agent must answer a right one."""
    (trial.folder / "file").write_bytes(b"content")
    errors = trial.folder / "stderr"
    with errors.open("wb") as stderr:
        agent = await asyncio.create_subprocess_exec(
            *(*HARMLESS, trial.shared, "--stdio"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "LSAN_OPTIONS": "exitcode=66"},
            limit=8 << 20,
        )
    assert agent.stdin is not None
    try:
        await _shout(agent, trial.dice, trial.folder)
        agent.stdin.close()
        await asyncio.wait_for(agent.communicate(), _ANSWER_S)
    finally:
        if agent.returncode is None:
            agent.kill()
    said = errors.read_text(errors="replace")
    if agent.returncode or any(report in said for report in REPORTS):
        return f"exit status {agent.returncode}: {said[-1000:]}"
    return ""


async def _shout(agent: asyncio.subprocess.Process, dice: random.Random, folder: Path) -> None:
    assert agent.stdin is not None
    assert agent.stdout is not None
    valid = requests(folder)
    for sent in range(0, _LINES, 100):
        batch = [mutate(dice, dice.choice(valid)) for _ in range(100)]
        marker = 1_000_000 + sent
        agent.stdin.write(b"\n".join(batch) + b'\n{"id":%d,"do":"hello"}\n' % marker)
        answer = b""
        while b'"id":%d,' % marker not in answer:
            answer = await asyncio.wait_for(agent.stdout.readline(), _ANSWER_S)
            if not answer:
                raise ChannelError("the agent ended before its requests did")


ROWS: Final = (
    Row(
        name="leases",
        promise="in 1000 steps of a fake time no lab host is held twice, broken unseen, or freed by another, "
        "though some be killed as they write it down",
        kinds=tuple(_MACHINES),
        each=100,
        trial=_leases,
    ),
    Row(
        name="agent",
        promise="of 10 000 damaged requests none stops the agent, or moves a sanitizer",
        each=100,
        trial=_garbage,
        shares=_an_agent,
    ),
)
