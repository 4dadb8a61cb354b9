# SPDX-License-Identifier: Apache-2.0
"""CXL event records about a module as a whole, and about its spare memory."""

from dataclasses import dataclass
from typing import ClassVar

from seabus.arch._codecs import BYTES
from seabus.arch._layout import Item, Part, Table, flags, reserved
from seabus.arch._structure import Structure

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
