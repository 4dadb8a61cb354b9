# SPDX-License-Identifier: Apache-2.0
"""Templates: a nested world that was booted once, made ready, and frozen.

The frozen world is two files: ``ram``, L1's whole memory (L2 and everything else runs inside it), and
``state``, the devices. Clones map ``ram`` copy-on-write, so a template must never change: it is sealed
and verified by :mod:`seabus.images.store`, keyed by everything that goes in.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seabus.channel.agent import Agent
from seabus.errors import BootError, CapabilityError, CloneError
from seabus.guest import vmm
from seabus.images import emulator, guests
from seabus.images.emulator import EmulatorImage
from seabus.images.guests import GuestImages
from seabus.images.store import Say, Store, key_of
from seabus.machine import capabilities, ports
from seabus.machine.argv import Boot, l1_append
from seabus.machine.capabilities import EmulatorCapabilities
from seabus.machine.config import WorldConfig
from seabus.observe import tracing
from seabus.observe.events import Level, Recorder
from seabus.world import boot, freeze, made_by, needs, restore
from seabus.world.freeze import Frozen
from seabus.world.world import EmulatedWorld, Parts, emulated

_KIND: Final = "template"
#: Raised when this package prepares or freezes a world in another way.
_PROCEDURE: Final = 11
#: How often a world is frozen anew when its clones do not live.
_FREEZES: Final = 5
#: Of a digest, as much as a reader can compare.
_DIGITS: Final = 12
_PLACEHOLDERS: Final = {name: name for name in (*ports.CONNECTED, ports.L2_CONSOLE)}


def ensure(config: WorldConfig, *, store: Store, artefacts: Path, say: Say) -> Frozen:
    """The frozen world of a configuration; images and template are built if they are not there.

    Call it from a thread that runs no event loop. However many processes ask, one builds.

    :param artefacts: an existing folder; it keeps the consoles of a boot that failed.
    :raises BootError: a milestone was not reached.
    """
    for kernel in (config.l1_kernel, config.l2_kernel):
        if kernel:
            boot.check_kernel(kernel)
    if config.l1_qemu:
        boot.check_program(config.l1_qemu)
    image = emulator.get(store, say=say)
    guest_images = guests.get(store, say=say)
    builder = _Builder(config, image, guest_images, artefacts, say)
    inputs = builder.inputs()

    def build(folder: Path) -> Mapping[str, Any]:
        made = builder.build(folder)
        if builder.inputs() != inputs:
            raise BootError(
                "a file of yours was replaced while the world was booted from it",
                hint="try again once it is built",
            )
        return made

    entry = store.get(_KIND, inputs, build, say=say, need_mib=config.l1_memory_mib + 512)
    notes = entry.manifest["notes"]
    # Ours is what it was when it was asked, down to its libraries; a user's own may have been upgraded.
    found = builder.found() if config.l0_qemu else EmulatorCapabilities(**notes["capabilities"])
    parts = builder.parts(found)
    return Frozen(parts=parts, ram=entry.file("ram"), state=entry.file("state"), notes=notes)


def known(config: WorldConfig, store: Store) -> Mapping[str, Any] | None:
    """The notes of a configuration's template if there is one; nothing is built, and nothing verified."""
    image, guest_images = emulator.find(store), guests.find(store)
    if image is None or guest_images is None:
        return None
    inputs = _Builder(config, image, guest_images, Path(), lambda _: None).inputs()
    path = store.path(_KIND, key_of(inputs))
    notes: Mapping[str, Any] | None = store.read(path).manifest["notes"] if path.is_dir() else None
    return notes


def boot_once(
    config: WorldConfig, image: EmulatorImage, guest_images: GuestImages, folder: Path, say: Say
) -> None:
    """Boot, prepare and freeze a world into a folder without keeping it as a template, to be timed."""
    _Builder(config, image, guest_images, folder, say).build(folder)


