# SPDX-License-Identifier: Apache-2.0
"""All kinds of section: which class reads which GUID."""

import uuid
from collections.abc import Mapping

from seabus.arch.cper._section import TableSection, UnknownSection
from seabus.arch.cper.arm import ArmProcessorSection
from seabus.arch.cper.cxl_event import CxlEventSection
from seabus.arch.cper.cxl_protocol import CxlProtocolSection
from seabus.arch.cper.firmware import FirmwareSection
from seabus.arch.cper.guids import CXL_EVENT_TYPES
from seabus.arch.cper.memory import MemorySection
from seabus.arch.cper.memory2 import MemorySection2
from seabus.arch.cper.pci import PciBusSection, PciComponentSection
from seabus.arch.cper.pcie import PcieSection
from seabus.arch.cper.processor import ProcessorSection

Section = (
    MemorySection
    | MemorySection2
    | ArmProcessorSection
    | ProcessorSection
    | PcieSection
    | PciBusSection
    | PciComponentSection
    | FirmwareSection
    | CxlProtocolSection
    | CxlEventSection
    | UnknownSection
)

#: Classes by the GUID that they read, for those that read one.
SECTION_CLASSES: Mapping[uuid.UUID, type[Section]] = {
    kind.guid: kind
    for kind in (
        MemorySection,
        MemorySection2,
        ArmProcessorSection,
        ProcessorSection,
        PcieSection,
        PciBusSection,
        PciComponentSection,
        FirmwareSection,
        CxlProtocolSection,
    )
}


def decode_section(guid: uuid.UUID, body: bytes, offset: int = 0) -> Section:
    """Read the section of that type.

    :param body: its bytes, all of them and no more.
    :param offset: where it starts in the whole record, for the error.
    :return: a section of the type's class, or an :class:`UnknownSection`.
    :raises MalformedRecord: a type that is decoded here, but not in this shape.
    """
    kind = SECTION_CLASSES.get(guid)
    if kind is not None and issubclass(kind, TableSection):
        return kind.decode(body, offset)
    if guid in CXL_EVENT_TYPES:
        return CxlEventSection.decode_as(guid, body, offset)
    return UnknownSection(guid, body)
