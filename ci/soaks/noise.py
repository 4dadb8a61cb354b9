# SPDX-License-Identifier: Apache-2.0
"""Both consoles shout while a fault travels: it is judged as ever, and no terminal and no disk suffers."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import psutil

from seabus.errors import DeadlineError, HostError
from seabus.images import compiler
from seabus.machine import ports
from seabus.patience import deadline
from seabus.scenarios import consumed_page
from seabus.world import restore
from seabus.world.freeze import Frozen
from seabus.world.world import EmulatedWorld
from soaks.row import Row, Trial
from soaks.worlds import a_template

#: Colours, a title, a bell, a wrong line end, a Debian that says PASS, and bytes that are no UTF-8.
_NOISE: Final = (
    r"s=$(printf '\033[31mkernel: PASS \033]0;title\007\r\n\377\376\300##[error]\033[2J'); i=0;"
    r' while [ $i -lt {lines} ]; do echo "$s$s$s$s$s$s$s$s$s$s$s$s$s$s$s$s"; i=$((i+1)); done >/dev/console'
)
LINES = 14_000  # a little over 10 MiB
_LINE: Final = 754  # bytes
_PROGRAM: Final = "/run/shout"
_DESCRIPTOR: Final = """\
for port in /sys/class/virtio-ports/*; do
    [ "$(cat $port/name)" = {port} ] || continue
    for file in /proc/{pid}/fd/*; do
        [ "$(readlink $file)" = /dev/${{port##*/}} ] && echo ${{file##*/}}
    done
done
"""
_CONSOLES: Final = ("console-l1.log", "console-l2.log")
#: What an emulator's logs are held to in half of the trials; else it is 64 MiB, which no burst here reaches.
_CAP: Final = 1 << 20
_BURST_S: Final = 600.0


@contextlib.asynccontextmanager
async def _a_speaker(folder: Path) -> AsyncIterator[tuple[Frozen, bytes]]:
    """The template, and the program that writes into the VMM's end of L2's console."""
    program, source = folder / "shout", Path(__file__).with_name("shout.c")
    argv = [compiler.compiler(), "-static", "-O1", "-s", "-o", str(program), str(source)]
    if (await asyncio.to_thread(subprocess.run, argv, check=False)).returncode:
        raise HostError("the arm64 compiler cannot make a program", hint="bash ci/test installs one")
    code = program.read_bytes()
    program.unlink()
    async with a_template(folder) as frozen:
        yield frozen, code


async def _loud(trial: Trial) -> str:
    """The fault travels while L1, L2 and the VMM shout; with small logs, once these are full."""
    frozen, code = trial.shared
    async with restore.cloned(frozen, artefacts=trial.folder, purpose="soak") as world:
        if trial.kind == "full":
            psutil.Process(world.process.pid).rlimit(psutil.RLIMIT_FSIZE, (_CAP, _CAP))
        speakers = await _shout(world, code)
        if trial.kind == "full":
            await _ended(world, speakers)
        outcome = await consumed_page.run(world)
        await _ended(world, speakers)
        told = world.explain(DeadlineError("what a person would be shown")).details.values()
    if outcome.judgement.verdict != "pass":
        return f"{outcome.judgement.verdict}: {outcome.judgement.reason}"
    shown = "".join(map(str, told))
    if "PASS" not in shown:
        return "nothing is shown of the consoles"
    if wild := {one for one in shown if not one.isprintable()} - {"\n", "\t"}:
        return f"what is shown of the consoles has {sorted(wild)}"
    return _sizes(trial)


async def _shout(world: EmulatedWorld, code: bytes) -> list[int]:
    """Three of them: L2's UART passes little, so most of what L2's channel carries is the VMM's."""
    script = _NOISE.replace("{lines}", str(LINES))
    await world.l2.spawn("/bin/sh", "-c", script, output="/dev/null")
    await world.l1.write(_PROGRAM, code, mode=0o755)
    find = _DESCRIPTOR.format(port=ports.L2_CONSOLE, pid=world.vmm_pid)
    descriptor = (await world.l1.run("sh", "-c", find)).must_succeed().text.strip()
    size = str(LINES * _LINE)
    return [
        await world.l1.spawn("/bin/sh", "-c", script, output="/dev/null"),
        await world.l1.spawn(_PROGRAM, str(world.vmm_pid), descriptor, size, output="/run/shout.log"),
    ]


async def _ended(world: EmulatedWorld, speakers: list[int]) -> None:
    async with deadline(_BURST_S, "the consoles to have said it all"):
        for pid in speakers:
            while (await world.l1.request("alive", pid=pid))["alive"]:  # noqa: ASYNC110 - of a guest
                await asyncio.sleep(1)


def _sizes(trial: Trial) -> str:
    for name in _CONSOLES:
        size = (trial.folder / name).stat().st_size
        if trial.kind == "full" and size > _CAP:
            return f"{name} has {size} bytes, and was to have {_CAP} at most"
        if size < min(LINES * _LINE, _CAP if trial.kind == "full" else LINES * _LINE):
            return f"{name} has {size} bytes only"
    return ""


ROWS: Final = (
    Row(
        name="noise",
        promise="10 MiB of escapes and invalid UTF-8 on each console, L1's and L2's, change no verdict, reach"
        " no terminal, and fill no log beyond its cap",
        kinds=("during", "full"),
        each=5,
        lanes=2,
        trial=_loud,
        shares=_a_speaker,
    ),
)
