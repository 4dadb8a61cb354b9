# SPDX-License-Identifier: Apache-2.0
"""The lab file: which hosts there are, how they are reached, and what may be done to them.

::

    [lab]
    name = "rack-7"

    [hosts.altra-1]
    address = "altra-1.lab.example"
    identity = "~/.ssh/id_lab"
    host-key = "ssh-ed25519 AAAA…"
    faults = ["einj", "hard-offline", "soft-offline"]
    power-cycle = ["pdu", "cycle", "7"]

A host that is not named here can never be poisoned. ``docs/lab.md`` explains every key.
"""

from __future__ import annotations

import base64
import dataclasses
import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

import paramiko

from seabus.errors import UsageError
from seabus.toml_file import TomlFile, Where, nearest

#: Kinds of faults a host may be given (``faults``); nothing else is done to it.
FaultKind = Literal["einj", "hard-offline", "hwpoison-inject", "madvise", "soft-offline"]
Backend = Literal["embedded", "labgrid"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class LabHost:
    """One host.

    :param address: name or address of its sshd; ``port`` its TCP port.
    :param user: must be root, or what the host's agent needs to be: it breaks memory.
    :param identity: a private key file; without one, ssh-agent and the user's own keys are tried.
    :param host_key: the public host key, as in ``/etc/ssh/ssh_host_ed25519_key.pub``.
    :param capabilities: what tests may ask a host for, beyond what is probed; free words.
    :param faults: the only kinds of faults it may be given.
    :param power_cycle: a command of *this* computer that takes its power away and gives it back.
    :param console: a command of this computer that prints its console for as long as it runs.
    :param qemu: the VMM, and ``firmware`` its UEFI, on the host.
    :param folder: a folder on the host for what we push there.
    :param boot_seconds: it answers again so long after a power cycle, or never.
    """

    name: str
    address: str
    port: int = 22
    user: str = "root"
    identity: Path | None = None
    host_key: str
    capabilities: tuple[str, ...] = ()
    faults: tuple[FaultKind, ...] = ()
    power_cycle: tuple[str, ...] = ()
    console: tuple[str, ...] = ()
    qemu: str = "/usr/bin/qemu-system-aarch64"
    firmware: str = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
    folder: str = "/var/tmp/seabus"
    boot_seconds: int = 600


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A lab file.

    :param name: tells the leases of one lab from those of another.
    :param leases: who keeps them; ``coordinator`` is labgrid's address, HOST:PORT.
    """

    path: Path
    name: str
    leases: Backend = "embedded"
    coordinator: str = ""
    hosts: Mapping[str, LabHost] = field(default_factory=dict)

    def host(self, name: str) -> LabHost:
        """A host by its name.

        :raises UsageError: the lab has no such host.
        """
        if name not in self.hosts:
            near = difflib.get_close_matches(name, self.hosts, 1)
            raise UsageError(
                f"{self.path} has no host {name}",
                hint=f"did you mean {near[0]}?" if near else f"it has {', '.join(self.hosts) or 'none'}",
            )
        return self.hosts[name]


def load(path: Path) -> Lab:
    """Read a lab file.

    :raises UsageError: it cannot be read, or something in it is wrong: file, line and the nearest right key.
    """
    return _Reader(TomlFile.read(path, what="the lab file", about="docs/lab.md")).lab()


class _Reader:
    """Turns the document into values, and mistakes into errors that say where."""

    def __init__(self, file: TomlFile) -> None:
        self._path = file.path
        self._file = file
        self._wrong = file.wrong

    def lab(self) -> Lab:
        document = self._file.document
        self._file.known(document, ("lab", "hosts"), ())
        head = self._file.table(document, "lab", ())
        chosen = self._values(Lab, head, ("lab",), ignoring=("path", "hosts"))
        if chosen.get("leases", "embedded") not in get_args(Backend):
            raise self._wrong(("lab", "leases"), f"is none of {', '.join(get_args(Backend))}")
        if chosen.get("leases") == "labgrid" and not chosen.get("coordinator"):
            raise self._wrong(("lab",), "needs `coordinator` (HOST:PORT) for labgrid")
        hosts = self._file.table(document, "hosts", ())
        if not hosts:
            raise self._wrong((), "names no host: [hosts.NAME]")
        found = {name: self._host(name, hosts[name]) for name in hosts}
        self._all_different(found)
        return Lab(path=self._path, hosts=found, **{"name": self._path.stem, **chosen})

    def _all_different(self, hosts: Mapping[str, LabHost]) -> None:
        """One host under two names would be leased to two people."""
        seen: dict[tuple[str, int], str] = {}
        keys: dict[str, str] = {}
        for name, host in hosts.items():
            other = seen.setdefault((host.address.lower().rstrip("."), host.port), name)
            if other != name:
                raise self._wrong(
                    ("hosts", name, "address"), f"and its port are those of {other}, too: they are one host"
                )
            other = keys.setdefault(host.host_key, name)
            if other != name:
                raise self._wrong(
                    ("hosts", name, "host-key"),
                    f"is that of {other}, too: one host, or copies of one: those need their own",
                )

    def _host(self, name: str, table: object) -> LabHost:
        where = ("hosts", name)
        if not isinstance(table, Mapping):
            raise self._wrong(where, "is no table: [hosts.NAME]")
        if not _NAME.fullmatch(name):
            raise self._wrong(where, "is no name for a host: letters, digits, dot, dash, underscore")
        chosen = self._values(LabHost, table, where, ignoring=("name",))
        for needed in ("address", "host_key"):
            if not chosen.get(needed):
                raise self._wrong(where, f"needs `{needed.replace('_', '-')}`")
        chosen["host_key"] = self._key(chosen["host_key"], (*where, "host-key"))
        for kind in chosen.get("faults", ()):
            if kind not in get_args(FaultKind):
                raise self._wrong(
                    (*where, "faults"), f"{kind!r} is no kind of fault{nearest(kind, get_args(FaultKind))}"
                )
        if not 1 <= chosen.get("port", 22) <= 65535:
            raise self._wrong((*where, "port"), "is no TCP port")
        return LabHost(name=name, **chosen)

    def _values(
        self, kind: type, table: Mapping[str, Any], where: Where, *, ignoring: Collection[str]
    ) -> dict[str, Any]:
        fields = {
            one.name.replace("_", "-"): one for one in dataclasses.fields(kind) if one.name not in ignoring
        }
        self._file.known(table, fields, where)
        return {
            fields[key].name: self._value(str(fields[key].type), value, (*where, key))
            for key, value in table.items()
        }

    def _value(self, kind: str, value: object, where: Where) -> object:
        if kind.startswith("tuple"):
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise self._wrong(where, 'is no list of strings: ["one", "two"]')
            return tuple(value)
        if kind == "int":
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise self._wrong(where, "is no positive number")
            return value
        if not isinstance(value, str):
            raise self._wrong(where, "is no string")
        if kind.startswith("Path"):
            # Relative to the lab file, so that a lab can be a folder that is moved about.
            try:
                path = self._path.parent / Path(value).expanduser()
            except RuntimeError:
                raise self._wrong(where, f"there is no user {value.partition('/')[0]}") from None
            if not path.is_file():
                raise self._wrong(where, f"there is no file {path}")
            return path
        return value

    def _key(self, text: str, where: Where) -> str:
        kind, _, rest = text.strip().partition(" ")
        try:
            blob = base64.b64decode(rest.split()[0], validate=True)
        except (IndexError, ValueError):  # nor are all characters ASCII
            blob = b""
        # RFC 4253, 6.6: the key begins with the name of its kind.
        if not blob.startswith(len(kind).to_bytes(4) + kind.encode()):
            raise self._wrong(
                where,
                "is no public key: `ssh-ed25519 AAAA…`, from the host's own /etc/ssh/*_key.pub",
            )
        # With the very library that is to compare it: a key it cannot read is no key of any host.
        try:
            paramiko.PKey.from_type_string(kind, blob)
        except paramiko.pkey.UnknownKeyType:
            raise self._wrong(
                where, f"is of a kind that is not supported, {kind}: use the host's ed25519 key"
            ) from None
        except Exception as error:  # it says what is wrong with a key in many ways
            raise self._wrong(where, f"is a damaged {kind} key: {error}") from error
        return f"{kind} {rest.split()[0]}"
