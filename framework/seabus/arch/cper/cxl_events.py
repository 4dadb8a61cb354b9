# SPDX-License-Identifier: Apache-2.0
"""CXL event records, as CXL devices log them: the header that all share, and the bodies by kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from seabus.arch._codecs import BYTES
from seabus.arch._layout import Item, Part, Table, flags, reserved
from seabus.arch._structure import Structure

_SEVERITIES = {0: "informational", 1: "warning", 2: "failure", 3: "fatal"}
_EVENT_FLAGS = (
    Part("severity", 1, 0, names=_SEVERITIES),
    Part("permanent_condition", 2, 2),
    Part("maintenance_needed", 3, 3),
    Part("performance_degraded", 4, 4),
    Part("hardware_replacement_needed", 5, 5),
    Part("maintenance_sub_class_valid", 6, 6),
    Part("ld_id_valid", 7, 7),
    Part("head_id_valid", 8, 8),
)
# fmt: off
_HEADER = Table("CXL 3.1 section 8.2.9.2.1 table 8-43, Common Event Record Format", 32, (
    Item("length", 0, 1, "bytes of the record, its identifier included"),
    Item("flags", 1, 3, parts=_EVENT_FLAGS),
    Item("handle", 4, 2, "handle of the event"),
    Item("related_handle", 6, 2, "handle of a related event"),
    Item("timestamp", 8, 8, "nanoseconds since 1970 as the device counts them"),
    Item("maintenance_class", 16, 1, "maintenance operation class"),
    Item("maintenance_sub_class", 17, 1, "maintenance operation subclass"),
    Item("ld_id", 18, 2, "logical device"),
    Item("head_id", 20, 1, "head of a multi-headed device"),
    reserved(21, 11),
))
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CxlEventHeader(Structure):
    """What all CXL event records begin with, after their identifier: 32 bytes.

    Source: CXL 3.1 section 8.2.9.2.1; Linux include/cxl/event.h ``struct cxl_event_record_hdr``.
    """

    table: ClassVar[Table] = _HEADER

    length: int = 128
    flags: int = 0
    handle: int = 0
    related_handle: int = 0
    timestamp: int = 0
    maintenance_class: int = 0
    maintenance_sub_class: int = 0
    ld_id: int = 0
    head_id: int = 0


_TRANSACTIONS = dict(
    enumerate(
        (
            "unknown",
            "host read",
            "host write",
            "host scan media",
            "host inject poison",
            "internal media scrub",
            "internal media management",
            "internal media error check scrub",
            "media initialization",
        )
    )
)
_MEDIA_TYPES = dict(
    enumerate(
        (
            "ECC error",
            "invalid address",
            "data path error",
            "TE state violation",
            "scrub media ECC error",
            "advanced programmable CME counter expiration",
            "CKID violation",
        )
    )
)
_DRAM_TYPES = dict(
    enumerate(
        (
            "ECC error",
            "scrub media ECC error",
            "invalid address",
            "data path error",
            "TE state violation",
            "advanced programmable CME counter expiration",
            "CKID violation",
        )
    )
)
_SUB_TYPES = dict(
    enumerate(
        (
            "not reported",
            "internal datapath error",
            "media link command training error",
            "media link control training error",
            "media link data training error",
            "media link CRC error",
        )
    )
)
_ADDRESS = (
    Part("volatile", 0, 0),
    Part("not_repairable", 1, 1),
    Part("address", 63, 6, title="address bits 63:6"),
)
_DESCRIPTOR = flags("uncorrectable_event", "threshold_event", "poison_list_overflow")
_THRESHOLD = flags("several_media_components", "threshold_exceeded")
_FLAGS_11 = Item("validity_flags", 11, 2)


def _media_head(types: Mapping[int, str]) -> tuple[Item, ...]:
    return (
        Item("physical_address", 0, 8, parts=_ADDRESS),
        Item("descriptor", 8, 1, parts=_DESCRIPTOR),
        Item("type", 9, 1, names=types),
        Item("transaction_type", 10, 1, names=_TRANSACTIONS),
        _FLAGS_11,
        Item("channel", 13, 1, "channel", valid=0),
        Item("rank", 14, 1, "rank", valid=1),
    )


# fmt: off
_MEDIA = Table("CXL 3.1 section 8.2.9.2.1.1 table 8-45, General Media Event Record", 80, (
    *_media_head(_MEDIA_TYPES),
    Item("device", 15, 3, "mask of devices", valid=2),
    Item("component_id", 18, 16, "component", valid=3, codec=BYTES),
    Item("threshold_flags", 34, 1, parts=_THRESHOLD),
    Item("error_count", 35, 3, "corrected memory errors, with a threshold event"),
    Item("sub_type", 38, 1, names=_SUB_TYPES),
    reserved(39, 41),
), valid=_FLAGS_11, tail={4: "component_id_is_pldm"})
_DRAM = Table("CXL 3.1 section 8.2.9.2.1.2 table 8-46, DRAM Event Record", 80, (
    *_media_head(_DRAM_TYPES),
    Item("nibble_mask", 15, 3, "nibbles in error", valid=2),
    Item("bank_group", 18, 1, "bank group", valid=3),
    Item("bank", 19, 1, "bank", valid=4),
    Item("row", 20, 3, "row", valid=5),
    Item("column", 23, 2, "column", valid=6),
    Item("correction_mask", 25, 32, "bits in error by nibble", valid=7, codec=BYTES),
    Item("component_id", 57, 16, "component", valid=8, codec=BYTES),
    Item("sub_channel", 73, 1, "sub-channel", valid=10),
    Item("threshold_flags", 74, 1, parts=_THRESHOLD),
    Item("error_count", 75, 3, "corrected volatile memory errors, with a threshold event"),
    Item("sub_type", 78, 1, names=_SUB_TYPES),
    reserved(79, 1),
), valid=_FLAGS_11, tail={9: "component_id_is_pldm"})
# fmt: on

_MODULE_TYPES = dict(
    enumerate(
        (
            "health status change",
            "media status change",
            "life used change",
            "temperature change",
            "data path error",
            "LSA error",
            "unrecoverable internal sideband bus error",
            "memory media FRU error",
            "power management fault",
        )
    )
)
_MEDIA_STATUS = dict(
    enumerate(
        (
            "normal",
            "not ready",
            "write persistency lost",
            "all data lost",
            "write persistency loss in the event of power loss",
            "write persistency loss in the event of shutdown",
            "write persistency loss imminent",
            "all data loss in the event of power loss",
            "all data loss in the event of shutdown",
            "all data loss imminent",
        )
    )
)
_LEVEL = {0: "normal", 1: "warning", 2: "critical"}
_ADDITIONAL_STATUS = (
    Part("life_used", 1, 0, names=_LEVEL),
    Part("device_temperature", 3, 2, names=_LEVEL),
    Part("corrected_volatile_errors", 4, 4, names={0: "normal", 1: "warning"}),
    Part("corrected_persistent_errors", 5, 5, names={0: "normal", 1: "warning"}),
)
_MODULE_SUB_TYPES = {
    0: "not reported",
    1: "invalid config data",
    2: "unsupported config data",
    3: "unsupported memory media FRU",
}
_HEALTH = flags(
    "maintenance_needed", "performance_degraded", "hardware_replacement_needed", "capacity_degraded"
)
_FLAGS_19 = Item("validity_flags", 19, 2)
_FLAGS_4 = Item("validity_flags", 4, 2)
# fmt: off
_MODULE = Table("CXL 3.1 section 8.2.9.2.1.3 table 8-47, Memory Module Event Record", 80, (
    Item("event_type", 0, 1, names=_MODULE_TYPES),
    Item("health_status", 1, 1, parts=_HEALTH),
    Item("media_status", 2, 1, names=_MEDIA_STATUS),
    Item("additional_status", 3, 1, parts=_ADDITIONAL_STATUS),
    Item("life_used", 4, 1, "percent of the device's life"),
    Item("device_temperature", 5, 2, "degrees Celsius, signed"),
    Item("dirty_shutdown_count", 7, 4, "dirty shutdowns"),
    Item("corrected_volatile_errors", 11, 4, "corrected volatile memory errors"),
    Item("corrected_persistent_errors", 15, 4, "corrected persistent memory errors"),
    _FLAGS_19,
    Item("component_id", 21, 16, "component", valid=0, codec=BYTES),
    Item("event_sub_type", 37, 1, names=_MODULE_SUB_TYPES),
    reserved(38, 42),
), valid=_FLAGS_19, tail={1: "component_id_is_pldm"})
_SPARING = Table("CXL 3.2 section 8.2.10.2.1.4 table 8-60, Memory Sparing Event Record", 80, (
    reserved(0, 2),
    Item("flags", 2, 1, parts=flags("query_resources", "hard_sparing", "device_initiated")),
    Item("result", 3, 1, "result of the operation"),
    _FLAGS_4,
    reserved(6, 6),
    Item("resources_available", 12, 2, "spare resources left"),
    Item("channel", 14, 1, "channel", valid=0),
    Item("rank", 15, 1, "rank", valid=1),
    Item("nibble_mask", 16, 3, "nibbles", valid=2),
    Item("bank_group", 19, 1, "bank group", valid=3),
    Item("bank", 20, 1, "bank", valid=4),
    Item("row", 21, 3, "row", valid=5),
    Item("column", 24, 2, "column", valid=6),
    Item("component_id", 26, 16, "component", valid=7, codec=BYTES),
    Item("sub_channel", 42, 1, "sub-channel", valid=9),
    reserved(43, 37),
), valid=_FLAGS_4, tail={8: "component_id_is_pldm"})
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CxlGeneralMedia(Structure):
    """A general media event, 80 bytes. A field that is ``None`` is not declared valid.

    ``physical_address`` is a device physical address, with flags in bits 1:0.

    Source: CXL 3.1 section 8.2.9.2.1.1; Linux include/cxl/event.h ``struct cxl_event_gen_media``.
    """

    table: ClassVar[Table] = _MEDIA

    physical_address: int = 0
    descriptor: int = 0
    type: int = 0
    transaction_type: int = 0
    channel: int | None = None
    rank: int | None = None
    device: int | None = None
    component_id: bytes | None = None
    component_id_is_pldm: bool = False
    threshold_flags: int = 0
    error_count: int = 0
    sub_type: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CxlDram(Structure):
    """A DRAM event, 80 bytes. A field that is ``None`` is not declared valid.

    ``physical_address`` is a device physical address, with flags in bits 1:0.

    Source: CXL 3.1 section 8.2.9.2.1.2; Linux include/cxl/event.h ``struct cxl_event_dram``.
    """

    table: ClassVar[Table] = _DRAM

    physical_address: int = 0
    descriptor: int = 0
    type: int = 0
    transaction_type: int = 0
    channel: int | None = None
    rank: int | None = None
    nibble_mask: int | None = None
    bank_group: int | None = None
    bank: int | None = None
    row: int | None = None
    column: int | None = None
    correction_mask: bytes | None = None
    component_id: bytes | None = None
    component_id_is_pldm: bool = False
    sub_channel: int | None = None
    threshold_flags: int = 0
    error_count: int = 0
    sub_type: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CxlMemoryModule(Structure):
    """A memory module event, 80 bytes. ``device_temperature`` is 16 bits of two's complement.

    Source: CXL 3.1 section 8.2.9.2.1.3; Linux include/cxl/event.h ``struct cxl_event_mem_module``.
    """

    table: ClassVar[Table] = _MODULE

    event_type: int = 0
    health_status: int = 0
    media_status: int = 0
    additional_status: int = 0
    life_used: int = 0
    device_temperature: int = 0
    dirty_shutdown_count: int = 0
    corrected_volatile_errors: int = 0
    corrected_persistent_errors: int = 0
    component_id: bytes | None = None
    component_id_is_pldm: bool = False
    event_sub_type: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CxlMemorySparing(Structure):
    """A memory sparing event, 80 bytes. A field that is ``None`` is not declared valid.

    Source: CXL 3.2 section 8.2.10.2.1.4; Linux include/cxl/event.h ``struct cxl_event_mem_sparing``.
    """

    table: ClassVar[Table] = _SPARING

    flags: int = 0
    result: int = 0
    resources_available: int = 0
    channel: int | None = None
    rank: int | None = None
    nibble_mask: int | None = None
    bank_group: int | None = None
    bank: int | None = None
    row: int | None = None
    column: int | None = None
    component_id: bytes | None = None
    component_id_is_pldm: bool = False
    sub_channel: int | None = None
