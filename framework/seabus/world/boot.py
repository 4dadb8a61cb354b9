# SPDX-License-Identifier: Apache-2.0
"""From power-on to two agents that answer, by milestones, each with a deadline of its own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from seabus.channel.agent import Agent
from seabus.channel.interface import Commands
from seabus.errors import BootError, MachineError, UsageError
from seabus.guest import vmm
from seabus.images.cpio import CpioWriter
from seabus.images.store import Say
from seabus.machine import ports
from seabus.machine.config import WorldConfig
from seabus.patience import ANSWER, deadline, scale
from seabus.world import bring
from seabus.world.world import EmulatedWorld, World

_T = TypeVar("_T")

#: What a console shows at each milestone, in order: name, text, and seconds it may take. L2's kernel is
#: silent: each character of its console would cost two traps.
_MILESTONES: Final = {
    "l1": (
        ("firmware", b"UEFI firmware", 40.0),
        ("kernel", b"Booting Linux", 40.0),
        ("init", b"seabus: init reached", 90.0),
        ("agent", None, 60.0),
    ),
    "l2": (
        ("firmware", b"UEFI firmware", 60.0),
        ("init", b"seabus: init reached", 90.0),
        ("agent", None, 60.0),
    ),
}
#: For all that somebody else's system does before an agent answers.
_OWN_SECONDS: Final = 300.0
_GLANCE: Final = 0.25
_OVERLAP: Final = 64  # no milestone's text is longer
_SPLIT: Final = "/sys/kernel/debug/split_huge_pages"
_SPLIT_ATTEMPTS: Final = 10
_HUGE_PAGES: Final = "/sys/kernel/mm/transparent_hugepage/enabled"
_POOL: Final = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
_ASK_AGAIN: Final = 1.0
_EM_AARCH64: Final = 183
_ARM64_MAGIC: Final = b"ARM\x64"
_ARM64_MAGIC_AT: Final = 56


def check_kernel(path: Path) -> None:
    """Refuse early what can never boot.

    :raises UsageError: the file is no arm64 ``Image`` (Linux Documentation/arch/arm64/booting.rst).
    """
    with path.open("rb") as file:
        header = file.read(64)
    if header[_ARM64_MAGIC_AT : _ARM64_MAGIC_AT + 4] != _ARM64_MAGIC and header[4:8] != b"zimg":
        raise UsageError(
            f"{path} is not an arm64 kernel Image",
            hint="give arch/arm64/boot/Image (or vmlinuz.efi) of a kernel build",
        )


def check_program(path: Path) -> None:
    """Refuse early what L1 can never execute.

    :raises UsageError: the file is no arm64 ELF program.
    """
    with path.open("rb") as file:
        header = file.read(20)
    if header[:4] != b"\x7fELF" or int.from_bytes(header[18:20], "little") != _EM_AARCH64:
        raise UsageError(
            f"{path} is not an arm64 program",
            hint="give a qemu-system-aarch64 built for arm64; it runs inside L1",
        )


def write_l1_initrd(
    output: Path,
    base: Path,
    *,
    l2_kernel: Path,
    l2_initrd: Path,
    l1_qemu: Path | None,
) -> None:
    """L1's initramfs: the base, followed by an archive of what L2 boots from."""
    with output.open("wb") as stream:
        with base.open("rb") as source:
            shutil.copyfileobj(source, stream, 1 << 20)
        with CpioWriter(stream) as archive:
            folder = vmm.FILES.lstrip("/")
            archive.file(f"{folder}/l2-Image", l2_kernel.read_bytes())
            archive.file(f"{folder}/l2-initrd", l2_initrd.read_bytes())
            if l1_qemu:
                archive.file(vmm.OWN_QEMU.lstrip("/"), l1_qemu.read_bytes(), mode=0o755)


async def boot_l1(world: EmulatedWorld, *, say: Say) -> dict[str, Any]:
    """Wait for L1's agent; its hello.

    :raises BootError: a milestone was not reached; the consoles are in the details.
    """
    await world.l1.connect(world.sockets.ours[ports.L1_AGENT])
    world.l1_qga.attach(world.sockets.ours[ports.L1_QGA])
    return await _watched(world, "l1", bring.hello_of(world.l1), say)


