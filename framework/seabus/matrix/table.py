# SPDX-License-Identifier: Apache-2.0
"""The whole matrix, for a VM as it turned out to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from seabus.arch.expected_abort import KvmInjection
from seabus.errors import UsageError
from seabus.kvmprobe.vm import Vm
from seabus.matrix.aborts import aborts
from seabus.matrix.pstates import pstates
from seabus.matrix.question import Question
from seabus.matrix.reactions import reactions
from seabus.matrix.serrors import serrors
from seabus.matrix.syndromes import syndromes

_MAKERS: Final[Mapping[tuple[str, ...], Callable[[Vm, KvmInjection], Iterable[Question]]]] = {
    ("access", "walk"): aborts,
    ("pstate",): pstates,
    ("syndrome",): lambda vm, _: syndromes(vm),
    ("serror",): lambda vm, _: serrors(vm),
    ("reaction", "ease"): reactions,
}
#: The parts of the matrix, in the order they are asked.
GROUPS: Final = tuple(group for groups in _MAKERS for group in groups)


def questions(vm: Vm, kvm: KvmInjection, groups: Iterable[str] = GROUPS) -> Iterator[Question]:
    """The questions of these groups.

    :param vm: as made with the pages of :data:`seabus.matrix.places.BAD`.
    :param kvm: what the host's KVM can do.
    :raises UsageError: there is no such group.
    """
    wanted = set(groups)
    if unknown := wanted - set(GROUPS):
        raise UsageError(f"the matrix has no group {min(unknown)!r}", hint=f"one of {', '.join(GROUPS)}")
    for members, maker in _MAKERS.items():
        if wanted & set(members):
            yield from (question for question in maker(vm, kvm) if question.group in wanted)
