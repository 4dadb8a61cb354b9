# SPDX-License-Identifier: Apache-2.0
"""Capability structures of PCI Express as records copy them: the plain one, and Advanced Error Reporting."""

from dataclasses import dataclass
from typing import ClassVar

from seabus.arch._codecs import BYTES
from seabus.arch._layout import Item, Part, Table
from seabus.arch._structure import Structure


def _bits(**places: int) -> tuple[Part, ...]:
    return tuple(Part(name, bit, bit) for name, bit in places.items())


# PCIe 6.0 section 7.8.4.2, Uncorrectable Error Status Register; Linux include/uapi/linux/pci_regs.h.
UNCORRECTABLE = _bits(
    undefined=0,
    data_link_protocol_error=4,
    surprise_down=5,
    poisoned_TLP_received=12,
    flow_control_protocol_error=13,
    completion_timeout=14,
    completer_abort=15,
    unexpected_completion=16,
    receiver_overflow=17,
    malformed_TLP=18,
    ECRC_error=19,
    unsupported_request=20,
    ACS_violation=21,
    uncorrectable_internal_error=22,
    MC_blocked_TLP=23,
    AtomicOp_egress_blocked=24,
    TLP_prefix_blocked=25,
    poisoned_TLP_egress_blocked=26,
    DMWr_request_egress_blocked=27,
    IDE_check_failed=28,
    misrouted_IDE_TLP=29,
    PCRC_check_failed=30,
    TLP_translation_egress_blocked=31,
)
# PCIe 6.0 section 7.8.4.5, Correctable Error Status Register.
CORRECTABLE = _bits(
    receiver_error=0,
    bad_TLP=6,
    bad_DLLP=7,
    replay_num_rollover=8,
    replay_timer_timeout=12,
    advisory_non_fatal_error=13,
    corrected_internal_error=14,
    header_log_overflow=15,
)
_CONTROL = (
    Part("first_error_pointer", 4, 0, title="bit of the first uncorrectable error"),
    *_bits(
        ECRC_generation_capable=5,
        ECRC_generation_enable=6,
        ECRC_check_capable=7,
        ECRC_check_enable=8,
        multiple_header_recording_capable=9,
        multiple_header_recording_enable=10,
        TLP_prefix_log_present=11,
        completion_timeout_prefix_header_log_capable=12,
    ),
    Part("header_log_size", 17, 13, title="DWORDs of the header log"),
    *_bits(logged_TLP_was_flit_mode=18),
    Part("logged_TLP_size", 23, 19, title="DWORDs of the logged header"),
)
_ROOT_COMMAND = _bits(correctable_reporting=0, non_fatal_reporting=1, fatal_reporting=2)
_ROOT_STATUS = (
    *_bits(
        ERR_COR_received=0,
        multiple_ERR_COR_received=1,
        ERR_FATAL_or_NONFATAL_received=2,
        multiple_ERR_FATAL_or_NONFATAL_received=3,
        first_uncorrectable_fatal=4,
        non_fatal_received=5,
        fatal_received=6,
    ),
    Part("ERR_COR_subclass", 8, 7, title="subclass of the correctable error"),
    Part("interrupt_message_number", 31, 27, title="MSI of this port"),
)
_REQUESTER = (
    Part("function", 2, 0, title="function"),
    Part("device", 7, 3, title="device"),
    Part("bus", 15, 8, title="bus"),
)

