# SPDX-License-Identifier: Apache-2.0
"""An access at a place: which page it meets, through which tables, from where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from seabus.arch.addresses import GuestVirtual
from seabus.arch.exception_entry import PSTATE_MODES
from seabus.arch.expected_abort import Abort, Access, Origin
from seabus.kvmprobe import layout
from seabus.kvmprobe.vm import Vm

#: What is wrong with the page: KVM has no slot for it, it is poisoned, or no device answers.
Bad = Literal["hole", "poison", "nobody"]

BAD: Final[dict[Bad, int]] = {
    "hole": int(layout.HOLE),
    "poison": int(layout.POISON),
    "nobody": int(layout.NOBODY),
}
ORIGINS: Final = tuple(PSTATE_MODES)
ORIGIN_NAMES: Final = {Origin.EL0: "EL0", Origin.EL1T: "EL1t", Origin.EL1H: "EL1h"}
ACCESS_KINDS: Final = {
    "ldr": Access.LOAD,
    "str": Access.STORE,
    "ldp": Access.LOAD,
    "stp": Access.STORE,
    "ldadd": Access.ATOMIC,
    "ldxr": Access.LOAD,
    "fetch": Access.FETCH,
}
#: Those that KVM can emulate, so that they come to the VMM as KVM_EXIT_MMIO.
EMULATED: Final = frozenset({"ldr", "str"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an access goes.

    :param regime: index into the VM's; ``None``: the MMU is off.
    :param level: of the translation table that is the bad page; ``None``: the access itself meets it.
    """

    origin: Origin
    access: str
    bad: Bad
    address: int
    regime: int | None = None
    granule: str = "off"
    level: int | None = None

    @property
    def pc(self) -> int:
        """The preferred return address of an abort, guest-virtual."""
        return self.address if self.access == "fetch" else layout.address_of(self.access)

    @property
    def emulated(self) -> bool:
        """Whether KVM hands the access to the VMM as an MMIO, if there is no slot."""
        return self.access in EMULATED and self.level is None

    def abort(self, *, ras: bool = True, ease: bool = False, far_valid: bool = True) -> Abort:
        """As the architecture sees it."""
        return Abort(
            self.origin,
            ACCESS_KINDS[self.access],
            GuestVirtual(self.address),
            walk_level=self.level,
            ras=ras,
            ease=ease,
            far_valid=far_valid,
        )

    def at(self, path: str) -> dict[str, str]:
        """Coordinates."""
        return {
            "origin": ORIGIN_NAMES[self.origin],
            "access": self.access,
            "place": "access" if self.level is None else f"walk {self.level}",
            "granule": self.granule,
            "page": self.bad,
            "path": path,
        }


def places(vm: Vm) -> Iterator[Place]:
    """Every place that this VM offers, with each access that makes sense there."""
    for origin in ORIGINS:
        for bad, address in BAD.items():
            for access in _off():
                yield Place(origin=origin, access=access, bad=bad, address=address)
    names = {address: bad for bad, address in BAD.items()}
    for index, regime in enumerate(vm.regimes):
        bad = names[regime.bad]
        for origin in ORIGINS:
            leaf = regime.leaf_el0 if origin is Origin.EL0 else regime.leaf_el1
            for access in ACCESS_KINDS:
                if access != "ldadd" or vm.lse:
                    yield Place(
                        origin=origin,
                        access=access,
                        bad=bad,
                        address=leaf,
                        regime=index,
                        granule=regime.granule,
                    )
            for level, address in regime.walk.items():
                for access in ("ldr", "str", "fetch"):
                    yield Place(
                        origin=origin,
                        access=access,
                        bad=bad,
                        address=address,
                        regime=index,
                        granule=regime.granule,
                        level=level,
                    )


def _off() -> Iterator[str]:
    # With the MMU off memory is Device-nGnRnE, where atomic and exclusive accesses may be refused.
    return (access for access in ACCESS_KINDS if access not in ("ldadd", "ldxr"))