async def boot_l2(world: EmulatedWorld, config: WorldConfig, *, say: Say) -> dict[str, Any]:
    """Start the VMM in L1 and wait for L2's agent; its hello."""
    if config.l2_backing == "hugetlb-2M":
        await _reserve_huge_pages(world, config.l2_memory_mib)
    # Our ends are open before the VMM opens its: a port without a reader reports a hang-up.
    await world.l2.connect(world.sockets.ours[ports.L2_AGENT])
    world.l2_qga.attach(world.sockets.ours[ports.L2_QGA])
    await _start_vmm(world)
    try:
        return await finish_l2(world, _greeted(world), say=say)
    except MachineError as error:
        error.details.setdefault("VMM", await _vmm_words(world))
        raise


async def restart_vmm(world: EmulatedWorld) -> None:
    """End the VMM, and start another one; the monitor of that answers when this returns."""
    # The port stays open for the VMM that comes: only our copy of its far end is closed.
    spare = world.sockets.ours[ports.L2_QMP].dup()
    await world.l2_qmp.execute("quit")
    async with deadline(ANSWER, "the VMM to end"):
        while (await world.l1.request("alive", pid=world.vmm_pid))["alive"]:  # noqa: ASYNC110 - of L1
            await asyncio.sleep(_GLANCE)
    if world.config.l2_backing == "4k":
        await world.l1.write(_HUGE_PAGES, b"always")  # for its boot, like the first one's
    await world.l2_qmp.forget()
    world.sockets.ours[ports.L2_QMP] = spare
    await _start_vmm(world)
    await world.l2_qmp.connect(spare)


async def _start_vmm(world: EmulatedWorld) -> None:
    config = world.config
    devices = await _port_devices(world.l1)
    files = vmm.packed_files(config)
    argv = vmm.vmm_argv(
        config,
        files,
        vmm.through_pipes(devices),
        monitor_object=await has_monitor_object(world.l1, files.program),
    )
    world.vmm_pid = await world.l1.spawn(*argv, output=vmm.LOG)


async def finish_l2(world: World, answer: Coroutine[Any, Any, dict[str, Any]], *, say: Say) -> dict[str, Any]:
    """Wait for the answer of L2's agent, and give the guest the backing it is to have.

    :raises BootError: a milestone was not reached, or who would have to reach it is gone.
    """
    hello = await _watched(world, "l2", answer, say)
    if world.config.l2_backing == "4k":
        await _split_huge_pages(world)
    return hello


async def has_monitor_object(commands: Commands, program: str) -> bool:
    """Whether a QEMU's monitors are objects."""
    return "monitor-qmp" in (await commands.run(program, "-object", "help", within=60)).text


async def _reserve_huge_pages(world: EmulatedWorld, mib: int) -> None:
    """Set pages of 2 MiB aside in L1, enough for the guest's memory."""
    wanted = mib // 2
    await world.l1.write(_POOL, f"{wanted}\n".encode())
    got = int((await world.l1.read(_POOL)).decode())
    if got < wanted:
        raise MachineError(
            f"L1 could set only {got} of {wanted} pages of 2 MiB aside",
            hint="give it more memory: l1_memory_mib",
        )


async def no_huge_pages(commands: Commands) -> None:
    """From now on L1 gives nobody a transparent huge page."""
    await commands.write(_HUGE_PAGES, b"never")


async def _split_huge_pages(world: World) -> None:
    """Turn the guest's backing into small pages, for good.

    The guest boots on transparent huge pages all the same: twice as fast as on small ones, because a
    stage-2 fault, and every miss of the emulated TLB, is dear. Linux mm/huge_memory.c, debugfs
    ``split_huge_pages``; a page that is in use at that moment stays whole, hence the attempts.
    """
    await no_huge_pages(world.l1)
    rollup = ""
    for _ in range(_SPLIT_ATTEMPTS):
        await world.l1.request(
            "write", path=_SPLIT, data=base64.b64encode(b"1").decode(), create=False, within=60
        )
        rollup = (await world.l1.read(f"/proc/{world.vmm_pid}/smaps_rollup")).decode()
        if re.search(r"^AnonHugePages:\s+0 kB$", rollup, re.MULTILINE):
            return
    raise MachineError(
        "L1 cannot back the guest with small pages alone",
        hint="l2_backing=thp leaves its huge pages as they are",
        details={"the VMM's memory": rollup},
    )


