# SPDX-License-Identifier: Apache-2.0
"""Linux as the receiver: every fault status written into a running guest, against its table of faults.

The guest is that of the world, under QEMU: the probe makes the VMM's own thread write the vCPU's registers,
while a process of the guest, the victim, is at EL0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seabus.errors import NoVerdictError
from seabus.guest.touch import Touch
from seabus.guest.victim import Victim
from seabus.kvmprobe.probe import Probe
from seabus.matrix.judge import Answer, Status
from seabus.matrix.question import Question
from seabus.observe.events import Recorder
from seabus.observe.witness import TraceWitness
from seabus.world.world import World

#: An address of nobody.
_FAR: Final = 0x10
_FNV: Final = 1 << 10
_IL: Final = 1 << 25
_SIGBUS, _SIGSEGV, _SIGKILL = 7, 11, 9
_FEATURES: Final = 0xF  # FEATURE_* of layout.h: PAN, UAO, DIT, SSBS, which Linux' CPUs here all have


@dataclass(frozen=True, slots=True)
class Fault:
    """What Linux does of a status code: ``signal`` and ``code`` (``None``: it kills the process)."""

    signal: int
    code: int | None = None
    sea: bool = False


_KILL: Final = Fault(_SIGKILL)
_WALK: Final = Fault(_SIGKILL, sea=True)
_UNMAPPED: Final = Fault(_SIGSEGV, 1)  # SEGV_MAPERR: do_page_fault() finds nothing at _FAR
_OBJERR: Final = Fault(_SIGBUS, 3, sea=True)

#: Linux arch/arm64/mm/fault.c, fault_info[]; codes that are not here are do_bad(), SIGKILL.
FAULT_INFO: Final[dict[int, Fault]] = {
    **dict.fromkeys((*range(0x04, 0x10), 0x2B), _UNMAPPED),
    0x10: _OBJERR,
    0x11: Fault(_SIGSEGV, 9),  # SEGV_MTESERR
    **dict.fromkeys((*range(0x13, 0x18), *range(0x1B, 0x20)), _WALK),
    0x18: _OBJERR,
    0x21: Fault(_SIGBUS, 1),  # BUS_ADRALN
    0x35: Fault(_SIGBUS, 3),  # BUS_OBJERR
}
#: Level -2, which later kernels know ("arm64: mm: Handle level -2 faults").
_LATER: Final = {0x12: _WALK, 0x2A: _UNMAPPED}


def linux_questions() -> Iterator[tuple[Question, int]]:
    """Each question, with the ESR_EL1 that is written."""
    for code in range(64):
        yield _question("data", code), _esr(0x24, code)
    for code in sorted({*range(0x10, 0x20), 0x05, 0x0D, 0x21, 0x30, 0x3F}):
        yield _question("instruction", code), _esr(0x20, code)
    for kind, ec in (("data", 0x24), ("instruction", 0x20)):
        yield _question(kind, 0x10, fnv=1), _esr(ec, 0x10) | _FNV


def _question(kind: str, code: int, *, fnv: int = 0) -> Question:
    return Question(group="linux", at={"kind": kind, "status": f"{code:#04x}", "FnV": str(fnv)})


def _esr(ec: int, code: int) -> int:
    return ec << 26 | _IL | code


async def possess(
    world: World, probe: Probe, *, esr: int, far: int = _FAR, mode: int = 0
) -> Mapping[str, int]:
    """Have vCPU 0 of the world's VMM take a synchronous abort to EL1.

    :param mode: PSTATE.M in which the guest must be found.
    :returns: ``pc`` and ``pstate`` of the guest at that moment, and the number of ``tries``.
    :raises UsageError: it was never found there.
    :raises ProbeError: the VMM cannot be traced.
    """
    threads = (await world.l1.request("threads", pid=world.vmm_pid))["threads"]
    tid = next(thread["tid"] for thread in threads if thread["comm"] == "CPU 0/KVM")
    asked = {"pid": world.vmm_pid, "tid": tid, "esr": hex(esr), "far": hex(far), "mode": mode}
    [found] = await probe.ask([{"do": "possess", "features": _FEATURES, **asked}])
    return {"pc": int(found["pc"], 16), "pstate": int(found["pstate"], 16), "tries": found["tries"]}


async def ask_linux(world: World, probe: Probe, *, artefacts: Path) -> list[Answer]:
    """Ask the guest of a world.

    :param artefacts: receives the guest's trace.
    :raises SeabusError: the guest could not be possessed, or a witness fell silent.
    """
    recorder = Recorder()
    witness = TraceWitness("L2", world.l2, recorder, artefacts / "trace-l2-matrix.txt")
    async with witness.watching():
        return [
            await _ask(world, probe, question, esr, recorder, witness) for question, esr in linux_questions()
        ]


async def _ask(
    world: World,
    probe: Probe,
    question: Question,
    esr: int,
    recorder: Recorder,
    witness: TraceWitness,
) -> Answer:
    victim = await Victim.make(world.l2)
    start = len(recorder.events)
    async with victim.looping(op="read") as loop:
        found = await possess(world, probe, esr=esr)
        touched = await loop.ended()
    await victim.end()
    await witness.caught_up()
    events = recorder.events[start:]
    if lost := [event.text for event in events if event.kind == "lost"]:
        raise NoVerdictError(f"the guest's trace is not whole: {lost[0]}", hint="ask again")
    seas = [(event.fields["esr"], event.fields["far"]) for event in events if event.kind == "sea"]
    trouble = [event.text for event in events if event.kind == "trouble"]
    seen = {"outcome": _outcome(touched, found["pc"]), "do_sea": seas, "trouble": trouble}
    code = esr & 0x3F
    choices = [FAULT_INFO.get(code, _KILL), *([_LATER[code]] if code in _LATER else [])]
    wanted = [_wanted(fault, esr) for fault in choices]
    if seen in wanted:
        return Answer(question=question, status=Status.AGREED, reason="", seen=seen)
    differences = {name: (wanted[0][name], seen[name]) for name in seen if wanted[0][name] != seen[name]}
    reason = "; ".join(f"{name}: {was}, not {should}" for name, (should, was) in differences.items())
    return Answer(
        question=question, status=Status.UNEXPLAINED, reason=reason, seen=seen, differences=differences
    )


def _wanted(fault: Fault, esr: int) -> dict[str, Any]:
    address = 0 if fault.sea and esr & _FNV else _FAR
    outcome = f"signal {fault.signal}"
    if fault.code is not None:
        outcome += f", code {fault.code}, address {address:#x}, at the possessed PC"
    return {"outcome": outcome, "do_sea": [(esr, _FAR)] if fault.sea else [], "trouble": []}


def _outcome(touched: Touch, pc: int) -> str:
    if touched.died is not None:
        return f"signal {touched.died.get('signal')}"
    signal = touched.signal
    if signal is None:
        return f"nothing: {touched.outcome}"
    where = "at the possessed PC" if signal.pc == pc else f"at {signal.pc:#x}, possessed at {pc:#x}"
    return f"signal {signal.signo}, code {signal.code}, address {signal.address:#x}, {where}"
