# SPDX-License-Identifier: Apache-2.0
"""A cell and its result (``docs/reference/kvmprobe-protocol.md``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

#: How an abort gets into the vCPU.
Path = Literal["nothing", "events", "registers", "serror", "both", "relay"]

# Linux include/uapi/linux/kvm.h.
KVM_EXIT_MMIO: Final = 6
KVM_EXIT_ARM_NISV: Final = 28
KVM_EXIT_ARM_SEA: Final = 41


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One access and one injection.

    :param access: a name of :data:`seabus.kvmprobe.layout.ACCESSES`.
    :param address: of the access, guest-virtual.
    :param pstate: of the access; its mode is the origin.
    :param regime: index into :attr:`seabus.kvmprobe.vm.Vm.regimes`; ``None``: the MMU is off.
    :param esr: ESR_EL1 to be written, or the ISS of an SError.
    :param far: FAR_EL1 to be written; ``None`` leaves it alone.
    :param to_el2: the virtual EL2 takes what ``registers`` puts in; ``hcr``: bits of its HCR_EL2.
    :param set_: more registers, by name.
    """

    access: str
    address: int = 0
    pstate: int = 0x3C5
    path: Path = "nothing"
    vcpu: int = 0
    regime: int | None = None
    esr: int | None = None
    far: int | None = None
    serror_vector: bool = False
    before: bool = False
    again: bool = False
    careless: bool = False
    serial: bool = False
    keep: bool = False
    to_el2: bool = False
    sctlr: int = 0
    hcr: int = 0
    set_: Mapping[str, int] = field(default_factory=dict)

    def request(self, number: int) -> dict[str, Any]:
        """As it is sent; what is as usual is left out."""
        asked: dict[str, Any] = {
            "n": number,
            "access": self.access,
            "address": hex(self.address),
            "pstate": hex(self.pstate),
            "path": self.path,
        }
        for name in ("esr", "far"):
            if (value := getattr(self, name)) is not None:
                asked[name] = hex(value)
        for name in ("sctlr", "hcr"):
            if value := getattr(self, name):
                asked[name] = hex(value)
        for name in ("serror_vector", "before", "again", "careless", "serial", "keep", "to_el2"):
            if getattr(self, name):
                asked[name] = True
        if self.vcpu:
            asked["vcpu"] = self.vcpu
        if self.regime is not None:
            asked["regime"] = self.regime
        if self.set_:
            asked["set"] = {name: hex(value) for name, value in self.set_.items()}
        return asked


@dataclass(frozen=True, slots=True, kw_only=True)
class BusError:
    """A SIGBUS in the probe. ``address`` is the probe's; ``vcpu``: its thread was running a vCPU."""

    code: int
    address: int
    lsb: int
    tid: int
    vcpu: bool

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """As the probe tells it."""
        return cls(
            code=told["code"],
            address=int(told["address"], 16),
            lsb=told["lsb"],
            tid=told["tid"],
            vcpu=told["vcpu"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """KVM_RUN returned. ``reason`` is KVM_EXIT_*, or the errno of a failure, negative."""

    reason: int
    address: int | None = None
    write: bool | None = None
    esr: int | None = None
    gva: int | None = None
    flags: int = 0
    sigbus: BusError | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """As the probe tells it."""
        return cls(
            reason=told["reason"],
            address=_hex(told.get("address")),
            write=told.get("write"),
            esr=_hex(told.get("esr")),
            gva=_hex(told.get("gva")),
            flags=told.get("flags", 0),
            sigbus=BusError.of(told["sigbus"]) if "sigbus" in told else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the payload's vectors found.

    :param vector: offset from VBAR_EL1.
    :param pstate: the handler's own, as far as it can be read.
    :param changed: X registers that are not what they were at the access, and what they are.
    """

    vector: int
    esr: int
    far: int
    elr: int
    spsr: int
    pstate: int
    disr: int
    isr: int
    changed: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """As the probe tells it."""
        names = ("vector", "esr", "far", "elr", "spsr", "pstate", "disr", "isr")
        changed = {name: int(value, 16) for name, value in told["changed"].items()}
        return cls(**{name: int(told[name], 16) for name in names}, changed=changed)

    def serial(self) -> str:
        """What the payload's serial line says of it."""
        return f"V{self.vector:x}E{self.esr:x}F{self.far:x}L{self.elr:x}S{self.spsr:x}P{self.pstate:x}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a cell.

    :param taken: how many exceptions the payload took; ``records`` has the first four.
    :param pending: an SError was left over.
    :param failed: the step that KVM refused, with ``errno``.
    :param state: all registers of a vCPU that did not report.
    """

    number: int
    taken: int
    exits: tuple[Exit, ...] = ()
    records: tuple[Record, ...] = ()
    serial: str | None = None
    pending: bool = False
    stuck: bool = False
    failed: str | None = None
    errno: int | None = None
    state: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """As the probe tells it."""
        return cls(
            number=told["n"],
            taken=told["taken"],
            exits=tuple(map(Exit.of, told["exits"])),
            records=tuple(map(Record.of, told["records"])),
            serial=told.get("serial"),
            pending=told.get("pending", False),
            stuck=told.get("stuck", False),
            failed=told.get("failed"),
            errno=told.get("errno"),
            state={name: int(value, 16) for name, value in told.get("state", {}).items()},
        )


def _hex(text: str | None) -> int | None:
    return None if text is None else int(text, 16)
