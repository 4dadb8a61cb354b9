# SPDX-License-Identifier: Apache-2.0
"""``seabus image``: the images and templates in the cache."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from seabus.errors import UsageError
from seabus.images import emulator, guests
from seabus.images.manifest import is_users_own
from seabus.images.store import Entry, Store, key_of
from seabus.report.progress import teller

_MANIFEST_FIELDS: Final = ("kind", "key", "made", "inputs", "notes", "files")


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "image",
        help="build, list, show and clean images and templates",
        description="The emulator (L0), the guests' kernel and root (L1, L2), and frozen worlds, all cached.",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    build = verbs.add_parser("build", help="build what is missing (done by `seabus run` as well)")
    build.add_argument("--suite", help="Debian suite to take packages from [SEABUS_SUITE]")
    build.add_argument("--mirror", help="base address of a package archive [SEABUS_MIRROR]")
    build.add_argument("--again", action="store_true", help="build even what is there")
    build.add_argument("--json", action="store_true", help="a list of objects, as of `list`")
    build.set_defaults(main=_build)

    listing = verbs.add_parser("list", help="what is in the cache")
    listing.add_argument("--json", action="store_true", help="a list of objects")
    listing.set_defaults(main=_list)

    show = verbs.add_parser("show", help="an entry's manifest: packages, versions, digests")
    show.add_argument("name", help="a name, or the start of one, as `list` shows it")
    show.set_defaults(main=_show)

    clean = verbs.add_parser(
        "clean",
        help="delete images and templates",
        description="Delete what can be made again. States that were frozen by name cannot, and are kept.",
    )
    which = clean.add_mutually_exclusive_group()
    which.add_argument("--templates", action="store_true", help="only templates of worlds")
    which.add_argument("--states", action="store_true", help="only the states that were frozen by name")
    clean.add_argument("--json", action="store_true", help="a list of the names of what was deleted")
    clean.set_defaults(main=_clean)


def _build(arguments: argparse.Namespace) -> int:
    for variable, value in (("SEABUS_SUITE", arguments.suite), ("SEABUS_MIRROR", arguments.mirror)):
        if value:
            os.environ[variable] = value
    store = Store()
    say = teller()
    if arguments.again:
        for kind, inputs in (("emulator", emulator.inputs()), ("guests", guests.inputs())):
            path = store.path(kind, key_of(inputs))
            if path.is_dir():  # sound or damaged: that is not the question here
                store.remove(path)
    entries = [emulator.get(store, say=say).entry, guests.get(store, say=say).entry]
    if arguments.json:
        print(json.dumps([_as_json(entry) for entry in entries], indent=1))
        return 0
    for entry in entries:
        print(entry.path)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    store = Store()
    entries = store.readable()
    if arguments.json:
        print(json.dumps([_as_json(entry) for entry in entries], indent=1))
        return 0
    for entry in entries:
        print(f"{entry.path.name:<32} {entry.manifest['made']}  {_size_mib(entry):6.0f} MiB")
    for path in store.entries():
        if path not in (entry.path for entry in entries):
            print(f"{path.name:<32} damaged")
    print(f"in {store.root}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    store = Store()
    entry = _only(store, arguments.name)
    print(json.dumps({name: entry.manifest[name] for name in _MANIFEST_FIELDS}, indent=1))
    return 0


def _clean(arguments: argparse.Namespace) -> int:
    store = Store()
    store.sweep()
    deleted = []
    for path in store.entries():
        chosen = path.name.startswith("template-") if arguments.templates else True
        if chosen and is_users_own(path) == arguments.states:
            store.remove(path)
            deleted.append(path.name)
            if not arguments.json:
                print(f"deleted {path.name}")
    if arguments.json:
        print(json.dumps(deleted, indent=1))
    return 0


def _only(store: Store, name: str) -> Entry:
    found: Sequence[Path] = [path for path in store.entries() if path.name.startswith(name)]
    if len(found) != 1:
        raise UsageError(f"{len(found)} entries of the cache begin with `{name}`", hint="seabus image list")
    return store.read(found[0])


def _as_json(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.path.name,
        "kind": entry.kind,
        "key": entry.key,
        "made": entry.manifest["made"],
        "mib": round(_size_mib(entry), 1),
        "path": str(entry.path),
    }


def _size_mib(entry: Entry) -> float:
    files = [entry.path / name for name in entry.manifest["files"]]
    blocks: int = sum(file.stat().st_blocks for file in files if file.exists())
    return blocks * 512 / (1 << 20)
