# SPDX-License-Identifier: Apache-2.0
"""ESR_ELx, the register that says why an exception was taken: decoded and built from tables.

>>> print(decode_esr(0x92000047).summary())
EC 0x24 data abort from a lower EL, IL, WnR, DFSC 0x07 translation fault, level 3
>>> encode_data_abort(lower_el=True, fnv=True, dfsc=0x10)
Esr(0x92000410)

Layout (Arm ARM DDI 0487, ESR_EL1)::

    63    56 55        32 31  26 25 24                 0
    +-------+------------+------+--+-------------------+
    | RES0  |    ISS2    |  EC  |IL|        ISS        |
    +-------+------------+------+--+-------------------+

============================  ====================================================================
``value``, ``syndrome``       a register, and what it says
``encode``, ``builders``      the way back, by the names of fields
``classes``, ``faults``       tables: exception classes, fault status codes
``aborts``, ``serror``,
``traps``, ``software``       tables: the layout of the ISS and ISS2 of each class
``plans``                     why a million of them decode in seconds
============================  ====================================================================
"""

from seabus.arch._bits import Field
from seabus.arch.esr.builders import (
    encode_data_abort,
    encode_instruction_abort,
    encode_serror,
    qemu_sea_esr,
)
from seabus.arch.esr.classes import EXCEPTION_CLASSES, ExceptionClass
from seabus.arch.esr.encode import BadEsrField, encode_esr
from seabus.arch.esr.faults import DATA_FAULTS, INSTRUCTION_FAULTS, FaultStatus
from seabus.arch.esr.syndrome import Syndrome, decode_esr
from seabus.arch.esr.value import Esr

__all__ = [
    "DATA_FAULTS",
    "EXCEPTION_CLASSES",
    "INSTRUCTION_FAULTS",
    "BadEsrField",
    "Esr",
    "ExceptionClass",
    "FaultStatus",
    "Field",
    "Syndrome",
    "decode_esr",
    "encode_data_abort",
    "encode_esr",
    "encode_instruction_abort",
    "encode_serror",
    "qemu_sea_esr",
]
