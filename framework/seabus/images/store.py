# SPDX-License-Identifier: Apache-2.0
"""A content-addressed store of folders that are built once, sealed, and verified on every use.

An entry is a folder ``<kind>-<key>`` holding the built files and ``manifest.json``. The key is a hash of
everything that goes in; the manifest (:mod:`seabus.images.manifest`) holds a digest of everything that came
out, and is sealed itself. A build happens in a
folder of its own and is published by rename, under a lock that dies with its holder, so an interrupted
build is never seen, and what is there of it is removed.

Verification costs a full read the first time and a few ``stat`` calls afterwards: the sealing process
records size, inode, mtime and ctime of each file it digested. A later change of content changes ctime
(which no user can set), and then the file is digested again and refused if it differs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import filelock

from seabus import folders
from seabus.errors import DiskError, ImageError
from seabus.images import manifest
from seabus.images.manifest import USERS_OWN, damaged, key_of
from seabus.patience import scale
from seabus.undertaker import Undertaker

__all__ = ["USERS_OWN", "Entry", "Say", "Store", "digest", "key_of", "note_use"]

Say = Callable[[str], None]

_STAMPS: Final = "stamps.json"
_BLOCK: Final = 1 << 16
#: A new kernel, option or version of Seabus makes another template of a gigabyte: old ones must go.
_KEEP_AT_LEAST: Final = 6
#: Folders of ours that are no entries: being built, buried by an undertaker, or on their way out.
_PRIVATE: Final = re.compile(r"\.{1,2}(?:removed-)?(?P<entry>[a-z]+-[0-9a-f]{20})-(?P<pid>[0-9]+)")
_KEEP_SECONDS: Final = 24 * 3600
#: A run may be about to use this one again, whatever room there is.
_WARM_SECONDS: Final = 1800
#: No build takes this long, downloads over a slow line included.
_BUILD_SECONDS: Final = 3600.0
_ZERO: Final = bytes(_BLOCK)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A sealed folder of the store.

    :param path: the folder.
    :param manifest: what went in (``inputs``), what came out (``files``), and notes of the builder.
    """

    path: Path
    manifest: Mapping[str, Any]

    @property
    def key(self) -> str:
        return str(self.manifest["key"])

    @property
    def kind(self) -> str:
        return str(self.manifest["kind"])

    def file(self, name: str) -> Path:
        return self.path / name


def digest(path: Path) -> str:
    """A digest of a file's size and its non-zero 64 KiB blocks with their places.

    Two files are equal if and only if their digests are. Unlike plain sha256 it needs no read of the
    holes of a sparse file: a template's RAM is three quarters holes.
    """
    total = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        total.update(size.to_bytes(8, "little"))
        for start, end in _data_ranges(file.fileno(), size):
            # Blocks are cut at multiples of 64 KiB of the *file*, wherever the file system's extents lie.
            position = start - start % _BLOCK
            file.seek(position)
            while position < end:
                block = file.read(_BLOCK)
                if not block:
                    break
                if block != _ZERO:
                    total.update(position.to_bytes(8, "little"))
                    total.update(block)
                position += len(block)
    return total.hexdigest()