# fmt: off
_AER = Table("PCIe 6.0 section 7.8.4, AER Extended Capability", 96, (
    Item("header", 0, 4, "extended capability header"),
    Item("uncorrectable_status", 4, 4, parts=UNCORRECTABLE),
    Item("uncorrectable_mask", 8, 4, parts=UNCORRECTABLE),
    Item("uncorrectable_severity", 12, 4, parts=UNCORRECTABLE),
    Item("correctable_status", 16, 4, parts=CORRECTABLE),
    Item("correctable_mask", 20, 4, parts=CORRECTABLE),
    Item("control", 24, 4, parts=_CONTROL),
    Item("header_log_0", 28, 4, "TLP header, DWORD 0"),
    Item("header_log_1", 32, 4, "TLP header, DWORD 1"),
    Item("header_log_2", 36, 4, "TLP header, DWORD 2"),
    Item("header_log_3", 40, 4, "TLP header, DWORD 3"),
    Item("root_command", 44, 4, parts=_ROOT_COMMAND),
    Item("root_status", 48, 4, parts=_ROOT_STATUS),
    Item("correctable_source", 52, 2, parts=_REQUESTER),
    Item("uncorrectable_source", 54, 2, parts=_REQUESTER),
    Item("prefix_log", 56, 16, "TLP prefixes, or more of the header", codec=BYTES),
    Item("rest", 72, 24, "more of the header in flit mode", codec=BYTES),
))
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AerCapability(Structure):
    """The AER extended capability, 96 bytes, as a PCIe section copies it from the device.

    Source: UEFI 2.11 appendix N.2.7, AER Info; PCI Express Base Specification 6.0 section 7.8.4.
    """

    table: ClassVar[Table] = _AER

    header: int = 0
    uncorrectable_status: int = 0
    uncorrectable_mask: int = 0
    uncorrectable_severity: int = 0
    correctable_status: int = 0
    correctable_mask: int = 0
    control: int = 0
    header_log_0: int = 0
    header_log_1: int = 0
    header_log_2: int = 0
    header_log_3: int = 0
    root_command: int = 0
    root_status: int = 0
    correctable_source: int = 0
    uncorrectable_source: int = 0
    prefix_log: bytes = bytes(16)
    rest: bytes = bytes(24)

    @property
    def header_log(self) -> tuple[int, int, int, int]:
        """The TLP header that came with the error, four DWORDs."""
        return (self.header_log_0, self.header_log_1, self.header_log_2, self.header_log_3)

    @property
    def uncorrectable_errors(self) -> tuple[str, ...]:
        """Names of the bits set in ``uncorrectable_status``."""
        return tuple(part.name for part in UNCORRECTABLE if part.mask & self.uncorrectable_status)

    @property
    def correctable_errors(self) -> tuple[str, ...]:
        """Names of the bits set in ``correctable_status``."""
        return tuple(part.name for part in CORRECTABLE if part.mask & self.correctable_status)


_DEVICE_STATUS = _bits(
    correctable_error_detected=0,
    non_fatal_error_detected=1,
    fatal_error_detected=2,
    unsupported_request_detected=3,
    AUX_power_detected=4,
    transactions_pending=5,
    emergency_power_reduction_detected=6,
)

# fmt: off
_EXPRESS = Table("PCIe 6.0 section 7.5.3, PCI Express Capability", 60, (
    Item("capability_id", 0, 1, "0x10 for PCI Express"),
    Item("next", 1, 1, "not valid in a record"),
    Item("capabilities", 2, 2, "PCI Express capabilities"),
    Item("device_capabilities", 4, 4, "device capabilities"),
    Item("device_control", 8, 2, "device control"),
    Item("device_status", 10, 2, parts=_DEVICE_STATUS),
    Item("link_capabilities", 12, 4, "link capabilities"),
    Item("link_control", 16, 2, "link control"),
    Item("link_status", 18, 2, "link status"),
    Item("slot_capabilities", 20, 4, "slot capabilities"),
    Item("slot_control", 24, 2, "slot control"),
    Item("slot_status", 26, 2, "slot status"),
    Item("root_control", 28, 2, "root control"),
    Item("root_capabilities", 30, 2, "root capabilities"),
    Item("root_status", 32, 4, "root status"),
    Item("device_capabilities_2", 36, 4, "device capabilities 2; from here on PCIe 2.0"),
    Item("device_control_2", 40, 2, "device control 2"),
    Item("device_status_2", 42, 2, "device status 2"),
    Item("link_capabilities_2", 44, 4, "link capabilities 2"),
    Item("link_control_2", 48, 2, "link control 2"),
    Item("link_status_2", 50, 2, "link status 2"),
    Item("slot_capabilities_2", 52, 4, "slot capabilities 2"),
    Item("slot_control_2", 56, 2, "slot control 2"),
    Item("slot_status_2", 58, 2, "slot status 2"),
))
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExpressCapability(Structure):
    """The PCI Express capability structure, 60 bytes; of PCIe 1.1 are the first 36.

    Source: UEFI 2.11 appendix N.2.7, Capability Structure; PCI Express Base Specification 6.0 section
    7.5.3.
    """

    table: ClassVar[Table] = _EXPRESS

    capability_id: int = 0
    next: int = 0
    capabilities: int = 0
    device_capabilities: int = 0
    device_control: int = 0
    device_status: int = 0
    link_capabilities: int = 0
    link_control: int = 0
    link_status: int = 0
    slot_capabilities: int = 0
    slot_control: int = 0
    slot_status: int = 0
    root_control: int = 0
    root_capabilities: int = 0
    root_status: int = 0
    device_capabilities_2: int = 0
    device_control_2: int = 0
    device_status_2: int = 0
    link_capabilities_2: int = 0
    link_control_2: int = 0
    link_status_2: int = 0
    slot_capabilities_2: int = 0
    slot_control_2: int = 0
    slot_status_2: int = 0
