# SPDX-License-Identifier: Apache-2.0
"""Addresses: arithmetic, paging, order, and what is refused at run time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch.addresses import GuestPhysical, GuestVirtual, HostPhysical, VmmVirtual, _Address

Space = type[_Address]
SPACES: tuple[Space, ...] = (GuestVirtual, GuestPhysical, VmmVirtual, HostPhysical)

spaces = st.sampled_from(SPACES)
words = st.integers(0, 2**64 - 1)


def test_the_bad_page_of_facts_md() -> None:
    address = HostPhysical(0x10123F123)
    assert str(address) == "0x10123f123"
    assert address.page() == HostPhysical(0x10123F000)
    assert address.page(21) == HostPhysical(0x101200000)
    assert address.offset_in_page() == 0x123
    assert address.pfn == 0x10123F
    assert HostPhysical.from_pfn(0x10123F) == address.page()


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_outside_64_bits(space: Space, value: int) -> None:
    with pytest.raises(ValueError, match="outside 64 bits"):
        space(value)


def test_sums_stay_inside_64_bits() -> None:
    with pytest.raises(ValueError, match="outside 64 bits"):
        GuestPhysical(2**64 - 1) + 1
    with pytest.raises(ValueError, match="outside 64 bits"):
        GuestPhysical(0) + -1


@given(spaces, words, st.sampled_from([12, 14, 16, 21, 30]))
def test_page_and_offset_make_the_address(space: Space, value: int, shift: int) -> None:
    address = space(value)
    page = address.page(shift)
    assert type(page) is space
    assert page + address.offset_in_page(shift) == address
    assert page <= address
    assert address - page == address.offset_in_page(shift)


@given(spaces, words, words)
def test_order_is_that_of_the_values(space: Space, left: int, right: int) -> None:
    assert (space(left) < space(right)) == (left < right)
    assert (space(left) >= space(right)) == (left >= right)
    assert (space(left) == space(right)) == (left == right)
    assert space(left) - space(right) == left - right


def test_spaces_do_not_mix() -> None:
    ours, theirs = GuestPhysical(0x1000), HostPhysical(0x1000)
    assert len({ours, theirs}) == 2
    with pytest.raises(TypeError):
        HostPhysical(ours)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ours - theirs  # type: ignore[operator]
    with pytest.raises(TypeError):
        ours < theirs  # type: ignore[operator]  # noqa: B015
    with pytest.raises(TypeError):
        ours + ours  # type: ignore[operator]


def test_virtual_addresses_have_no_frame_number() -> None:
    assert not hasattr(GuestVirtual(0), "pfn")
    assert not hasattr(VmmVirtual(0), "pfn")