async def _greeted(world: EmulatedWorld) -> dict[str, Any]:
    await world.l2_qmp.connect(world.sockets.ours[ports.L2_QMP])
    if world.config.l2_initrd is None:
        return await bring.hello_of(world.l2)
    return await bring.hello_of_any(world)


async def _port_devices(l1: Agent) -> dict[str, str]:
    script = 'for p in /sys/class/virtio-ports/*; do read -r n <"$p/name" && echo "$n /dev/${p##*/}"; done'
    listing = (await l1.run("sh", "-c", script)).must_succeed().text
    return dict(line.split(" ", 1) for line in listing.splitlines() if " " in line)


async def _vmm_words(world: EmulatedWorld) -> str:
    with contextlib.suppress(MachineError):
        return (await world.l1.read(vmm.LOG))[-2000:].decode(errors="backslashreplace")
    return ""


async def _watched(world: World, level: str, answer: Coroutine[Any, Any, _T], say: Say) -> _T:
    """The answer, or the first reason why it will not come."""
    answered = asyncio.ensure_future(answer)
    others = [asyncio.ensure_future(_watch(world, level, say)), asyncio.ensure_future(_ground_ends(world))]
    if level == "l2":
        others.append(asyncio.ensure_future(_vmm_ends(world)))
    try:
        done, _ = await asyncio.wait([answered, *others], return_when=asyncio.FIRST_COMPLETED)
        if answered not in done:
            for task in done:
                task.result()  # raises: none of the others ends well
        found = await answered
        say(f"{level.upper()}: agent answers")
        return found
    finally:
        for task in (answered, *others):
            task.cancel()
        await asyncio.gather(answered, *others, return_exceptions=True)


async def _ground_ends(world: World) -> None:
    await world.process.ended()
    cause = world.process.ended_error()
    raise BootError(
        f"{cause}, during the boot",
        hint="a panic, or a refused option: see the last lines",
        details=cause.details,
    )


async def _vmm_ends(world: World) -> None:
    while True:
        state = await world.l1.request("alive", pid=world.vmm_pid)
        if not state["alive"]:
            raise BootError(
                "the VMM in L1 ended during the boot of L2"
                f" (status {state.get('exit', state.get('signal'))})",
                hint="a refused option, or a QEMU that cannot run here: see its words below",
            )
        await asyncio.sleep(_ASK_AGAIN)  # a boot is no time to hold up the machine with more questions


async def _watch(world: World, level: str, say: Say) -> None:
    """Report milestones as the console shows them; raise when one is late."""
    console = world.artefacts / f"console-{level}.log"
    seen = _Content(console)
    loop = asyncio.get_running_loop()
    own = world.config.l1_initrd if level == "l1" else world.config.l2_initrd
    for name, text, seconds in _MILESTONES[level]:
        if own and name == "init":
            continue  # it says what it likes, and may have much to start
        seconds = _OWN_SECONDS if own and name == "agent" else seconds
        late = loop.time() + seconds * scale()
        while text is None or not seen.shows(text):
            if loop.time() > late:
                raise BootError(
                    f"{level.upper()} did not reach the milestone `{name}` within {seconds * scale():g} s",
                    hint=f"see the console below; it is kept in {console}",
                )
            await asyncio.sleep(_GLANCE)  # a console file has no other way to say that it grew
        say(f"{level.upper()}: {name}")


class _Content:
    """What a console has shown from the last milestone on; a flood of it is read only once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._kept = b""

    def shows(self, text: bytes) -> bool:
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
            self._offset += len(new)
            self._kept += new
        before, found, after = self._kept.partition(text)
        self._kept = after if found else before[-_OVERLAP:]
        return bool(found)
