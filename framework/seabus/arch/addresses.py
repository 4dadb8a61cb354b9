# SPDX-License-Identifier: Apache-2.0
"""The four address spaces of a nested world, as types that cannot be mixed.

One bad page has four names. From the inside out::

    GuestVirtual  --stage 1-->  GuestPhysical        L2: a process, then its machine (the IPA)
                                     |
                                memory slot
                                     v
                                VmmVirtual           L1: the VMM process that backs the guest
                                     |
                                  stage 1
                                     v
                                HostPhysical         L1: PFN << 12, what a CPER names

Handing one to a function that wants another is an error in mypy, and a :exc:`TypeError` at run time
for arithmetic and ordering. Two addresses of different spaces are never equal.
"""

import operator
from dataclasses import dataclass
from typing import Self

#: Shift of the 4 KiB page, the granule of Linux' ``memory_failure()`` on the kernels tested here.
PAGE_SHIFT = 12


@dataclass(frozen=True, slots=True)
class _Address:
    # No __index__: an address must not slip into a place that wants a plain integer, nor into the
    # constructor of another space. int(address) is the explicit way out.
    value: int

    def __post_init__(self) -> None:
        value = operator.index(self.value)
        if not 0 <= value < 1 << 64:
            raise ValueError(f"{type(self).__name__} outside 64 bits: {value:#x}")

    def __int__(self) -> int:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:#x}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value:#x})"

    def page(self, shift: int = PAGE_SHIFT) -> Self:
        """Return the address of the page that holds this one.

        :param shift: log2 of the page size in bytes (12, 14 or 16; 21 or 30 for blocks).
        """
        return type(self)(self.value >> shift << shift)

    def offset_in_page(self, shift: int = PAGE_SHIFT) -> int:
        """Return the distance in bytes from the start of the page.

        :param shift: log2 of the page size in bytes.
        """
        return self.value & ((1 << shift) - 1)

    def __add__(self, distance: int) -> Self:
        if not isinstance(distance, int):
            return NotImplemented
        return type(self)(self.value + distance)

    def __sub__(self, other: Self) -> int:
        if type(other) is not type(self):
            return NotImplemented
        return self.value - other.value

    def __lt__(self, other: Self) -> bool:
        return self.value < other.value if type(other) is type(self) else NotImplemented

    def __le__(self, other: Self) -> bool:
        return self.value <= other.value if type(other) is type(self) else NotImplemented

    def __gt__(self, other: Self) -> bool:
        return self.value > other.value if type(other) is type(self) else NotImplemented

    def __ge__(self, other: Self) -> bool:
        return self.value >= other.value if type(other) is type(self) else NotImplemented


@dataclass(frozen=True, slots=True, repr=False)
class _Physical(_Address):
    @classmethod
    def from_pfn(cls, pfn: int) -> Self:
        """Return the first address of a page frame.

        :param pfn: page frame number as the kernel prints it, in units of 4 KiB.
        :raises ValueError: the frame lies beyond 64 bits.
        """
        return cls(pfn << PAGE_SHIFT)

    @property
    def pfn(self) -> int:
        """Page frame number, in units of 4 KiB."""
        return self.value >> PAGE_SHIFT


@dataclass(frozen=True, slots=True, repr=False)
class GuestVirtual(_Address):
    """An address of a process (or a payload with its MMU on) in L2: what the victim dereferences.

    >>> GuestVirtual(0xffff8000_1234).page()
    GuestVirtual(0xffff80001000)
    """


@dataclass(frozen=True, slots=True, repr=False)
class GuestPhysical(_Physical):
    """A physical address of L2, the IPA of stage 2: what the guest's own CPER names.

    >>> GuestPhysical(0x4123_4567).pfn
    266804
    """


@dataclass(frozen=True, slots=True, repr=False)
class VmmVirtual(_Address):
    """An address of the VMM process in L1: ``si_addr`` of the SIGBUS it receives.

    >>> VmmVirtual(0x7f00_0000_2000) - VmmVirtual(0x7f00_0000_0000)
    8192
    """


@dataclass(frozen=True, slots=True, repr=False)
class HostPhysical(_Physical):
    """A physical address of L1: ``PFN << 12`` of its kernel log, and what the CPER to L1 names.

    >>> HostPhysical.from_pfn(0x10123f)
    HostPhysical(0x10123f000)
    """
