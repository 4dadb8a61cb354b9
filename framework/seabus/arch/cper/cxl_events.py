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
