# SPDX-License-Identifier: Apache-2.0
"""What an agent may answer (``docs/reference/agent-protocol.md``): the guest is not trusted to keep to it.

Each verb has a shape; what does not fit is a :class:`ValueError` that names the place.

>>> read("read", {"data": "c2VhYnVz", "eof": True})
{'data': b'seabus', 'eof': True}
>>> read("read", {"data": "c2VhYnVz"})
Traceback (most recent call last):
ValueError: eof is missing
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from seabus.arch.sigbus import SigbusInfo

#: Takes what JSON gave and returns what is passed on, or raises ValueError.
Shape = Callable[[Any], Any]

_HEX: Final = re.compile(r"0x[0-9a-f]{1,32}")
_PFN_BITS: Final = 52
_SHOWN: Final = 40  # characters of what is wrong: a guest may say a lot


def read(verb: str, answer: object) -> Mapping[str, Any]:
    """The ``ok`` of a verb's reply, bytes decoded.

    :param verb: one of the protocol's; ``exec detached`` for one that is not waited for.
    :raises ValueError: it is not of the verb's shape.
    """
    found: Mapping[str, Any] = _REPLIES[verb](answer)
    return found


def read_stream(verb: str, message: object) -> Mapping[str, Any]:
    """A stream message of a verb that has them; likewise.

    :raises ValueError: it is not of the shape, or the verb has none.
    """
    if verb not in _STREAMS:
        raise ValueError(f"a stream message to {verb}, which has none")
    found: Mapping[str, Any] = _STREAMS[verb](message)
    return found


def _wrong(value: object, should: str) -> ValueError:
    return ValueError(f"{value!r:.{_SHOWN}} is not {should}")


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(1 << 63) <= value < 1 << 64:
        raise _wrong(value, "an integer of 64 bits")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(value, "a string")
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, "true or false")
    return value


def _hex(value: object) -> str:
    if not _HEX.fullmatch(_text(value)):
        raise _wrong(value, "hexadecimal")
    return _text(value)


def _address(value: object) -> str:
    if int(_hex(value), 16) >> 64:
        raise _wrong(value, "an address of 64 bits")
    return _text(value)


def _pfn(value: object) -> str:
    if int(_hex(value), 16) >> _PFN_BITS:
        raise _wrong(value, "the number of a page frame")
    return _text(value)


def _bytes(value: object) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except ValueError as error:
        raise _wrong(value, "base64") from error


def _signal(value: object) -> Any:  # noqa: ANN401 - as it came
    if not isinstance(value, Mapping):
        raise _wrong(value, "a signal")
    SigbusInfo.from_mapping(value)
    return value


def _maybe(shape: Shape) -> Shape:
    return lambda value: None if value is None else shape(value)


def _many(shape: Shape) -> Shape:
    def read_all(value: object) -> list[Any]:
        if not isinstance(value, list):
            raise _wrong(value, "an array")
        return [_at(str(number), shape, one) for number, one in enumerate(value)]

    return read_all


def _members(_also: Mapping[str, Shape] | None = None, /, **needed: Shape) -> Shape:
    """An object; members that are not named are passed on as they are.

    :param _also: those that may be absent.
    """
    also = _also or {}

    def read_object(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong(value, "an object")
        if missing := needed.keys() - value.keys():
            raise ValueError(f"{min(missing)} is missing")
        shapes = {**also, **needed}
        return {name: _at(name, shapes[name], one) if name in shapes else one for name, one in value.items()}

    return read_object


def _at(place: str, shape: Shape, value: object) -> Any:  # noqa: ANN401 - as the shape has it
    try:
        return shape(value)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


_NOTHING: Final = _members()
_ENDED: Final = {"exit": _integer, "signal": _integer}
_NOW: Final = _members(mono_ns=_integer, counter=_integer, counter_hz=_integer)


def _heard(value: object) -> dict[str, Any]:
    _signal(value)
    found: dict[str, Any] = _members(number=_integer, mono_ns=_integer, touching=_boolean)(value)
    return found


_REPLIES: Final[Mapping[str, Shape]] = {
    "hello": _members(
        boot_id=_text,
        kernel=_text,
        cpus=_integer,
        page_size=_integer,
        nonce=_maybe(_text),
        pid=_integer,
        mono_ns=_integer,
        reseeded=_boolean,
    ),
    "clock": _NOW,
    "tick": _members(cpus=_many(_integer)),
    "leap": _NOTHING,
    "exec": _members(_ENDED, stdout=_bytes, stderr=_bytes, truncated=_boolean),
    "exec detached": _members(pid=_integer),
    "alive": _members(_ENDED, alive=_boolean, comm=_maybe(_text), state=_maybe(_text)),
    "kill": _NOTHING,
    "threads": _members(threads=_many(_members(tid=_integer, comm=_text))),
    "read": _members(data=_bytes, eof=_boolean),
    "write": _members(written=_integer),
    "follow": _members({"errno": _integer}, ended=_text),
    "stop": _NOTHING,
    "pagemap": _members(
        pages=_many(_members(address=_address, present=_boolean, pfn=_pfn, file=_boolean, exclusive=_boolean))
    ),
    "victim": _members(
        victim=_integer,
        pid=_integer,
        tid=_integer,
        tids=_many(_integer),
        address=_address,
        length=_integer,
        page_size=_integer,
        huge=_integer,
        filesystem=_maybe(_hex),
    ),
    "touch": _members(
        {
            "value": _hex,
            "expected": _maybe(_hex),
            "signal": _signal,
            "died": _members(_ENDED),
            "result": _integer,
            "errno": _integer,
            "accesses": _integer,
            "wrong": _integer,
            "address": _address,
            "mono_ns": _integer,
        }
    ),
    "signals": _members(
        {"died": _maybe(_members(_ENDED))},
        signals=_many(_heard),
        count=_integer,
        threads=_many(_members(tid=_integer, touching=_boolean, accesses=_integer)),
    ),
    "end": _NOTHING,
}
_STREAMS: Final[Mapping[str, Shape]] = {
    "tick": _members(cpu=_integer),
    "follow": _members(data=_bytes),
}
