# SPDX-License-Identifier: Apache-2.0
"""What a guest's EL1 must find in its registers after an abort, by who made it.

Hardware reports what happened; those who fake an abort report what they know, or what they care to.
Describe the abort, name the maker, compare with what the guest saw:

>>> load = Abort(Origin.EL0, Access.LOAD, GuestVirtual(0xFFFF_8000_1040))
>>> predict_abort(load, Injector.QEMU).esr
Esr(0x92000410)
>>> seen = predict_abort(load, Injector.HARDWARE)
>>> seen.esr, seen.far.value, hex(seen.vector)
(Esr(0x92000010), GuestVirtual(0xffff80001040), '0x400')

The subject is a guest: EL1 using AArch64, under a hypervisor with stage 2. Its aborts are stage 1
or external ones, so ISV is 0, VNCR does not exist, and PFV is 0 (AArch64.FaultSyndrome() leaves it
so for a target of EL1 while HCR_EL2.VM is 1). How an injector differs from hardware is listed by
:func:`~seabus.arch.abort_deviations.deviations`.
"""

from dataclasses import dataclass
from enum import Enum

from seabus.arch.addresses import GuestVirtual
from seabus.arch.esr import Esr, decode_esr, encode_esr

# ISS of both aborts: WU and SET, EA, WnR; and IL. Arm ARM DDI 0487, ESR_EL1.
_WU = 3 << 16
_SET = 3 << 11
_EA = 1 << 9
_WNR = 1 << 6
_IL = 1 << 25

_SERROR_VECTOR = 0x180


class Origin(Enum):
    """Where the abort is taken from, always to EL1; the value is the offset of its vectors.

    Source: Arm ARM DDI 0487, "Exception vectors"; pseudocode AArch64.TakeException().
    """

    EL1T = 0x000
    EL1H = 0x200
    EL0 = 0x400
    EL0_AARCH32 = 0x600

    @property
    def lower_el(self) -> bool:
        """Whether the abort comes from EL0."""
        return self in {Origin.EL0, Origin.EL0_AARCH32}


class Access(Enum):
    """What the instruction did to memory.

    An exclusive and a pair are a ``LOAD`` or a ``STORE``: only ISV tells them from others, and that
    in ESR_EL2. ``ATOMIC`` both reads and writes (FEAT_LSE); ``MAINTENANCE`` is a cache maintenance
    or address translation instruction; ``FETCH`` is an instruction fetch.
    """

    LOAD = "load"
    STORE = "store"
    ATOMIC = "atomic"
    MAINTENANCE = "maintenance"
    FETCH = "fetch"


class Injector(Enum):
    """Who makes the abort.

    ``KVM`` stands for a VMM that sets ``ext_dabt_pending`` in ``KVM_SET_VCPU_EVENTS``, ``QEMU`` for
    its answer to a SIGBUS, ``REGISTER_WRITER`` for a VMM that writes the vCPU's ESR_EL1, FAR_EL1,
    ELR_EL1, SPSR_EL1, PC and PSTATE the way a processor does.
    """

    HARDWARE = "hardware"
    KVM = "kvm"
    QEMU = "qemu"
    REGISTER_WRITER = "register-writer"


@dataclass(frozen=True, slots=True)
class Abort:
    """An External abort, or a parity or ECC error, that the guest consumes.

    :param address: the virtual address accessed, of the instruction for a ``FETCH``.
    :param walk_level: level of the translation table walk that met the error, -2 (FEAT_D128) or -1
        (FEAT_LPA2) to 3; ``None``: the access itself met it.
    :param parity: the memory called it a parity or ECC error; it counts without FEAT_RAS only.
    :param far_valid: the processor knows the address; never in doubt on a walk.
    :param ras: FEAT_RAS is implemented.
    :param ease: SCTLR2_EL1.EASE is 1 (FEAT_DoubleFault2): EL1 wants such aborts at its SError vector.
    :raises ValueError: no processor can report that.
    """

    origin: Origin
    access: Access
    address: GuestVirtual
    walk_level: int | None = None
    parity: bool = False
    far_valid: bool = True
    ras: bool = True
    ease: bool = False

    def __post_init__(self) -> None:
        if self.walk_level is not None and not -2 <= self.walk_level <= 3:
            raise ValueError(f"no translation table has level {self.walk_level}")
        if self.status not in _STATUS_WITH_FNV and not self.far_valid:
            raise ValueError(f"FAR is always valid with a fault status of {self.status:#x}: it has no FnV")

    @property
    def status(self) -> int:
        """Fault status code, DFSC or IFSC.

        :raises ValueError: a parity error at level -2, for which there is no code.
        """
        if not self.parity or self.ras:
            return 0x10 if self.walk_level is None else 0x14 + self.walk_level
        if self.walk_level == -2:
            raise ValueError("no fault status names a parity error on a walk of level -2")
        return 0x18 if self.walk_level is None else 0x1C + self.walk_level


_STATUS_WITH_FNV = {0x10}


@dataclass(frozen=True, slots=True)
class FarRule:
    """What FAR_EL1 holds.

    :param valid: the guest may rely on it (FnV is 0).
    :param value: what it holds; ``None``: whatever it held or the processor likes.
    :param reason: where the value comes from.
    """

    valid: bool
    value: GuestVirtual | None
    reason: str


@dataclass(frozen=True, slots=True)
class ExpectedAbort:
    """The registers of EL1 after the abort.

    :param esr: ESR_EL1, with the unknown bits zero.
    :param unknown: mask of the bits that may differ from ``esr``: IMPLEMENTATION DEFINED, UNKNOWN,
        or not derivable from the description.
    :param far: FAR_EL1.
    :param vector: offset from VBAR_EL1 at which EL1 goes on.
    """

    esr: Esr
    unknown: int
    far: FarRule
    vector: int

    def accepts(self, esr: int | Esr) -> bool:
        """Whether that ESR_EL1 is a legal one and agrees with this one in all bits that are known.

        :raises ValueError: negative, or wider than 64 bits.
        """
        syndrome = decode_esr(esr, el=1)
        return not syndrome.violations and not (int(esr) ^ int(self.esr)) & ~self.unknown


