# SPDX-License-Identifier: Apache-2.0
"""A Debian package tree inside a tar file: look files up, follow links, find the libraries a program needs.

The tree stays in the tar. Nothing of a foreign system is unpacked with its owners and modes onto this
computer; only the files an image wants are ever written.
"""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from seabus.errors import ImageError

_LINK_LIMIT: Final = 16


class PackageTree:
    """Read access to an extracted set of packages.

    :param tar: the uncompressed tar file that :mod:`seabus.images.packages` made.
    """

    def __init__(self, tar: Path) -> None:
        self._tar = tarfile.open(tar)  # noqa: SIM115 - closed by __exit__
        self._members: dict[str, tarfile.TarInfo] = {}
        for member in self._tar:
            self._members[posixpath.normpath(member.name).lstrip("/")] = member

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tar.close()

    def read(self, name: str) -> bytes:
        """The content of a file, links followed.

        :raises ImageError: there is no such file in these packages.
        """
        member = self._resolve(name)
        if member is None:
            raise ImageError(
                f"the package tree has no {name}",
                hint="the suite may have moved it: choose another with --suite, or report this",
            )
        file = self._tar.extractfile(member)
        assert file is not None  # _resolve returns regular files only
        return file.read()

    def has(self, name: str) -> bool:
        return self._resolve(name) is not None

    def members(self) -> Iterator[tuple[str, tarfile.TarInfo]]:
        """Everything in the tree: name without a leading slash, and what it is; folders come first."""
        yield from self._members.items()

    def match(self, pattern: str) -> list[str]:
        """Names that a regular expression matches in full, sorted."""
        return sorted(name for name in self._members if re.fullmatch(pattern, name))

    def packages(self) -> dict[str, str]:
        """Name and version of every package in the tree.

        Read from the status file where packages were configured, and otherwise from the record that
        :mod:`seabus.images.packages` keeps beside an extracted tree.
        """
        found: dict[str, str] = {}
        for line in self.read("seabus-packages").decode().splitlines():
            name, _, version = line.partition("\t")
            found[name] = version
        return found

    def libraries(self, programs: Iterable[str]) -> dict[str, str]:
        """The shared libraries that programs need, transitively: soname to path in the tree."""
        from seabus.images import elf  # see there why not sooner

        found: dict[str, str] = {}
        waiting = list(programs)
        while waiting:
            for soname in elf.needed(self.read(waiting.pop())):
                if soname not in found:
                    found[soname] = self._library(soname)
                    waiting.append(found[soname])
        return found

    def interpreter(self, program: str) -> str:
        """The path of a program's dynamic loader, as the program names it."""
        from seabus.images import elf  # see there why not sooner

        path = elf.interpreter(self.read(program))
        if path is None:
            raise ImageError(f"{program} is not a dynamic program")
        return path

    def _library(self, soname: str) -> str:
        for folder in self._library_folders():
            if self.has(f"{folder}/{soname}"):
                return f"{folder}/{soname}"
        raise ImageError(f"no package in the tree has the library {soname}")

    def _library_folders(self) -> Iterator[str]:
        # Until Debian 12 packages put some of them into /lib.
        yield from self.match(r"(?:usr/)?lib/[a-z0-9_]+-linux-gnu")
        yield from ("usr/lib", "usr/lib64")

    def _resolve(self, name: str) -> tarfile.TarInfo | None:
        for _ in range(_LINK_LIMIT):
            member = self._members.get(posixpath.normpath(name).lstrip("/"))
            if member is None:
                return None
            if member.issym():
                name = posixpath.join(posixpath.dirname(member.name), member.linkname)
            elif member.islnk():
                name = member.linkname
            else:
                return member if member.isreg() else None
        return None
