# SPDX-License-Identifier: Apache-2.0
"""Error records: status blocks of ACPI and CPER records of UEFI, with the sections inside.

The same formats travel at two levels: L1's firmware describes L1's memory, QEMU describes the guest's.
So a :class:`MemorySection` holds plain integers, and the caller, who knows the level, gives them a type
of :mod:`seabus.arch.addresses`.

>>> import uuid
>>> from seabus.arch.addresses import HostPhysical
>>> from seabus.arch.cper import decode_status_block, describe, memory_error_record
>>> record = memory_error_record(HostPhysical(0x10123f000), fru_id=uuid.UUID(int=1))
>>> hex(record.block_status), len(record.encode())
('0x11', 172)
>>> decode_status_block(record.encode()) == record
True
>>> print(next(row for row in describe(record) if row.name == "error_type"))
entry[0].section.error_type 0x03 multi-bit ECC

Three rules hold for all of them. A field that is ``None`` is not declared valid by the record. What no
valid field stands for (reserved bytes, fields that are not valid) is kept as ``residue``, undefined
validation bits as ``unknown_valid``, so that a record is written back bit by bit as it was read; what is
wrong with it is in :func:`remarks`. And what cannot be read raises :exc:`MalformedRecord`.
"""

import lazy_loader  # what is offered is said in __init__.pyi

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