@dataclass(frozen=True, slots=True)
class KvmInjection:
    """What ``inject_abt64()`` of a kernel can do; ask :func:`kvm_injection` for a release's.

    :param ease: it honours SCTLR2_EL1.EASE.
    :param walk_level: it reports the level where the last exit was a fault on a stage 1 walk, and
        injects nothing if it does not find the level; before that, a walk was reported as an access.

    Source: Linux arch/arm64/kvm/inject_fault.c.
    """

    ease: bool = True
    walk_level: bool = True


def kvm_injection(release: tuple[int, int]) -> KvmInjection:
    """Return what a mainline kernel's KVM can do; distributions may have backported more.

    >>> kvm_injection((6, 12))
    KvmInjection(ease=False, walk_level=False)

    :param release: as in ``(6, 17)``.

    Source: Linux fff97df2a0bd "KVM: arm64: Route SEAs to the SError vector when EASE is set" (6.17),
    50f77dc87f13 "KVM: arm64: Populate level on S1PTW SEA injection" (6.18).
    """
    return KvmInjection(ease=release >= (6, 17), walk_level=release >= (6, 18))


def predict_abort(abort: Abort, injector: Injector, kvm: KvmInjection | None = None) -> ExpectedAbort:
    """Predict what EL1 finds.

    :param kvm: what the host's KVM can do, for :attr:`Injector.KVM`; the newest by default.
    :raises ValueError: KVM or QEMU, and a walk of level -2: KVM offers no guest FEAT_D128.
    """
    if injector is Injector.HARDWARE:
        return _by_hardware(abort)
    if injector is Injector.REGISTER_WRITER:
        return _by_register_writer(abort)
    if abort.walk_level == -2:
        raise ValueError("KVM offers no guest FEAT_D128, so none has a walk of level -2")
    return _by_qemu(abort) if injector is Injector.QEMU else _by_kvm(abort, kvm or KvmInjection())


def _by_hardware(abort: Abort) -> ExpectedAbort:
    # Arm ARM DDI 0487, pseudocode AArch64.FaultSyndrome(), AArch64.ReportException() and
    # AArch64.RouteToSErrorOffset(); for WU, ESR_EL1, ISS encoding for an exception from a Data Abort.
    fnv = not abort.far_valid
    unknown = _EA
    if abort.access is Access.FETCH:
        esr = encode_esr(0x20 if abort.origin.lower_el else 0x21, el=1, IFSC=abort.status, FnV=fnv)
    else:
        maintenance = abort.access is Access.MAINTENANCE
        wnr = maintenance or abort.access is Access.STORE
        ec = 0x24 if abort.origin.lower_el else 0x25
        esr = encode_esr(ec, el=1, DFSC=abort.status, FnV=fnv, CM=maintenance, WnR=wnr)
        # On a walk the store may be the processor's own update of the table.
        stores = abort.access in {Access.STORE, Access.ATOMIC} or abort.walk_level is not None
        if abort.ras and stores:
            unknown |= _WU
        if abort.access is Access.ATOMIC:
            unknown |= _WNR
    if abort.ras:
        unknown |= _SET
    if fnv:
        far = FarRule(False, None, "UNKNOWN, as FnV says")
    else:
        far = FarRule(True, abort.address, "the address accessed")
    vector = abort.origin.value + (_SERROR_VECTOR if abort.ease else 0)
    return ExpectedAbort(esr, unknown, far, vector)


def _by_register_writer(abort: Abort) -> ExpectedAbort:
    like = _by_hardware(abort)
    far = like.far if like.far.valid else FarRule(False, None, "not written: FnV says that it is not valid")
    return ExpectedAbort(like.esr, 0, far, like.vector)


def _by_kvm(abort: Abort, kvm: KvmInjection) -> ExpectedAbort:
    # Linux arch/arm64/kvm/guest.c __kvm_arm_vcpu_set_events() passes FAR_EL2 of the vCPU's last exit
    # to inject_fault.c inject_abt64(), which makes a data abort of EC, IL and a status code.
    on_walk = kvm.walk_level and abort.walk_level is not None
    status = 0x14 + abort.walk_level if on_walk and abort.walk_level is not None else 0x10
    esr = encode_esr(0x24 if abort.origin.lower_el else 0x25, el=1, DFSC=status)
    # IL is that of the last exit, which is 0 after a 16-bit instruction of T32.
    unknown = _IL if abort.origin is Origin.EL0_AARCH32 else 0
    far = FarRule(True, abort.address, "FAR_EL2 of the vCPU's last exit, which was this access")
    vector = abort.origin.value + (_SERROR_VECTOR if abort.ease and kvm.ease else 0)
    return ExpectedAbort(esr, unknown, far, vector)


def _by_qemu(abort: Abort) -> ExpectedAbort:
    # QEMU target/arm/kvm.c kvm_inject_arm_sea(); target/arm/helper.c arm_cpu_do_interrupt_aarch64()
    # copies env->exception.vaddress to FAR and heeds EASE of EL3 only.
    esr = encode_esr(0x24 if abort.origin.lower_el else 0x25, el=1, DFSC=0x10, FnV=1)
    left = "env->exception.vaddress: 0 unless QEMU has handed the vCPU a debug exception before"
    return ExpectedAbort(esr, 0, FarRule(False, GuestVirtual(0), left), abort.origin.value)
