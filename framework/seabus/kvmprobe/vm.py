# SPDX-License-Identifier: Apache-2.0
"""The probe's VM: what it is to be made of, and what it turned out to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from seabus.arch.exception_entry import EntryRules

#: What a slot's memory is (``docs/reference/kvmprobe-protocol.md``).
Backing = Literal["anon", "thp", "hugetlb-2M", "hugetlb-1G", "memfd", "memfd-2M", "physical"]

SCTLR_SPAN: Final = 1 << 23
SCTLR_DSSBS: Final = 1 << 44


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Memory of the guest at ``address``, guest-physical; ``physical`` is host-physical, of /dev/mem."""

    address: int
    size: int
    backing: Backing = "anon"
    physical: int = 0

    def request(self) -> dict[str, Any]:
        """As it is sent."""
        asked = {"address": hex(self.address), "size": self.size, "backing": self.backing}
        return asked | ({"physical": hex(self.physical)} if self.physical else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """A regime of translation.

    :param granule: "4k", "4k-52" (52-bit addresses, FEAT_LPA2), "16k" or "64k".
    :param bad: guest-physical address of the page that all of this leads to.
    :param leaf_el1, leaf_el0: guest-virtual addresses of that page, for EL1 alone and for both.
    :param walk: level to a guest-virtual address whose table of that level is that page.
    """

    granule: str
    bad: int
    leaf_el1: int
    leaf_el0: int
    walk: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotFound:
    """A slot as it was made: ``host`` is an address of the probe, ``huge`` counts bytes on huge pages."""

    address: int
    host: int
    physical: int
    huge: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vm:
    """The VM that was made."""

    slots: tuple[SlotFound, ...]
    regimes: tuple[Regime, ...]
    registers: Mapping[str, int]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """As the probe tells it."""
        return cls(
            slots=tuple(
                SlotFound(
                    address=int(slot["address"], 16),
                    host=int(slot["host"], 16),
                    physical=int(slot["physical"], 16),
                    huge=slot["huge"],
                )
                for slot in told["slots"]
            ),
            regimes=tuple(map(_regime, told["regimes"])),
            registers={name: int(value, 16) for name, value in told["registers"].items()},
        )

    def _field(self, register: str, low: int) -> int:
        return self.registers.get(register, 0) >> low & 0xF

    # Arm ARM DDI 0487, D24.2: ID_AA64PFR0_EL1, ID_AA64PFR1_EL1, ID_AA64MMFR1_EL1, ID_AA64MMFR3_EL1,
    # ID_AA64ISAR0_EL1.

    @property
    def ras(self) -> bool:
        """FEAT_RAS."""
        return self._field("id_aa64pfr0_el1", 28) > 0

    @property
    def lse(self) -> bool:
        """FEAT_LSE."""
        return self._field("id_aa64isar0_el1", 20) >= 2

    @property
    def double_fault_2(self) -> bool:
        """FEAT_DoubleFault2, which has SCTLR2_EL1.EASE and NMEA."""
        return self._field("id_aa64pfr1_el1", 56) > 0

    @property
    def sctlr2(self) -> bool:
        """FEAT_SCTLR2."""
        return self._field("id_aa64mmfr3_el1", 0) > 0

    def pstate_fields(self) -> int:
        """Those bits of PSTATE beside NZCV and DAIF that this guest has, among PAN, UAO, DIT and SSBS."""
        return (
            (self._field("id_aa64mmfr1_el1", 20) > 0) << 22
            | (self._field("id_aa64mmfr2_el1", 4) > 0) << 23
            | (self._field("id_aa64pfr0_el1", 48) > 0) << 24
            | (self._field("id_aa64pfr1_el1", 4) >= 2) << 12
        )

    def entry_rules(self, sctlr: int = 0) -> EntryRules:
        """What decides about PSTATE.

        :param sctlr: the bits of SCTLR_EL1 that a cell inverts; else SPAN is 1 and DSSBS 0.
        """
        return EntryRules(
            pan=self._field("id_aa64mmfr1_el1", 20) > 0,
            ssbs=self._field("id_aa64pfr1_el1", 4) >= 2,
            mte=self._field("id_aa64pfr1_el1", 8) >= 2,
            span=not sctlr & SCTLR_SPAN,
            dssbs=bool(sctlr & SCTLR_DSSBS),
        )


def vm_request(
    payload: str,
    *,
    vcpus: int = 1,
    slots: Sequence[Slot] = (),
    bad: Sequence[int] = (),
    nisv: bool = True,
    gic: bool = False,
    el2: bool = False,
) -> dict[str, Any]:
    """The request that makes a VM.

    :param bad: guest-physical addresses that the regimes lead to.
    :param nisv: accesses that KVM cannot emulate come to the VMM (KVM_CAP_ARM_NISV_TO_USER).
    """
    return {
        "do": "vm",
        "payload": payload,
        "vcpus": vcpus,
        "slots": [slot.request() for slot in slots],
        "bad": [hex(address) for address in bad],
        "nisv": nisv,
        "gic": gic,
        "el2": el2,
    }


def _regime(told: Mapping[str, Any]) -> Regime:
    return Regime(
        granule=told["granule"],
        bad=int(told["bad"], 16),
        leaf_el1=int(told["leaf_el1"], 16),
        leaf_el0=int(told["leaf_el0"], 16),
        walk={int(level): int(address, 16) for level, address in told["walk"].items()},
    )
