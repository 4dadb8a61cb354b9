# SPDX-License-Identifier: Apache-2.0
"""Error records from TOML: names as the decoder prints them, so what one writes the other reads.

::

    severity = "recoverable"
    [[entry]]
    section = "memory"
    fru_text = "seabus"
    [entry.body]
    physical_address = 0x40001000
    error_type = 3
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final

from seabus.arch import cper
from seabus.arch.cper import DataEntry, Severity, StatusBlock, Timestamp, UnknownSection
from seabus.errors import UsageError

#: How the sections are called in TOML and on the command line.
SECTIONS: Final[dict[str, Any]] = {
    "memory": cper.MemorySection,
    "memory-2": cper.MemorySection2,
    "arm-processor": cper.ArmProcessorSection,
    "processor": cper.ProcessorSection,
    "pcie": cper.PcieSection,
    "pci-bus": cper.PciBusSection,
    "pci-component": cper.PciComponentSection,
    "firmware": cper.FirmwareSection,
    "cxl-protocol": cper.CxlProtocolSection,
    "unknown": UnknownSection,
}


def block_from(document: Mapping[str, Any]) -> StatusBlock:
    """The status block that a parsed TOML document describes.

    :raises UsageError: an unknown key or a value that does not fit; the message says where.
    """
    _known(document, ("severity", "entry", "raw_data"), "the record")
    entries = document.get("entry")
    if not isinstance(entries, list) or not entries:
        raise UsageError("the record has no entry", hint='[[entry]] with section = "memory"')
    severity = _severity(document.get("severity", "recoverable"), "severity")
    made = tuple(_entry(entry, severity, f"entry[{number}]") for number, entry in enumerate(entries))
    return StatusBlock(
        severity=severity, entries=made, raw_data=_bytes(document.get("raw_data", ""), "raw_data")
    )


def _entry(table: Mapping[str, Any], severity: Severity, where: str) -> DataEntry:
    names = [field.name for field in dataclasses.fields(DataEntry)]
    _known(table, [*names, "body"], where)
    name = table.get("section")
    if not isinstance(name, str) or name not in SECTIONS:
        raise UsageError(f"{where}: there is no section {name!r}", hint=_near(str(name), SECTIONS))
    values = {key: value for key, value in table.items() if key not in ("section", "body", "severity")}
    section = _build(SECTIONS[name], table.get("body", {}), f"{where}.body")
    own = _severity(table["severity"], f"{where}.severity") if "severity" in table else severity
    return typing.cast(DataEntry, _build(DataEntry, {**values, "section": section, "severity": own}, where))


def _build(kind: Any, table: Mapping[str, Any], where: str) -> Any:  # noqa: ANN401 - any of the record's classes
    hints = typing.get_type_hints(kind)
    fields = {field.name for field in dataclasses.fields(kind)}
    _known(table, sorted(fields), where)
    values = {name: _value(hints[name], value, f"{where}.{name}") for name, value in table.items()}
    try:
        # What has a table reads words, too: "multi-bit ECC", "primary|reset".
        return kind.of(**values) if hasattr(kind, "of") else kind(**values)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {error}") from error


def _value(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - typed by the hint
    if dataclasses.is_dataclass(value) or isinstance(value, Severity):
        return value
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if typing.get_origin(hint) is tuple:
        kind = typing.get_args(hint)[0]
        if not isinstance(value, list):
            raise UsageError(f"{where} is a list", hint="[[…]] tables, or [a, b]")
        return tuple(_value(kind, one, f"{where}[{number}]") for number, one in enumerate(value))
    if hint is bytes:
        return _bytes(value, where)
    if hint is uuid.UUID:
        return _guid(value, where)
    if hint is Timestamp:
        return _timestamp(value, where)
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where)
    if hint is bool or isinstance(value, bool):
        if not (hint is bool and isinstance(value, bool)):
            raise UsageError(f"{where} is {'true or false' if hint is bool else 'no truth value'}")
        return value
    if hint is str and not isinstance(value, str):
        raise UsageError(f"{where} is a text")
    if isinstance(hint, type) and issubclass(hint, int) and not isinstance(value, int | str):
        raise UsageError(f"{where} is a number, or a word of the specification")
    return value


def _bytes(value: object, where: str) -> bytes:
    try:
        return bytes.fromhex(str(value))
    except ValueError:
        raise UsageError(f"{where} is hexadecimal digits in quotes") from None


def _guid(value: object, where: str) -> uuid.UUID:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        raise UsageError(f"{where}: {value!r} is no GUID") from None


def _timestamp(value: Any, where: str) -> Timestamp:  # noqa: ANN401 - a TOML date
    try:
        return Timestamp(
            year=value.year,
            month=value.month,
            day=value.day,
            hour=value.hour,
            minute=value.minute,
            second=value.second,
        )
    except AttributeError:
        raise UsageError(f"{where} is a date and time", hint="2026-11-23T10:00:00, without quotes") from None


def _severity(value: object, where: str) -> Severity:
    try:
        return Severity[str(value).upper()]
    except KeyError:
        names = ", ".join(one.name.lower() for one in Severity)
        raise UsageError(f"{where}: there is no {value!r}", hint=f"one of {names}") from None


def _known(table: object, names: Collection[str], where: str) -> None:
    if not isinstance(table, Mapping):
        raise UsageError(f"{where} is a table", hint=f"of {', '.join(names)}")
    for key in table:
        if key not in names:
            raise UsageError(f"{where} has no {key!r}", hint=_near(key, names))


def _near(word: str, words: Collection[str]) -> str:
    close = difflib.get_close_matches(word, words, n=1)
    return f"did you mean {close[0]!r}?" if close else f"one of {', '.join(words)}"