@dataclass(frozen=True)
class _Builder:
    config: WorldConfig
    emulator: EmulatorImage
    guests: GuestImages
    artefacts: Path
    say: Say

    def inputs(self) -> dict[str, Any]:
        """Everything that goes into the template; a user's own files by their content."""
        chosen = {
            field.name: _content_of(getattr(self.config, field.name))
            for field in dataclasses.fields(self.config)
        }
        return {
            "procedure": _PROCEDURE,
            "emulator": key_of(self.emulator.entry.manifest["files"]),
            "guests": key_of(self.guests.entry.manifest["files"]),
            "vmm": vmm.vmm_argv(
                self.config,
                vmm.packed_files(self.config),
                vmm.through_pipes(_PLACEHOLDERS),
                monitor_object=True,
            ),
            "config": chosen,
            "append": l1_append(self.config),
            "witnesses": hashlib.sha256(tracing.SET_UP.encode()).hexdigest(),
        }

    def parts(self, found: EmulatorCapabilities) -> Parts:
        own = self.config.l0_qemu
        return Parts(
            command=[str(own)] if own else self.emulator.command,
            firmware=self.emulator.firmware,
            config=self.config,
            capabilities=found,
            builds=self._builds(),
        )

    def found(self) -> EmulatorCapabilities:
        """What the emulator says of itself now."""
        if self.config.l0_qemu:
            return capabilities.own(self.config.l0_qemu).capabilities
        return capabilities.probe(self.emulator.command)

    def _builds(self) -> dict[str, str]:
        """Digests of the files that make a world, a user's own among them."""
        config, theirs = self.config, self.guests.entry.manifest["files"]
        files = self.emulator.entry.manifest["files"]
        kernel = theirs[self.guests.kernel.name]["digest"]
        initrds = {level: theirs[self.guests.initrd(level).name]["digest"] for level in ("l1", "l2")}
        ours = {
            "build of QEMU": key_of(files),
            "firmware": files[self.emulator.firmware.name]["digest"],
            "kernel of L1": kernel,
            "kernel of L2": kernel,
            "initramfs of L1": initrds["l1"],
            "initramfs of L2": initrds["l2"],
            "VMM of L1": initrds["l1"],  # it is in there
        }
        own = {
            "build of QEMU": config.l0_qemu,
            "kernel of L1": config.l1_kernel,
            "kernel of L2": config.l2_kernel,
            "initramfs of L1": config.l1_initrd,
            "initramfs of L2": config.l2_initrd,
            "VMM of L1": config.l1_qemu or config.l1_initrd,
        }
        ours |= {name: str(_content_of(path)) for name, path in own.items() if path}
        if config.l0_qemu:
            ours["set of libraries of QEMU"] = capabilities.own(config.l0_qemu).libraries
        return {name: digest[:_DIGITS] for name, digest in ours.items()}

    def build(self, folder: Path) -> Mapping[str, Any]:
        """Boot, prepare and freeze into an empty folder."""
        from seabus.faults import record  # slow to import, and clones do not need it

        found = self.found()
        record.check(found)
        return asyncio.run(self._build(folder, found))

    async def _build(self, folder: Path, found: EmulatorCapabilities) -> Mapping[str, Any]:
        initrd = folder / ".l1-initrd"
        boot.write_l1_initrd(
            initrd,
            self.config.l1_initrd or self.guests.initrd("l1"),
            l2_kernel=self.config.l2_kernel or self.guests.kernel,
            l2_initrd=self.config.l2_initrd or self.guests.initrd("l2"),
            l1_qemu=self.config.l1_qemu,
        )
        cold = Boot(
            kernel=self.config.l1_kernel or self.guests.kernel,
            initrd=initrd,
            append=l1_append(self.config),
        )
        place = self.artefacts / "boot"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        self.say("booting the nested world (once; every test clones it)")
        async with emulated(
            self.parts(found),
            purpose="template",
            ram=folder / "ram",
            artefacts=place,
            boot=cold,
        ) as world:
            l1 = await boot.boot_l1(world, say=self.say)
            await _observed("L1", world.l1)
            l2 = await boot.boot_l2(world, self.config, say=self.say)
            await _observed("L2", world.l2)
            has = await needs.found(world)
            await _must_be_well(world, place)
            vmm_version = (await world.l2_qmp.execute("query-version"))["qemu"]
            frozen = Frozen(
                parts=self.parts(found),
                ram=folder / "ram",
                state=folder / "state",
                notes={
                    "versions": self._versions(found, l1, l2, vmm_version),
                    "capabilities": dataclasses.asdict(found),
                    "made_by": made_by.made_by(self.parts(found)),
                    "has": has,
                    "vmm_pid": world.vmm_pid,
                    "l1": l1,
                    "l2": l2,
                },
            )
            await self._freeze_alive(world, frozen)
        initrd.unlink()
        return frozen.notes

    async def _freeze_alive(self, world: EmulatedWorld, frozen: Frozen) -> None:
        """Freeze a world in a state whose clones live, and end it.

        Whether timers come back depends on the moment of the freeze, and is the same for each clone of it
        (``docs/findings/0001-el2-timers-not-migrated.md``). So one is made before the world is let go.
        """
        for _ in range(_FREEZES):
            await freeze.quiesce(world)
            await freeze.freeze(world, frozen.state)
            try:
                async with restore.cloned(frozen, artefacts=self._trial_folder(), purpose="trial"):
                    pass
            except CloneError as error:
                self.say(f"the first clone did not live ({error}); freezing again")
                await freeze.thaw(world)
                refused = error
            else:
                # What the stopped machine holds is in its file once no process maps it any more.
                await world.process.kill()
                return
        raise BootError(f"none of {_FREEZES} freezes gave clones that live: {refused}") from refused

    def _trial_folder(self) -> Path:
        place = self.artefacts / "trial"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return place

    def _versions(
        self,
        found: EmulatorCapabilities,
        l1: Mapping[str, Any],
        l2: Mapping[str, Any],
        vmm: Mapping[str, int],
    ) -> dict[str, str]:
        """What a reader of a result wants to know about the parts."""
        packages = self.guests.entry.manifest["notes"]["packages"]
        return {
            "l0_qemu": found.version,
            "l0_machine": found.machine,
            "l1_kernel": l1["kernel"],
            "l1_kvm": self.config.l1_mode,
            "l1_qemu": f"{vmm['major']}.{vmm['minor']}.{vmm['micro']}",
            "l2_kernel": l2["kernel"],
            "firmware": packages.get("qemu-efi-aarch64", "unknown"),
            "template": key_of(self.inputs()),
        }


