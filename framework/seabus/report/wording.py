# SPDX-License-Identifier: Apache-2.0
"""An event in one line for people, wherever it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from seabus.arch.esr import decode_esr
from seabus.arch.sigbus import BusCode
from seabus.observe.events import Event


def describe(event: Event) -> str:
    """An event in one line; in its witness's own words where it has no fields to tell it by."""
    told = _DESCRIPTIONS.get(event.kind)
    try:
        return told(event.fields) if told else event.text
    except (KeyError, TypeError, ValueError):  # read from a file: fields of another make
        return event.text


def value(name: str, found: object) -> str:
    """A field's value: addresses, page frames and syndromes in hexadecimal."""
    if isinstance(found, list | tuple):
        return " or ".join(value(name, one) for one in found)
    if isinstance(found, int) and not isinstance(found, bool):
        if name == "code":
            return _code(found)
        return f"{found:#x}" if found > 255 or name in _HEXADECIMAL else str(found)
    return "none" if found is None else str(found)


_HEXADECIMAL: Final = frozenset(("address", "esr", "far", "fault_address", "pc", "pfn", "physical_address"))


def _ghes(fields: Mapping[str, Any]) -> str:
    address = fields["physical_address"]
    where = f" at {address:#x}" if address is not None else ""
    return f"GHES record, source {fields['source']}, {fields['severity']}{where}"


def _memory_failure(fields: Mapping[str, Any]) -> str:
    return f"memory_failure(): PFN {fields['pfn']:#x}, {fields['page_type']}: {fields['result']}"


def _sigbus(fields: Mapping[str, Any]) -> str:
    return f"SIGBUS {_code(fields['code'])} to {fields['comm']} (thread {fields['tid']})"


def _sea(fields: Mapping[str, Any]) -> str:
    syndrome = decode_esr(fields["esr"]).summary()
    return f"SEA taken: ESR_EL1 {fields['esr']:#010x} FAR {fields['far']:#x} - {syndrome}"


def _exception(fields: Mapping[str, Any]) -> str:
    return (
        f"the VMM injects a {fields['exception']} into vCPU {fields['vcpu']},"
        f" EL{fields['from_el']} to EL{fields['to_el']}, ESR_EL1 {fields['esr']:#010x}"
    )


def _siginfo(fields: Mapping[str, Any]) -> str:
    lsb = fields["lsb"]
    return f"handler: {_code(fields['code'])}, si_addr {fields['address']:#x}, si_addr_lsb {lsb}"


def _touch(fields: Mapping[str, Any]) -> str:
    return f"the victim's {fields['op']} ends"


def _inject(fields: Mapping[str, Any]) -> str:
    told = ", ".join(str(fields[name]) for name in ("severity", "address") if name in fields)
    return f"{fields['kind']}: {told}"


def _code(code: int) -> str:
    try:
        return BusCode(code).name
    except ValueError:
        return f"code {code}"


_DESCRIPTIONS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "ghes": _ghes,
    "memory_failure": _memory_failure,
    "sigbus": _sigbus,
    "sea": _sea,
    "exception": _exception,
    "siginfo": _siginfo,
    "touch": _touch,
    "inject": _inject,
}
