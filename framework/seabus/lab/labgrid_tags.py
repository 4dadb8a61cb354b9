# SPDX-License-Identifier: Apache-2.0
"""A lease's record as tags ``seabus_…`` of a labgrid place, and back.

One tag for each field of :class:`seabus.lab.lease.Record` that is not as in a new record. Tags that are not
known here are left alone, and what is missing is as in a new record: clients of several versions may share
a coordinator.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from seabus.errors import HostError
from seabus.lab.lease import Owner, Record

PREFIX: Final = "seabus_"
#: Of a lease's holder: their session, their count, and the seconds after which a count stands still.
SESSION: Final = f"{PREFIX}session"
COUNT: Final = f"{PREFIX}count"
TTL: Final = f"{PREFIX}ttl"

#: ``HOST/USER`` is labgrid's name for a client; what follows it tells ours from each other.
_OURS: Final = re.compile(r"\+[0-9a-f]{16}$")
_FIELDS: Final = {field.name: field for field in dataclasses.fields(Record) if field.name != "host"}


def to_tags(record: Record) -> dict[str, str]:
    """An empty value takes a tag away."""
    return {f"{PREFIX}{name}": _text(name, getattr(record, name)) for name in _FIELDS}


def from_tags(host: str, tags: Mapping[str, str]) -> Record:
    """The record that these tags tell of.

    :raises HostError: they are damaged.
    """
    found = {}
    for name in _FIELDS:
        if text := tags.get(f"{PREFIX}{name}"):
            try:
                found[name] = _value(name, text)
            except (ValueError, TypeError, AttributeError) as error:
                raise HostError(
                    f"the tag {PREFIX}{name} of labgrid's place {host} is damaged: {text!r}",
                    hint=f"look at the host, then: labgrid-client -p {host} set-tags {PREFIX}{name}=",
                ) from error
    record = Record(host=host, **found)
    # A process counts on, and its lease ends when the count stands still: not by a clock.
    if record.owner is not None and not record.expires:
        record = dataclasses.replace(record, expires=math.inf)
    return record


def is_ours(session: str) -> bool:
    """Whether a client of the coordinator is one of us: then it counts on, and writes tags."""
    return _OURS.search(session) is not None


def owner_named(session: str) -> Owner:
    """A client of the coordinator of whom nothing is known but the name."""
    computer, _, user = _OURS.sub("", session).partition("/")
    return _owner({"user": user, "computer": computer or "?", "pid": 0})


def _text(name: str, value: object) -> str:
    if value == _FIELDS[name].default or value == math.inf:
        return ""
    if isinstance(value, Owner):
        return json.dumps(dataclasses.asdict(value))
    return value if isinstance(value, str) else json.dumps(value)


def _value(name: str, text: str) -> Any:  # noqa: ANN401 - as the record's field
    default = _FIELDS[name].default
    if isinstance(default, str):
        return text
    value = json.loads(text)
    if isinstance(value, dict):
        return _owner(value)
    if isinstance(value, bool) != isinstance(default, bool) or not isinstance(value, (int, float)):
        raise ValueError(text)
    return value


def _owner(found: Mapping[str, Any]) -> Owner:
    """What is said of an owner; what is not said is empty, as one of another version leaves it."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Owner):
        empty = {"int": 0, "float": 0.0}.get(str(field.type), "")
        default = empty if field.default is dataclasses.MISSING else field.default
        value = found.get(field.name, default)
        values[field.name] = value if isinstance(value, (int, float, str)) else default
    return Owner(**values)
