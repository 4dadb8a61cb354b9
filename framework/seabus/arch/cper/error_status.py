# SPDX-License-Identifier: Apache-2.0
"""The error status word: what a component's error registers say, in generic codes."""

from seabus.arch._layout import Part

# UEFI 2.11 appendix N.2.1.2, Error Types.
_ERROR_TYPES = {
    0: "no error type",
    1: "error detected internal to the component",
    4: "storage error in memory (DRAM)",
    5: "storage error in TLB",
    6: "storage error in cache",
    7: "error in one or more functional units",
    8: "component failed self test",
    9: "overflow or undervalue of internal queue",
    16: "error detected in the bus",
    17: "virtual address not found on IO-TLB or IO-PDIR",
    18: "improper access error",
    19: "access to a memory address which is not mapped to any component",
    20: "loss of lockstep",
    21: "response not associated with a request",
    22: "bus parity error",
    23: "detection of a protocol error",
    24: "detection of a PATH_ERROR",
    25: "bus operation timeout",
    26: "a read was issued to data that has been poisoned",
}

# UEFI 2.11 appendix N.2.1.2, Error Status Fields.
ERROR_STATUS = (
    Part("error_type", 15, 8, names=_ERROR_TYPES),
    Part("address", 16, 16, title="detected on the address signals"),
    Part("control", 17, 17, title="detected on the control signals"),
    Part("data", 18, 18, title="detected on the data signals"),
    Part("responder", 19, 19, title="detected by the responder of the transaction"),
    Part("requester", 20, 20, title="detected by the requester of the transaction"),
    Part("first_error", 21, 21, title="the first of several errors"),
    Part("overflow", 22, 22, title="further errors were not logged"),
)
