# SPDX-License-Identifier: Apache-2.0
"""The manifest of a sealed folder: what went in, what came out, and a seal over all of that.

``manifest.json`` is exactly what :func:`written` makes of its content: one flipped bit, be it in a note, a
digest or a blank, makes it another text, or the seal another one. Its folder is called by its kind and key,
and the key is a hash of its inputs, so the manifest of another folder, and a folder in another's place, are
found as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from seabus.errors import ImageError

NAME: Final = "manifest.json"
#: Raised when a field changes its meaning. 2: with a seal.
SCHEMA: Final = 2
#: The kind of what nobody but its user can make again.
USERS_OWN: Final = "state"
_SEAL: Final = "seal"
_SHAPE: Final = {
    "schema": int,
    "kind": str,
    "key": str,
    "made": str,
    "inputs": dict,
    "notes": dict,
    "files": dict,
}


def key_of(inputs: Mapping[str, Any]) -> str:
    """A short stable hash of everything that goes into an entry (any JSON-able mapping)."""
    return hashlib.sha256(_canonical(inputs)).hexdigest()[:20]


def written(manifest: Mapping[str, Any]) -> str:
    """A manifest as text, with its seal."""
    # What is no JSON, such as a path, is text once it was written: the seal is of what can be read again.
    content = json.loads(json.dumps(manifest, default=str))
    content[_SEAL] = hashlib.sha256(_canonical(content)).hexdigest()
    return json.dumps(content, indent=1)


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a folder.

    :raises ImageError: it is not what was written, or not of this folder.
    """
    try:
        text = (folder / NAME).read_text()
        found = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(folder, "its manifest cannot be read") from error
    seal = found.pop(_SEAL, None) if isinstance(found, dict) else None
    if seal is None:
        raise damaged(folder, "its manifest has no seal, as those of an older Seabus")
    if text != written(found):
        raise damaged(folder, "its manifest is not what was written")
    manifest: dict[str, Any] = found
    if manifest.get("schema") != SCHEMA or not _is_shaped(manifest):
        raise damaged(folder, f"its manifest is none of schema {SCHEMA}")
    name = f"{manifest['kind']}-{manifest['key']}"
    if name != folder.name:
        raise damaged(folder, f"it is {name}, in another's place")
    if key_of(manifest["inputs"]) != manifest["key"]:
        raise damaged(folder, "its key is not of what went into it")
    return manifest


def is_users_own(folder: Path) -> bool:
    """Whether nobody but its user can make it again."""
    return folder.name.startswith(f"{USERS_OWN}-")


def damaged(folder: Path, what: str) -> ImageError:
    """The error for a folder that is not what was built."""
    hint = ""
    if is_users_own(folder):
        hint = f"nobody can build it again: bring {folder} back from a copy, or remove it and freeze it anew"
    return ImageError(f"{folder.name} is damaged: {what}", hint=hint)


def _is_shaped(manifest: Mapping[str, Any]) -> bool:
    return all(isinstance(manifest.get(name), kind) for name, kind in _SHAPE.items()) and all(
        isinstance(facts, dict)
        and isinstance(facts.get("size"), int)
        and isinstance(facts.get("digest"), str)
        for facts in manifest["files"].values()
    )


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), default=str).encode()
