# SPDX-License-Identifier: Apache-2.0
"""Another VMM's vCPU possessed: Linux in the guest gets an ESR that its VMM never chose."""

from __future__ import annotations

import pytest

from seabus.errors import ProbeError, UsageError
from seabus.images import kvmprobe
from seabus.images.store import Store
from seabus.kvmprobe.probe import Probe
from seabus.matrix import linux_guest
from seabus.matrix.judge import Status
from seabus.matrix.linux_guest import FAULT_INFO, Fault, ask_linux
from seabus.observe.events import Recorder
from seabus.observe.witness import TraceWitness
from seabus.plugin import Worlds
from seabus.world.world import World

pytestmark = pytest.mark.emulated

EL1H = 0x5
_CHOSEN = {"0x10", "0x14", "0x18", "0x1f", "0x21", "0x3f"}


def test_linux_does_what_its_table_says(seabus_worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [
        (question, esr)
        for question, esr in linux_guest.linux_questions()
        if question.at["kind"] == "data" and question.at["status"] in _CHOSEN
    ]
    monkeypatch.setattr(linux_guest, "linux_questions", lambda: iter(asked))
    # A lie in the table must be found.
    monkeypatch.setitem(FAULT_INFO, 0x21, Fault(7, 2))

    async def play(world: World) -> None:
        probe = await Probe.push(world.l1, kvmprobe.get(Store(), say=lambda _: None))
        answers = await ask_linux(world, probe, artefacts=seabus_worlds.artefacts)
        assert len(answers) == len(_CHOSEN) + 1
        found = {answer.question.at["status"] for answer in answers if answer.status is not Status.AGREED}
        assert found == {"0x21"}, [answer.reason for answer in answers]
        assert (await world.l1.request("alive", pid=world.vmm_pid))["alive"]
        nobody = {"do": "possess", "pid": world.vmm_pid, "tid": world.vmm_pid, "vcpu": 7, "esr": 0}
        with pytest.raises(UsageError, match="has no vcpu 7"):
            await probe.ask([nobody])
        with pytest.raises(ProbeError, match="PTRACE_SEIZE"):
            await probe.ask([{"do": "possess", "pid": world.vmm_pid, "tid": 999999, "esr": 0}])

    seabus_worlds.run(play)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0x10, "Internal error: synchronous external abort: 0000000096000010"),
        (0x14, "Internal error: level 0 (translation table walk): 0000000096000014"),
        (0x18, "Internal error: synchronous parity or ECC error: 0000000096000018"),
        (0x3F, "Internal error: Oops: 000000009600003f"),
    ],
)
def test_linux_oopses_in_kernel_mode(seabus_worlds: Worlds, code: int, words: str) -> None:
    """What it prints names the entry of its table."""

    async def play(world: World) -> None:
        probe = await Probe.push(world.l1, kvmprobe.get(Store(), say=lambda _: None))
        recorder = Recorder()
        async with TraceWitness("L2", world.l2, recorder, seabus_worlds.artefacts / "trace").watching():
            await world.l2.spawn("dd", "if=/dev/zero", "of=/dev/null", output="/dev/null")
            found = await linux_guest.possess(world, probe, esr=0x9600_0000 | code, mode=EL1H)
            assert found["pstate"] & 0xF == EL1H
            # The guest tells it all over its console first, each character of which costs two traps.
            await recorder.until(
                lambda event: event.kind == "trouble" and words in event.text, within=60, what="the oops"
            )

    seabus_worlds.run(play)
