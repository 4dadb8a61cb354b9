# SPDX-License-Identifier: Apache-2.0
"""What KVM logs about itself and its guests.

>>> message = parse_kvm("kvm [812]: Unsupported FSC: EC=0x24 xFSC=0x10 ESR_EL2=0x92000010")
>>> message.pid, hex(message.esr)
(812, '0x92000010')
"""

import re
from dataclasses import dataclass

__all__ = ["KvmMessage", "parse_kvm"]

_KVM = re.compile(r"(?:kvm \[(?P<pid>\d{1,10})\]|kvm|KVM): (?P<text>.*)")
# handle_exit.c "esr: 0x...", mmu.c "ESR_EL2=0x...".
_ESR = re.compile(r"(?:\besr: |\bESR_EL2=)0x(?P<esr>[0-9a-f]{1,16})")
_HYP = re.compile(r"nVHE hyp (?:BUG|panic|CFI failure) at|Invalid host exception to nVHE hyp|HYP panic")


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmMessage:
    """One line of KVM. ``pid`` is the task it ran in, or for some lines its process; ``esr`` ESR_EL2.

    Source: Linux include/linux/kvm_host.h ``kvm_err()``; arch/arm64/kvm/mmu.c, handle_exit.c, mmio.c.
    """

    text: str
    pid: int | None = None
    esr: int | None = None

    @property
    def hypervisor_died(self) -> bool:
        """Whether the code at EL2 itself failed; the host's panic follows."""
        return _HYP.match(self.text) is not None


def parse_kvm(message: str) -> KvmMessage | None:
    """Read a message that begins with ``kvm [pid]:``, ``kvm:`` or ``KVM:``; ``None`` for any other."""
    match = _KVM.fullmatch(message)
    if match is None:
        return None
    esr = _ESR.search(match["text"])
    return KvmMessage(
        text=match["text"],
        pid=int(match["pid"]) if match["pid"] else None,
        esr=int(esr["esr"], 16) if esr else None,
    )
