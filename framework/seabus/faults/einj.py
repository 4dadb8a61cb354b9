# SPDX-License-Identifier: Apache-2.0
"""EINJ: firmware is asked to break a page for real (ACPI 6.5, 18.6; Linux drivers/acpi/apei/einj-core.c).

Only servers have it: the emulated machines have no EINJ table. The protocol of its files is tested here;
that an error then happens was never seen on hardware by us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from seabus.arch.addresses import HostPhysical
from seabus.arch.einj import einj_error_types
from seabus.channel.interface import Commands
from seabus.errors import CapabilityError, MachineError
from seabus.faults.fault import Receipt
from seabus.observe.events import Event, Level
from seabus.world.world import World

#: The kernel's directory (Documentation/firmware-guide/acpi/apei/einj.rst).
FOLDER: Final = "/sys/kernel/debug/apei/einj"

_MEMORY_UNCORRECTABLE: Final = 1 << 4
#: Valid bits of the address mask: the whole page is meant.
_PAGE_MASK: Final = 0xFFFF_FFFF_FFFF_F000
#: ``flags``: memory address and mask are valid (ACPI 6.5, table 18.30).
_MEMORY_VALID: Final = 2
_RESTORED: Final = ("error_type", "flags", "param1", "param2", "notrigger")


@dataclass(frozen=True, kw_only=True)
class Einj:
    """A page of a lab host is broken by its firmware.

    :param error_type: one bit of :data:`seabus.arch.einj.EINJ_ERROR_TYPES`.
    :param trigger: let firmware make the error happen at once; else it waits until somebody reads the page.
    :param folder: the kernel's files.
    """

    address: HostPhysical
    error_type: int = _MEMORY_UNCORRECTABLE
    trigger: bool = True
    level: Level = "L1"
    folder: str = FOLDER

    @property
    def pfn(self) -> int:
        """The page frame of L1."""
        return self.address.pfn

    def described(self) -> Mapping[str, Any]:
        return {
            "kind": "einj",
            "address": str(self.address),
            "address_space": "L1 physical",
            "error_type": ", ".join(einj_error_types(self.error_type)),
        }

    async def put_in(self, world: World) -> Receipt | None:
        """Fill the files in, ask for the error, and leave the files as they were.

        :raises CapabilityError: no EINJ, or its firmware does not have this type.
        :raises MachineError: the kernel or firmware refuses.
        """
        await inject(world.l1, self)
        if self.trigger:
            return None
        return Receipt(witness="L1 EINJ", facts={"armed": str(self.address)})

    def receipt(self, event: Event) -> Receipt | None:
        """memory_failure() dealt with this page frame, or APEI logged its address."""
        if event.level != "L1":
            return None
        if event.kind == "memory_failure" and event.fields["pfn"] == self.address.pfn:
            return Receipt(witness=f"L1 {event.witness}", facts={"pfn": hex(self.address.pfn)})
        address = event.fields.get("physical_address") if event.kind == "ghes" else None
        if address is not None and address >> 12 == self.address.pfn:
            return Receipt(witness=f"L1 {event.witness}", facts={"address": hex(address)})
        return None


async def available(commands: Commands, folder: str = FOLDER) -> int:
    """The error types that a host's firmware can inject, as a mask.

    :raises CapabilityError: it has no EINJ.
    """
    listing = await commands.run("cat", f"{folder}/available_error_type")
    if listing.exit != 0:
        raise CapabilityError(
            "the host has no EINJ",
            hint="an EINJ table (a firmware setting), CONFIG_ACPI_APEI_EINJ, debugfs mounted",
            capability="einj",
        )
    # "0x00000010\tMemory Uncorrectable non-fatal", a line a type.
    return sum(int(line.split()[0], 16) for line in listing.text.splitlines() if line.startswith("0x"))


async def inject(commands: Commands, fault: Einj) -> None:
    """The protocol of the files; see :meth:`Einj.put_in`."""
    if not await available(commands, fault.folder) & fault.error_type:
        raise CapabilityError(
            f"the host's firmware cannot inject `{', '.join(einj_error_types(fault.error_type))}`",
            hint=f"{fault.folder}/available_error_type lists what it can",
            capability="einj",
        )
    before = {name: await _read(commands, fault, name) for name in _RESTORED}
    wanted = {
        "error_type": hex(fault.error_type),
        "flags": hex(_MEMORY_VALID),
        "param1": str(fault.address),
        "param2": hex(_PAGE_MASK),
        "notrigger": "0x0" if fault.trigger else "0x1",
    }
    try:
        for name, text in wanted.items():
            await _write(commands, fault, name, text)
        await _write(commands, fault, "error_inject", "1")
    finally:
        for name, text in before.items():
            await _write(commands, fault, name, text)


async def _read(commands: Commands, fault: Einj, name: str) -> str:
    return (await commands.run("cat", f"{fault.folder}/{name}")).must_succeed().text.strip() or "0x0"


async def _write(commands: Commands, fault: Einj, name: str, text: str) -> None:
    result = await commands.run("sh", "-c", 'echo "$1" >"$2"', "sh", text, f"{fault.folder}/{name}")
    if result.exit != 0:
        raise MachineError(
            f"EINJ refuses {name} = {text}",
            hint="dmesg of the host says why",
            details={"stderr": result.stderr.decode(errors="backslashreplace")},
        )