def _data_ranges(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    position = 0
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError:
            return  # ENXIO: only a hole is left
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        # The next range starts at a block of its own, or a block would be digested twice.
        position = min(size, -(-end // _BLOCK) * _BLOCK)
        yield start, position


class Store:
    """The entries of one cache folder.

    >>> store = Store()
    >>> entry = store.get("guests", inputs, build, say=print)   # doctest: +SKIP
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or folders.cache()

    def path(self, kind: str, key: str) -> Path:
        return self.root / f"{kind}-{key}"

    def find(self, kind: str, inputs: Mapping[str, Any]) -> Entry | None:
        """The entry for these inputs if it is there and sound, else None; never builds."""
        path = self.path(kind, key_of(inputs))
        return self._verified(path) if path.is_dir() else None

    def get(
        self,
        kind: str,
        inputs: Mapping[str, Any],
        build: Callable[[Path], Mapping[str, Any]],
        *,
        say: Say,
        need_mib: int = 0,
    ) -> Entry:
        """The entry for these inputs, built by ``build(folder)`` if it is not there.

        :param build: fills an empty folder and returns notes for the manifest (JSON-able).
        :param need_mib: room needed before a build is started.
        :raises ImageError: the build failed, or what is there is damaged and the user's own.
        :raises DiskError: no room.
        """
        key = key_of(inputs)
        path = self.path(kind, key)
        if path.is_dir() and (entry := self._sound(path)):
            return entry
        with self._locked(kind, key, say):
            if path.is_dir() and (entry := self._sound_or_removed(path, say)):
                return entry  # another process built it while we waited
            return self._build(kind, key, inputs, build, need_mib)

    def entries(self) -> list[Path]:
        """The folders of all published entries, newest first."""
        found = [path for path in self.root.iterdir() if (path / manifest.NAME).is_file()]
        return sorted(found, key=_made, reverse=True)

    def readable(self, kind: str = "") -> list[Entry]:
        """The entries (of a kind) whose manifests are sound, without verifying their files."""
        found = []
        for path in self.entries():
            with contextlib.suppress(ImageError):
                found.append(self.read(path))
        return [entry for entry in found if kind in ("", entry.kind)]

    def read(self, path: Path) -> Entry:
        """An entry's manifest, without verifying its files.

        :raises ImageError: it is not what was written, or not of this entry.
        """
        return Entry(path=path, manifest=manifest.read(path))

    def remove(self, path: Path) -> None:
        """Delete an entry; running clones keep the pages they mapped."""
        grave = path.with_name(f".removed-{path.name}-{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            path.rename(grave)
        _remove_tree(grave)

    def prune(self, kind: str) -> None:
        """Delete entries of a kind, the least used first.

        The last used always stay. Others go when they were not used for a day, or when all of the kind take
        more than half of the room that they and what is free make up. What a user froze stays.
        """
        if kind == USERS_OWN:
            return
        entries = [path for path in self.entries() if path.name.startswith(f"{kind}-")]
        sizes = {path: _room(path) for path in entries}
        budget = (shutil.disk_usage(self.root).free + sum(sizes.values())) // 2
        for number, path in enumerate(sorted(entries, key=_last_use, reverse=True)):
            budget -= sizes[path]
            idle = time.time() - _last_use(path)
            spare = number >= _KEEP_AT_LEAST
            if spare and (idle > _KEEP_SECONDS or (budget < 0 and idle > _WARM_SECONDS)):
                self.remove(path)

    def sweep(self) -> None:
        """Delete what interrupted builds left: private folders whose maker is gone."""
        for path in self.root.glob(".*"):
            found = _PRIVATE.fullmatch(path.name)
            if found and path.is_dir() and not Path("/proc", found["pid"]).exists():
                with self._unless_it_is_built(found["entry"]) as nobody:
                    if nobody:
                        _remove_tree(path)

    @contextlib.contextmanager
    def _unless_it_is_built(self, entry: str) -> Iterator[bool]:
        """Whether nobody builds an entry, and nobody begins to meanwhile.

        Its maker may live in another container: a process number says nothing there, and a lock does.
        """
        lock = filelock.FileLock(self.root / f"{entry}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    # Building

    @contextlib.contextmanager
    def _locked(self, kind: str, key: str, say: Say) -> Iterator[None]:
        lock = filelock.FileLock(self.root / f"{kind}-{key}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            say(f"another process is building {kind}; waiting for it")
            try:
                lock.acquire(timeout=_BUILD_SECONDS * scale())
            except filelock.Timeout:
                raise ImageError(
                    f"another process has been building {kind} for {_BUILD_SECONDS * scale() / 60:g} min",
                    hint=f"see what holds {lock.lock_file}, end it, and try again",
                ) from None
        try:
            undertaker = Undertaker(Path(lock.lock_file), self._private(kind, key))
            try:
                yield
            finally:
                undertaker.dismiss()
        finally:
            lock.release()

    def _private(self, kind: str, key: str) -> Path:
        """Where we build."""
        return self.root / f".{kind}-{key}-{os.getpid()}"

    def _build(
        self,
        kind: str,
        key: str,
        inputs: Mapping[str, Any],
        build: Callable[[Path], Mapping[str, Any]],
        need_mib: int,
    ) -> Entry:
        self.sweep()
        self.prune(kind)
        free_mib = shutil.disk_usage(self.root).free >> 20
        if free_mib < need_mib:
            raise DiskError(
                f"{self.root} has {free_mib} MiB free; building {kind} needs {need_mib} MiB",
                hint="free some room, run `seabus image clean`, or set SEABUS_CACHE to a larger disk",
            )
        for left in self.root.glob(f".{kind}-{key}-*"):
            _remove_tree(left)  # we hold the lock: whoever made it is gone
        private = self._private(kind, key)
        private.mkdir(mode=0o700)
        try:
            notes = build(private)
            sealed = _seal(private)
            content = {
                "schema": manifest.SCHEMA,
                "kind": kind,
                "key": key,
                "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "inputs": inputs,
                "notes": notes,
                "files": sealed,
            }
            _write_synced(private / manifest.NAME, manifest.written(content))
            _write_stamps(private, {name: _stamp_of(private / name) for name in sealed})
            path = self.path(kind, key)
            private.rename(path)
        except OSError as error:
            _remove_tree(private)
            if error.errno == 28:  # ENOSPC
                raise DiskError(
                    f"the disk under {self.root} is full",
                    hint="free some room, run `seabus image clean`, or set SEABUS_CACHE",
                ) from error
            raise
        except BaseException:
            _remove_tree(private)
            raise
        return Entry(path=path, manifest=content)

    # Verifying

    def _sound(self, path: Path) -> Entry | None:
        """Nothing is removed but under the lock: another process may have built it anew by now."""
        try:
            return self._verified(path)
        except ImageError:
            if manifest.is_users_own(path):
                raise
            return None

    def _sound_or_removed(self, path: Path, say: Say) -> Entry | None:
        try:
            return self._verified(path)
        except ImageError as error:
            say(f"{error.message}; building it again")
            self.remove(path)
            return None

    def _verified(self, path: Path) -> Entry:
        entry = self.read(path)
        stamps = _read_stamps(path)
        seen: dict[str, Any] = {}
        for name, facts in entry.manifest["files"].items():
            file = path / name
            try:
                stamp = seen[name] = _stamp_of(file)  # before it is read: what changes later has another
                if stamps.get(name) == stamp:
                    continue
                if stamp[0] != facts["size"] or digest(file) != facts["digest"]:
                    raise damaged(path, f"{name} is not what was built")
            except FileNotFoundError:
                raise damaged(path, f"{name} is missing") from None
            except OSError as error:
                raise damaged(path, f"{name} cannot be read: {error.strerror}") from error
        if any(stamps.get(name) != stamp for name, stamp in seen.items()):
            _write_stamps(path, seen)
        note_use(path)
        return entry


def note_use(path: Path) -> None:
    """An entry is used now: who has opened one may go on with it for hours, and prune() must know."""
    with contextlib.suppress(OSError):
        os.utime(path / _STAMPS)


def _made(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process has removed it by now
        return 0.0


def _last_use(path: Path) -> float:
    try:
        return (path / _STAMPS).stat().st_atime
    except FileNotFoundError:
        return 0.0


def _room(path: Path) -> int:
    """Bytes that a folder takes on the disk; a file of holes takes few."""
    with contextlib.suppress(FileNotFoundError):
        return sum(file.stat().st_blocks * 512 for file in path.iterdir())
    return 0


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.name not in (manifest.NAME, _STAMPS):
            yield path


def _seal(folder: Path) -> dict[str, dict[str, Any]]:
    """Make every file read-only; return size and digest of each."""
    sealed: dict[str, dict[str, Any]] = {}
    for path in _files(folder):
        path.chmod(0o555 if path.stat().st_mode & 0o111 else 0o444)
        sealed[str(path.relative_to(folder))] = {
            "size": path.stat().st_size,
            "digest": digest(path),
        }
    return sealed


def _stamp_of(path: Path) -> list[int | str]:
    """What changes when a file does. Holds for one boot: a power cut may tear what was not synced."""
    status = path.stat()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, boot]


def _write_stamps(folder: Path, stamps: Mapping[str, Any]) -> None:
    temporary = folder / f".{_STAMPS}.{os.getpid()}"
    temporary.write_text(json.dumps(stamps))
    temporary.replace(folder / _STAMPS)


def _read_stamps(folder: Path) -> dict[str, Any]:
    """Those that were kept; without them the files are digested again."""
    try:
        stamps = json.loads((folder / _STAMPS).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _write_synced(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _remove_tree(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
