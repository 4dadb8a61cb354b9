# SPDX-License-Identifier: Apache-2.0
"""EINJ: firmware is asked to break a page for real (ACPI 6.5, 18.6; Linux drivers/acpi/apei/einj-core.c).

Only servers have it: the emulated machines have no EINJ table. The protocol of its files is tested here;
that an error then happens was never seen on hardware by us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from seabus.arch.addresses import HostPhysical
from seabus.arch.einj import einj_error_types
from seabus.channel.interface import Commands
from seabus.errors import CapabilityError, MachineError
from seabus.faults import permission
from seabus.faults.fault import Receipt
from seabus.observe.events import Event, Level
from seabus.world.world import World

#: The kernel's directory (Documentation/firmware-guide/acpi/apei/einj.rst).
FOLDER: Final = "/sys/kernel/debug/apei/einj"

#: What breaks a page as a memory error does: uncorrected, and the host lives on.
MEMORY_UNCORRECTABLE: Final = 1 << 4
#: Valid bits of the address mask: the whole page is meant. The kernel takes nothing coarser.
_PAGE_MASK: Final = 0xFFFF_FFFF_FFFF_F000
#: ``flags``: which parameters are valid (ACPI 6.5, table 18.30): 1 the processor in param3, 2 the memory
#: address and mask in param1 and param2, 4 the PCIe segment, bus, device and function in param4.
_MEMORY_VALID: Final = 2
#: What must be there for a page to be named: the firmware's table has ACPI 5's extension.
_PARAMETERS: Final = ("flags", "param1", "param2")
#: ``error_type`` comes last: each of the others can be put back whatever it is.
_RESTORED: Final = ("flags", "param1", "param2", "param3", "param4", "notrigger", "error_type")


@dataclass(frozen=True, kw_only=True)
class Einj:
    """A page of a lab host is broken by its firmware.

    :param error_type: one bit of :data:`seabus.arch.einj.EINJ_ERROR_TYPES`.
    :param trigger: let firmware make the error happen at once; else it waits until somebody reads the page.
    :param folder: the kernel's files.
    """

    address: HostPhysical
    error_type: int = MEMORY_UNCORRECTABLE
    trigger: bool = True
    level: Level = field(default="L1", init=False)
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

        :raises CapabilityError: no EINJ, or its firmware does not have this type, or takes no address.
        :raises MachineError: the kernel or firmware refuses, or the files are not as they were.
        """
        await must_be_able(world.l1, self)
        await permission.ask(world, "einj", self.pfn)
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


async def can_break_memory(commands: Commands, folder: str = FOLDER) -> bool:
    """Whether a host's firmware can break a page that is named to it: whether :class:`Einj` is of use."""
    try:
        await must_be_able(commands, Einj(address=HostPhysical(0), folder=folder))
    except CapabilityError:
        return False
    return True


async def must_be_able(commands: Commands, fault: Einj) -> None:
    """Whether firmware has the type, and takes an address; nothing is written.

    :raises CapabilityError: it does not.
    """
    if not await available(commands, fault.folder) & fault.error_type:
        raise CapabilityError(
            f"the host's firmware cannot inject `{', '.join(einj_error_types(fault.error_type))}`",
            hint=f"{fault.folder}/available_error_type lists what it can",
            capability="einj",
        )
    for name in _PARAMETERS:
        if await _read(commands, fault, name) is None:
            raise CapabilityError(
                f"the host's EINJ has no {name}: its firmware cannot be told which page",
                hint="it needs ACPI 5's SET_ERROR_TYPE_WITH_ADDRESS (a firmware setting)",
                capability="einj",
            )


async def inject(commands: Commands, fault: Einj) -> None:
    """The protocol of the files; see :meth:`Einj.put_in`."""
    before = {name: text for name in _RESTORED if (text := await _read(commands, fault, name)) is not None}
    wanted = {
        "flags": hex(_MEMORY_VALID),
        "param1": str(fault.address),
        "param2": hex(_PAGE_MASK),
        "param3": "0x0",
        "param4": "0x0",
        "notrigger": "0x0" if fault.trigger else "0x1",
        "error_type": hex(fault.error_type),
    }
    try:
        for name, text in wanted.items():
            if name in before:
                await _write(commands, fault, name, text)
        await _write(commands, fault, "error_inject", "1")
    except BaseException as error:
        if (left := await _put_back(commands, fault, before)) and isinstance(error, MachineError):
            error.details.setdefault("EINJ's files", left)
        raise
    if left := await _put_back(commands, fault, before):
        raise MachineError(f"EINJ's files are not as they were: {left}", hint="reboot the host")


async def _put_back(commands: Commands, fault: Einj, before: Mapping[str, str]) -> str:
    """Each file, whatever comes of the others; what could not be, in words."""
    left = []
    for name, text in before.items():
        # The kernel begins with no error type, and takes none: that one stays the last that was used.
        if name == "error_type" and int(text, 16) == 0:
            continue
        try:
            await _write(commands, fault, name, text)
        except MachineError as error:
            left.append(error.message)
    return "; ".join(left)


async def _read(commands: Commands, fault: Einj, name: str) -> str | None:
    """What a file holds, ``0x10``; None if it is not there."""
    result = await commands.run("cat", f"{fault.folder}/{name}")
    return (result.text.strip() or "0x0") if result.exit == 0 else None


async def _write(commands: Commands, fault: Einj, name: str, text: str) -> None:
    result = await commands.run("sh", "-c", 'echo "$1" >"$2"', "sh", text, f"{fault.folder}/{name}")
    if result.exit != 0:
        raise MachineError(
            f"EINJ refuses {name} = {text}",
            hint="dmesg of the host says why",
            details={"stderr": result.stderr.decode(errors="backslashreplace")},
        )
