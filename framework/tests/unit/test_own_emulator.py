# SPDX-License-Identifier: Apache-2.0
"""An emulator that a user brought, and upgraded under the same name, is noticed before it is started."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from seabus.errors import BootError, CapabilityError, CloneError
from seabus.images import emulator, guests
from seabus.images.emulator import EmulatorImage
from seabus.images.guests import GuestImages
from seabus.images.store import Entry, Store
from seabus.machine import capabilities
from seabus.machine.capabilities import EmulatorCapabilities
from seabus.machine.config import WorldConfig
from seabus.world import made_by, restore, template
from seabus.world.freeze import Frozen
from seabus.world.template import _Builder

# What it starts may be upgraded while it stays the same file, as a library may.
_WRAPPER = '#!/bin/sh\nexec "${0%/*}/libexec/qemu" "$@"\n'
_REAL = """\
#!/bin/sh
echo "$*" >> "${{0%/*}}/asked"
case "$*" in
    --version) echo "QEMU emulator version {version}" ;;
    "-machine help") echo "virt                 QEMU ARM Virtual Machine (alias of virt-{machine})" ;;
    "-object help") echo "monitor-qmp" ;;
    *) echo '{{"return": [{{"name": "inject-ghes-v2-error"}}]}}' ;;
esac
"""


def upgrade(program: Path, *, version: str, machine: str) -> None:
    real = program.with_name("libexec") / "qemu"
    real.parent.mkdir(exist_ok=True)
    real.write_text(_REAL.format(version=version, machine=machine))
    real.chmod(0o755)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "qemu-system-aarch64"
    path.write_text(_WRAPPER)
    path.chmod(0o755)
    upgrade(path, version="11.1.3", machine="11.1")
    yield path
    capabilities._own.cache_clear()


def ensured(program: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Frozen:
    """The template of a world with this emulator; what builds it notes what a real builder does."""
    files = {
        name: {"size": 1, "digest": name}
        for name in ("QEMU_EFI.fd", "Image", "l1.cpio", "l2.cpio", "program")
    }
    entry = Entry(path=folder, manifest={"files": files, "notes": {"loader": "ld.so"}})
    monkeypatch.setattr(emulator, "get", lambda store, *, say: EmulatorImage(entry=entry))
    monkeypatch.setattr(guests, "get", lambda store, *, say: GuestImages(entry=entry))

    def build(self: _Builder, place: Path) -> Mapping[str, Any]:
        (place / "ram").write_bytes(b"")
        (place / "state").write_bytes(b"")
        found = self.found()
        made = made_by.made_by(self.parts(found))
        return {"capabilities": dataclasses.asdict(found), "made_by": made, "vmm_pid": 1}

    monkeypatch.setattr(_Builder, "build", build)
    (folder / "cache").mkdir(exist_ok=True)
    return template.ensure(
        WorldConfig(l0_qemu=program), store=Store(folder / "cache"), artefacts=folder, say=lambda _: None
    )


def test_it_is_asked_once_by_a_process(program: Path) -> None:
    first = capabilities.own(program)
    asked = (program.with_name("libexec") / "asked").read_text()
    assert capabilities.own(program) is first
    assert (program.with_name("libexec") / "asked").read_text() == asked
    assert (first.capabilities.version, first.capabilities.machine) == (
        "QEMU emulator version 11.1.3",
        "virt-11.1",
    )
    program.write_text(_WRAPPER + "# another file\n")
    assert capabilities.own(program) is not first


def test_what_was_upgraded_in_place_is_refused(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = ensured(program, tmp_path, monkeypatch)
    made_by.check(frozen.notes["made_by"], frozen.parts)
    upgrade(program, version="11.2.0", machine="11.2")
    capabilities._own.cache_clear()  # as in another process
    frozen = ensured(program, tmp_path, monkeypatch)

    async def clone() -> None:
        async with restore.cloned(frozen, artefacts=tmp_path, purpose="test"):
            raise AssertionError("it was cloned")

    with pytest.raises(CloneError) as refused:
        asyncio.run(clone())
    assert "the machine type was virt-11.1 and is virt-11.2" in refused.value.message
    assert "version of QEMU was QEMU emulator version 11.1.3 and is QEMU" in refused.value.message


def test_another_library_is_another_emulator(tmp_path: Path) -> None:
    """Its own file stays what it is."""
    library = tmp_path / "libsome.so.1"
    told = set()
    for content in (b"one", b"two"):
        library.write_bytes(content)
        told.add(capabilities._digest_of(f"\tlibsome.so.1 => {library} (0x00007f0000000000)\n"))
    assert len(told) == 2
    real = shutil.which("ls")
    assert real is not None
    assert capabilities._libraries(Path(real)) != capabilities._digest_of(""), "it has some"


def test_one_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(CapabilityError, match="cannot be read: No such file"):
        capabilities.own(tmp_path / "none")


def test_one_that_says_nothing_of_itself_is_told(program: Path) -> None:
    program.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(CapabilityError, match="does not tell its version"):
        capabilities.own(program)


def test_a_wrapper_may_say_something_first(program: Path) -> None:
    program.write_text(
        _WRAPPER.replace("\nexec", '\ncase "$*" in *stdio*) echo "a banner"; echo 5;; esac\nexec')
    )
    assert capabilities.own(program).capabilities.commands == ("inject-ghes-v2-error",)


def test_what_was_replaced_while_a_world_was_booted_is_no_template(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be found again by the file that was there before, and be refused for ever."""

    def replaced(self: _Builder) -> EmulatorCapabilities:
        program.write_text(_WRAPPER + "# another build\n")
        return capabilities.own(program).capabilities

    monkeypatch.setattr(_Builder, "found", replaced)
    with pytest.raises(BootError, match="was replaced while the world was booted"):
        ensured(program, tmp_path, monkeypatch)
    monkeypatch.undo()
    assert not list((tmp_path / "cache").glob("template-*/manifest.json"))
