# SPDX-License-Identifier: Apache-2.0
"""Leases for the people of one computer: a small file a host, changed under a lock that dies with its holder.

Time is this computer's since it was booted, which no administrator and no time server sets; after a reboot
of this computer every owner is gone.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import filelock

from seabus import folders
from seabus.errors import DiskError, HostError
from seabus.lab.inventory import Lab
from seabus.lab.lease import Owner, Record, boot_id
from seabus.patience import scale

#: Nobody changes a record for longer.
_LOCK_SECONDS: Final = 10.0


class EmbeddedLeases:
    """See the module; satisfies :class:`seabus.lab.lease.Leases`.

    :param folder: where the records are; by itself one for each lab name, in this user's state folder.
    """

    def __init__(
        self, lab: Lab, *, folder: Path | None = None, clock: Callable[[], float] | None = None
    ) -> None:
        self._hosts = list(lab.hosts)
        self._folder = folder or folders.labs() / lab.name
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._clock = clock or (lambda: time.clock_gettime(time.CLOCK_BOOTTIME))

    @property
    def name(self) -> str:
        return f"embedded:{socket.gethostname()}:{os.getuid()}:{self._folder}".replace(" ", "_")

    def records(self) -> list[Record]:
        return [self._now(self._read(host)) for host in self._hosts]

    def acquire(self, host: str, *, ttl: float, owner: Owner | None = None) -> int:
        with self._changing(host) as change:
            gone = change.record.owner is not None and self._gone(change.record.owner)
            change.record = change.record.acquired(owner or Owner.me(), self._clock(), ttl, owner_gone=gone)
            return change.record.token

    def reserve(self, host: str, *, ttl: float) -> None:
        with self._changing(host) as change:
            change.record = change.record.reserved_for(Owner.person(), self._clock(), ttl)

    def check(self, host: str, token: int) -> Record:
        record = self._read(host)
        record.must_be(token, self._clock())
        return record

    def renew(self, host: str, token: int, *, ttl: float) -> None:
        with self._changing(host) as change:
            change.record = change.record.renewed(token, self._clock(), ttl)

    def soil(self, host: str, token: int, why: str, *, kernel: str, tainted: int) -> None:
        with self._changing(host) as change:
            change.record = change.record.soiled(token, self._clock(), why, kernel=kernel, tainted=tainted)

    def clean(self, host: str, token: int) -> None:
        with self._changing(host) as change:
            change.record = change.record.cleaned(token, self._clock())

    def fail(self, host: str, token: int, why: str) -> Record:
        with self._changing(host) as change:
            change.record = change.record.failed(token, self._clock(), why)
            return change.record

    def release(self, host: str, token: int) -> None:
        with self._changing(host) as change:
            change.record = self._now(change.record).released(token)

    def repaired(self, host: str) -> None:
        with self._changing(host) as change:
            change.record = self._now(change.record).repaired()

    def close(self) -> None:
        """Nothing is open between two calls."""

    # Inside

    def _now(self, record: Record) -> Record:
        """It, as it is by now: whoever is gone holds nothing, whatever the file says."""
        gone = record.owner is not None and self._gone(record.owner)
        return record.in_force(self._clock(), owner_gone=gone)

    def _gone(self, owner: Owner) -> bool:
        return owner.gone

    @contextlib.contextmanager
    def _changing(self, host: str) -> Iterator[_Change]:
        lock = filelock.FileLock(self._folder / f"{host}.lock")
        try:
            lock.acquire(timeout=_LOCK_SECONDS * scale())
        except filelock.Timeout:
            raise HostError(
                f"the record of lab host {host} has been locked for {_LOCK_SECONDS * scale():g} s",
                hint=f"who hangs? see `fuser {self._folder / host}.lock`",
            ) from None
        try:
            before = self._read(host)
            change = _Change(before)
            yield change
            if change.record != before:
                self._write(change.record)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise DiskError(
                f"the record of lab host {host} cannot be written: {error.strerror}",
                hint=f"free some room in {self._folder}",
            ) from error
        finally:
            lock.release()

    def _read(self, host: str) -> Record:
        path = self._folder / f"{host}.json"
        try:
            found: dict[str, Any] = json.loads(path.read_text())
            boot = found.pop("boot")
            record = Record.from_json(found)
        except FileNotFoundError:
            return Record(host=host)
        except (ValueError, TypeError, KeyError) as error:
            raise HostError(
                f"the record of lab host {host} is damaged: {error!r}",
                hint=f"look at the host, then remove {path}",
            ) from error
        # Times of another boot mean nothing in this one: whatever was to end by them has ended.
        return record if boot == boot_id() else record.in_force(math.inf)

    def _write(self, record: Record) -> None:
        path = self._folder / f"{record.host}.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"boot": boot_id(), **record.as_json()}, indent=1))
        new.replace(path)


class _Change:
    """A record that may be replaced before the lock is let go."""

    def __init__(self, record: Record) -> None:
        self.record = record
