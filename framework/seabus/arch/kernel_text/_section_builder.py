# SPDX-License-Identifier: Apache-2.0
"""Collects the lines of one section of a printed record, and the few values every reader wants at once."""

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

_ITEM = re.compile(r"(\w[\w -]{0,40}?): ?(.*)")
# cper_mem_err_location() prints these on one line, since 6.1 or so as "node:1", before as "node:
# 1".
_LOCATION = re.compile(r"(\w+): ?(\S+)")
_LOCATION_NAMES = frozenset(
    {
        *("node", "card", "module", "rank", "bank", "bank_group", "bank_address", "device"),
        *("row", "column", "bit_position", "requestor_id", "responder_id", "target_id", "chip_id"),
    }
)
_HEX = re.compile(r"0x([0-9a-fA-F]{1,16})\b")
# "3, multi-bit ECC"; of ARM processor errors, newer kernels print a mask: "0x02: cache error".
_ERROR_TYPE = re.compile(r"(\d{1,3}|0x[0-9a-fA-F]{1,2})(?:(?:, |: )(.*))?")

# A section is ready when its address or error type is known; one of a kind that has neither, at this field.
_READY: Mapping[str, str | None] = {
    "": None,
    "memory error": None,
    "ARM processor error": None,
    "general processor error": None,
    "PCIe error": "vendor_id",
    "Firmware Error Record Reference": "Revision",
    "CXL Protocol Error": "agent_type",
}
_UNKNOWN = "unknown, "


class SectionBuilder:
    """The section that grows: ``values`` gives the arguments of a ``GhesSection``."""

    def __init__(self, index: int, severity: str, time: tuple[str, bool] | None) -> None:
        self._values: dict[str, Any] = {"index": index, "severity": severity}
        if time:
            self._values |= {"timestamp": time[0], "precise": time[1]}
        self._fields: dict[str, str] = {}
        self._lines: list[str] = []

    @property
    def kind(self) -> str:
        kind: str = self._values.get("kind", "")
        return kind

    def add(self, text: str) -> None:
        self._lines.append(text)
        item = _ITEM.fullmatch(text)
        if item is None:
            return
        name, value = item[1], item[2]
        # Not only the first: a section's own header may have been lost, and a later one be another's.
        self._fields[name] = value
        if name in _LOCATION_NAMES:
            self._fields |= _LOCATION.findall(text)
        if setter := _SETTERS.get(name):
            setter(self._values, value)

    def is_ready(self) -> bool:
        if self._values.get("physical_address") is not None or "error_type" in self._values:
            return True
        if self.kind in _READY:
            return _READY[self.kind] in self._fields
        # An unknown GUID, or a kind of which Linux prints no more than the name.
        return not self.kind.startswith(_UNKNOWN) or "section length" in self._fields

    def values(self) -> dict[str, Any]:
        return {**self._values, "fields": dict(self._fields), "lines": tuple(self._lines)}


def _hex(text: str) -> int | None:
    match = _HEX.search(text)
    return int(match[1], 16) if match else None


def _set_hex(name: str) -> Callable[[dict[str, Any], str], None]:
    def setter(values: dict[str, Any], value: str) -> None:
        values[name] = _hex(value)

    return setter


def _set_text(name: str) -> Callable[[dict[str, Any], str], None]:
    def setter(values: dict[str, Any], value: str) -> None:
        values[name] = value

    return setter


def _set_fru_id(values: dict[str, Any], value: str) -> None:
    try:
        values["fru_id"] = uuid.UUID(value)
    except ValueError:
        return


def _set_error_type(values: dict[str, Any], value: str) -> None:
    match = _ERROR_TYPE.fullmatch(value)
    if match and "error_type" not in values:
        values |= {"error_type": _number(match[1]), "error_type_name": match[2] or ""}


def _number(text: str) -> int:
    """A number as the kernel prints it; unlike int(text, 0) it takes leading zeros."""
    return int(text, 16 if text.startswith("0x") else 10)


def _set_fault_address(values: dict[str, Any], value: str) -> None:
    values.setdefault("physical_address", _hex(value))


_SETTERS: Mapping[str, Callable[[dict[str, Any], str], None]] = {
    "section_type": _set_text("kind"),
    "section type": _set_text("kind"),  # of an unknown GUID
    "fru_id": _set_fru_id,
    "fru_text": _set_text("fru_text"),
    "physical_address": _set_hex("physical_address"),
    "physical_address_mask": _set_hex("physical_address_mask"),
    "physical fault address": _set_fault_address,
    "error_status": _set_hex("error_status"),
    "error_type": _set_error_type,
}
