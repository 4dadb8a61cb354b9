# SPDX-License-Identifier: Apache-2.0
"""Every PSTATE an abort may be taken from, and what SCTLR_EL1 has to say about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from seabus.arch.exception_entry import DAIF, DIT, PAN, SSBS, UAO
from seabus.arch.expected_abort import KvmInjection
from seabus.kvmprobe.vm import SCTLR_DSSBS, SCTLR_SPAN, Vm
from seabus.matrix.aborts import abort_question
from seabus.matrix.places import BAD, ORIGINS, Bad, Place
from seabus.matrix.question import Question

#: A page for each path.
_WHERE: Final[dict[str, Bad]] = {"events": "hole", "registers": "hole", "cpu": "nobody"}


def pstates(vm: Vm, kvm: KvmInjection) -> Iterator[Question]:
    """NZCV, DAIF, and PAN, UAO, DIT, SSBS with SPAN and DSSBS: each in all its values."""
    for origin in ORIGINS:
        for path, bad in _WHERE.items():
            place = Place(origin=origin, access="ldr", bad=bad, address=BAD[bad])
            for pstate, sctlr in dict.fromkeys(_patterns()):
                yield abort_question(
                    vm,
                    kvm,
                    place,
                    path,
                    pstate=pstate,
                    sctlr=sctlr,
                    group="pstate",
                    more={"pstate": f"{pstate:#x}", "sctlr": f"{sctlr:#x}"},
                )


def _patterns() -> Iterator[tuple[int, int]]:
    for nzcv in range(16):
        yield nzcv << 28 | DAIF, 0
    for daif in range(16):
        yield daif << 6, 0
    for sctlr in (0, SCTLR_SPAN, SCTLR_DSSBS, SCTLR_SPAN | SCTLR_DSSBS):
        for chosen in range(16):
            fields = (PAN, UAO, DIT, SSBS)
            yield sum(bit for n, bit in enumerate(fields) if chosen >> n & 1) | DAIF, sctlr
