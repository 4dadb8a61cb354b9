# SPDX-License-Identifier: Apache-2.0
"""The fence on a host itself: a number there, which nobody with a smaller token passes.

The keeper of the leases may be wrong about who is alive; the host is asked last.
"""

from __future__ import annotations

from typing import Final

from seabus.channel.interface import Commands
from seabus.errors import HostError, LeaseLostError

#: Of the boot: it is gone with the reboot that ends all that an earlier lease had left.
FOLDER: Final = "/run/seabus"
# The fence is the highest number among these files: no lock is needed, and none can be left behind.
_HIGHEST: Final = f"""
highest=0
for one in {FOLDER}/fence-*; do
    number=${{one##*-}}
    [ "$number" = '*' ] || [ "$number" -le "$highest" ] || highest=$number
done
"""
# Whoever raises it ends what a predecessor may have left: agents, and with them their VMMs.
_RAISE: Final = f"""
mkdir -p {FOLDER} && chmod 700 {FOLDER} || exit 9
{_HIGHEST}
[ "$highest" -lt "$1" ] && for process in /proc/[0-9]*; do
    case "$(readlink $process/exe)" in */seabus-agent-*) kill -9 "${{process##*/}}" ;; esac
done
: >{FOLDER}/fence-$1 || exit 9
{_HIGHEST}
[ "$highest" -eq "$1" ] || {{ rm -f {FOLDER}/fence-$1; echo "$highest"; exit 3; }}
for one in {FOLDER}/fence-*; do [ "${{one##*-}}" -eq "$1" ] || rm -f "$one"; done
"""
_CHECK: Final = f"""
{_HIGHEST}
[ "$highest" -eq "$1" ] || {{ echo "$highest"; exit 3; }}
"""


async def put_up(name: str, commands: Commands, token: int) -> None:
    """Raise the fence to this lease's token.

    :raises LeaseLostError: a later lease has raised it higher.
    """
    await _ask(name, commands, _RAISE, token)


async def must_hold(name: str, commands: Commands, token: int) -> None:
    """That the fence is ours, right before something is broken.

    :raises LeaseLostError: it is not.
    """
    await _ask(name, commands, _CHECK, token)


async def take_down(commands: Commands, token: int) -> None:
    """Let go of a host that is clean again; a fence that is not ours stays."""
    await commands.run("rm", "-f", f"{FOLDER}/fence-{token}")


async def _ask(name: str, commands: Commands, script: str, token: int) -> None:
    result = await commands.run("sh", "-c", script, "sh", str(token), within=30)
    if result.exit == 3:
        theirs = int(result.text)
        knows = f"knows a later lease, {theirs}" if theirs > token else "does not know our lease any more"
        raise LeaseLostError(
            f"lab host {name} {knows} (ours is {token})",
            hint="nothing was broken; run again. If another keeper of leases gave it out, have only one",
        )
    if result.exit != 0:
        raise HostError(
            f"lab host {name} cannot keep a fence in {FOLDER}",
            details={"its answer": result.stderr.decode(errors="backslashreplace")},
        )
