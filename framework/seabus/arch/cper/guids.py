# SPDX-License-Identifier: Apache-2.0
"""GUIDs of section types and of notification types, with their names."""

import uuid
from collections.abc import Mapping


def _named(pairs: Mapping[str, str]) -> Mapping[uuid.UUID, str]:
    return {uuid.UUID(guid): name for guid, name in pairs.items()}


PROCESSOR_GENERIC = uuid.UUID("9876ccad-47b4-4bdb-b65e-16f193c4f3db")
PROCESSOR_ARM = uuid.UUID("e19e3d16-bc11-11e4-9caa-c2051d5d46b0")
PLATFORM_MEMORY = uuid.UUID("a5bc1114-6f64-4ede-b863-3e83ed7c83b1")
PLATFORM_MEMORY_2 = uuid.UUID("61ec04fc-48e6-d813-25c9-8daa44750b12")
PCIE = uuid.UUID("d995e954-bbc1-430f-ad91-b44dcb3c6f35")
FIRMWARE_RECORD = uuid.UUID("81212a96-09ed-4996-9471-8d729c8e69ed")
PCI_BUS = uuid.UUID("c5753963-3b84-4095-bf78-eddad3f9c9dd")
PCI_COMPONENT = uuid.UUID("eb5e4685-ca66-4769-b6a2-26068b001326")
CXL_PROTOCOL = uuid.UUID("80b9efb4-52b5-4de3-a777-68784b771048")
CXL_GENERAL_MEDIA = uuid.UUID("fbcd0a77-c260-417f-85a9-088b1621eba6")
CXL_DRAM = uuid.UUID("601dcbb3-9c06-4eab-b8af-4e9bfb5c9624")
CXL_MEMORY_MODULE = uuid.UUID("fe927475-dd59-4339-a586-79bab113b774")
CXL_MEMORY_SPARING = uuid.UUID("e71f3a40-2d29-4092-8a39-4d1c966c7c65")

#: CXL component events. Source: CXL 3.1 section 8.2.9.2.1 table 8-43, Event Record Identifier; a CPER
#: carries the identifier as a GUID, see Linux include/linux/cper.h.
CXL_EVENT_TYPES: Mapping[uuid.UUID, str] = {
    CXL_GENERAL_MEDIA: "CXL general media event",
    CXL_DRAM: "CXL DRAM event",
    CXL_MEMORY_MODULE: "CXL memory module event",
    CXL_MEMORY_SPARING: "CXL memory sparing event",
    **_named(
        {
            "77cf9271-9c02-470b-9fe4-bc7b75f2da97": "CXL physical switch event",
            "40d26425-3396-4c4d-a5da-3d47263af425": "CXL virtual switch event",
            "8dc44363-0c96-4710-b7bf-04bb99534c3f": "CXL MLD port event",
            "ca95afa7-f183-4018-8c2f-95268e101a2a": "CXL dynamic capacity event",
        }
    ),
}

#: Section types by GUID. Source: UEFI 2.11 appendix N.2.2, Section Descriptor, and the sections that it
#: leaves out: memory 2 (N.2.6), CCIX (N.2.12), CXL protocol error (N.2.13), FRU memory poison (N.2.15).
#: The GUID printed there for IPF has one byte too many; this is the one of the SAL specification.
SECTION_TYPES: Mapping[uuid.UUID, str] = {
    PROCESSOR_GENERIC: "processor, generic",
    PROCESSOR_ARM: "processor, ARM",
    PLATFORM_MEMORY: "platform memory",
    PLATFORM_MEMORY_2: "platform memory 2",
    PCIE: "PCI Express",
    FIRMWARE_RECORD: "firmware error record reference",
    PCI_BUS: "PCI/PCI-X bus",
    PCI_COMPONENT: "PCI component or device",
    CXL_PROTOCOL: "CXL protocol error",
    **CXL_EVENT_TYPES,
    **_named(
        {
            "dc3ea0b0-a144-4797-b95b-53fa242b6e1d": "processor, IA32/X64",
            "e429faf1-3cb7-11d4-bca7-0080c73c8881": "processor, IPF",
            "5b51fef7-c79d-4434-8f1b-aa62de3e2c64": "DMAr, generic",
            "71761d37-32b2-45cd-a7d0-b0fedd93e8cf": "DMAr, Intel VT for Directed I/O",
            "036f84e1-7f37-428c-a79e-575fdfaa84ec": "DMAr, IOMMU",
            "91335ef6-ebfb-4478-a6a6-88b728cf75d7": "CCIX PER log",
            "5e4706c1-5356-48c6-930b-52f2120a4458": "FRU memory poison",
        }
    ),
}

#: What made firmware or a system write a record. Source: UEFI 2.11 appendix N.2.1.1, Notification Type.
NOTIFICATION_TYPES: Mapping[uuid.UUID, str] = _named(
    {
        "2dce8bb1-bdd7-450e-b9ad-9cf4ebd4f890": "corrected machine check (CMC)",
        "4e292f96-d843-4a55-a8c2-d481f27ebeee": "corrected platform error (CPE)",
        "e8f56ffe-919c-4cc5-ba88-65abe14913bb": "machine check exception (MCE)",
        "cf93c01f-1a16-4dfc-b8bc-9c4daf67c104": "PCI Express error (PCIe)",
        "cc5263e8-9308-454a-89d0-340bd39bc98e": "INIT record (INIT)",
        "5bad89ff-b7e6-42c9-814a-cf2485d6e98a": "non-maskable interrupt (NMI)",
        "3d61a466-ab40-409a-a698-f362d464b38f": "boot error record (BOOT)",
        "667dd791-c6b3-4c27-8a6b-0f8e722deb41": "DMA remapping error (DMAr)",
        "9a78788a-bbe8-11e4-809e-67611e5d46b0": "synchronous external abort (SEA)",
        "5c284c81-b0ae-4e87-a322-b04c85624323": "SError interrupt (SEI)",
        "09a9d5ac-5204-4214-96e5-94992e752bcd": "platform error interrupt (PEI)",
        "69293bc9-41df-49a3-b4bd-4fb0db3041f6": "CXL component",
    }
)
