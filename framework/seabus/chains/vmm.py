# SPDX-License-Identifier: Apache-2.0
"""What becomes of the VMM itself: it gives up, or says that it will not do what it was asked."""

from __future__ import annotations

from typing import Final

from seabus.chains import host
from seabus.judge.expectation import Expectation, Link

GIVES_UP: Final = Link(
    name="vmm-gives-up",
    level="L1",
    witness="process",
    kind="ended",
    promise="a VMM that cannot tell its guest of an error must not let it run on (QEMU target/arm/kvm.c"
    " kvm_arch_on_sigbus_vcpu())",
)


def gives_up(words: str) -> Expectation:
    """The VMM ends by its own will, after a vCPU was stopped.

    :param words: the last line it wrote.
    """
    return GIVES_UP(after=(host.VCPU_STOPPED,), who="VMM", words=words)