async def _observed(level: str, agent: Agent) -> None:
    """Set the witnesses up.

    :raises BootError: there are none. No test is skipped for that: none could ever run on such a kernel.
    """
    try:
        await tracing.set_up(level, agent)
    except CapabilityError as error:
        hint = "docs/how-to/bring-your-own.md lists what a kernel must have built in"
        raise BootError(error.message, hint=hint, details=error.details) from error


async def _must_be_well(world: EmulatedWorld, place: Path) -> None:
    """Empty both traces; what went wrong before the freeze would be blamed on every clone.

    :raises BootError: a kernel complained while booting.
    """
    from seabus.observe.witness import TraceWitness  # slow to import, and clones do not need it

    recorder = Recorder()
    levels: tuple[tuple[Level, Agent], ...] = (("L1", world.l1), ("L2", world.l2))
    for level, agent in levels:
        witness = TraceWitness(level, agent, recorder, place / f"trace-{level.lower()}.txt")
        async with witness.watching():
            await witness.caught_up()
    for event in recorder.events:
        if event.kind in ("trouble", "lost"):
            raise BootError(
                f"{event.level} was in trouble before it could be frozen: {event.text}",
                hint="try again on a less loaded machine, or look at the kernel you brought",
            )


def _content_of(value: object) -> object:
    if not isinstance(value, Path):
        return value
    with value.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
