# SPDX-License-Identifier: Apache-2.0
"""The printed CXL protocol error section.

Source: Linux drivers/firmware/efi/cper_cxl.c ``cxl_cper_print_prot_err()``; UEFI 2.11, N.2.13.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seabus.arch.kernel_text._dump import read_dump
from seabus.arch.kernel_text._rows import rows

__all__ = ["CxlProtocolDetails", "read_cxl"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CxlProtocolDetails:
    """A CXL protocol error. ``registers`` are the RAS capability's, by the kernel's names."""

    agent_type: int | None = None
    agent_type_name: str | None = None
    agent_address: str | None = None
    rcrb_base_address: int | None = None
    slot: int | None = None
    vendor_id: int | None = None
    device_id: int | None = None
    sub_vendor_id: int | None = None
    sub_device_id: int | None = None
    class_code: int | None = None
    lower_dw: int | None = None
    upper_dw: int | None = None
    capability: bytes = b""
    dvsec: bytes = b""
    header_log: bytes = b""
    registers: Mapping[str, int] = field(default_factory=dict, hash=False)


_HEX = "0x[0-9a-f]{1,16}"
_CXL = rows(
    r"agent_type: (?P<agent_type>\d{1,3}), (?P<agent_type_name>.+)",
    r"agent_address: (?P<agent_address>\S{1,20})",
    rf"rcrb_base_address: (?P<rcrb_base_address>{_HEX})",
    r"slot: (?P<slot>\d{1,5})",
    rf"vendor_id: (?P<vendor_id>{_HEX}), device_id: (?P<device_id>{_HEX})",
    rf"sub_vendor_id: (?P<sub_vendor_id>{_HEX}), sub_device_id: (?P<sub_device_id>{_HEX})",
    r"class_code: (?P<class_code>[0-9a-f]{4,6})",
    rf"lower_dw: (?P<lower_dw>{_HEX}), upper_dw: (?P<upper_dw>{_HEX})",
    text=("agent_type_name", "agent_address"),
    hexadecimal=("class_code",),
)
_CXL_REGISTERS = rows(
    *(
        rf"{name}: (?P<{name}>{_HEX})"
        for name in (
            *("cxl_ras_uncor_status", "cxl_ras_uncor_mask", "cxl_ras_uncor_severity"),
            *("cxl_ras_cor_status", "cxl_ras_cor_mask", "cap_control"),
        )
    )
)


def read_cxl(lines: Sequence[str]) -> CxlProtocolDetails:
    """Read the lines of the section, stripped of mark and indentation."""
    dumps: dict[str, list[str]] = {"capability": [], "dvsec": [], "header_log": []}
    current = "capability"
    for line in lines:
        current = {"CXL DVSEC:": "dvsec", "Header Log Registers:": "header_log"}.get(line, current)
        dumps[current].append(line)
    return CxlProtocolDetails(
        **_CXL.read(lines),
        registers=_CXL_REGISTERS.integers(lines),
        capability=read_dump(dumps["capability"]),
        dvsec=read_dump(dumps["dvsec"]),
        header_log=read_dump(dumps["header_log"]),
    )
