# SPDX-License-Identifier: Apache-2.0
"""Whether a value of a TOML file is of a Python type, and how that type is told to who wrote the file."""

from __future__ import annotations

from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from seabus.arch.addresses import GuestPhysical, GuestVirtual, HostPhysical, VmmVirtual

_ADDRESSES: Final = (GuestPhysical, GuestVirtual, HostPhysical, VmmVirtual)
_CALLED: Final[dict[Any, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    Path: "a string",
    dict: "a table",
}


def fits(value: object, hint: Any) -> bool:  # noqa: ANN401 - a type, of any form
    """Whether a value of TOML can be given where Python wants this type."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in get_args(hint))
    if origin is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if origin is tuple:
        return isinstance(value, list) and all(fits(one, get_args(hint)[0]) for one in value)
    if hint is bool:
        return isinstance(value, bool)
    if isinstance(value, bool) or hint is NoneType:
        return False
    if hint is float:
        return isinstance(value, int | float)
    if hint in _ADDRESSES:
        return isinstance(value, int) and 0 <= value < 1 << 64
    return isinstance(value, str if hint is Path else hint)


def typed(value: Any, hint: Any) -> Any:  # noqa: ANN401 - both of any kind
    """A value that fits, as Python wants it: arrays as tuples, addresses of their space."""
    if isinstance(value, list):
        return tuple(value)
    if type(value) is int:
        space = next((one for one in get_args(hint) or (hint,) if one in _ADDRESSES), None)
        return value if space is None else space(value)
    return value


def words_of(hint: Any) -> list[str]:  # noqa: ANN401 - a type, of any form
    """The words that may stand there, if it takes no others."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [word for one in get_args(hint) for word in words_of(one)]


def called(hint: Any) -> str:  # noqa: ANN401 - a type, of any form
    """A type in words."""
    if get_origin(hint) is tuple:
        return f"an array, each of it {called(get_args(hint)[0])}"
    if hint in _ADDRESSES:
        return "an address: a whole number"
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    parts = [one for one in get_args(hint) if one is not NoneType]
    if len(parts) > 1 and all(get_origin(one) is Literal for one in parts):
        return f"one of {', '.join(words_of(hint))}"
    return " or ".join(dict.fromkeys(map(called, parts))) if parts else _CALLED.get(hint, str(hint))
