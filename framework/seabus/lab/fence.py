# SPDX-License-Identifier: Apache-2.0
"""The fence on a host itself: whose it is, and whether it is dirty, as the host knows it.

The keeper of the leases may be wrong about who is alive, and two keepers know nothing of each other; the host
is asked last. Nobody with a smaller token passes, nor anybody else with the same one: each tenancy draws a
word of its own (:class:`Mark`). Nor does anybody whose token is of another keeper than that of the fence that
stands there: of two keepers' numbers neither is the later one. What is about to be broken is noted there
before it is.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from seabus.channel.interface import CommandResult, Commands
from seabus.errors import DiskError, HostError, LeaseLostError

#: Of the boot: it is gone with the reboot that ends all that an earlier lease had left.
FOLDER: Final = "/run/seabus"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What a fence shows: the lease's token, who gave it, and a word that no other tenancy has."""

    token: int
    keeper: str = ""
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))


# Arguments of all scripts: the folder, the token, the nonce, the keeper; further ones are theirs.
# The fence is the highest number among the files fence-TOKEN, each with its nonce and keeper: no lock is
# needed, and none can be left behind.
_HIGHEST: Final = """
folder=$1 token=$2 nonce=$3 keeper=$4 word="$3 $4"
highest() {
    found=0
    for one in "$folder"/fence-*; do
        number=${one##*-}
        [ "$number" = '*' ] || [ "$number" -le "$found" ] || found=$number
    done
    echo "$found"
}
must_be_ours() {
    found=$(highest)
    [ "$found" -eq "$token" ] && [ "$(cat "$folder/fence-$token" 2>/dev/null)" = "$word" ] && return
    echo "$found"
    exit 3
}
"""
#: One program looks at all processes: a fork for each takes seconds on an emulated host.
KILL_AGENTS: Final = r"""
for agent in $(ls -l /proc/[0-9]*/exe 2>/dev/null |
    sed -n 's|.* /proc/\([0-9]*\)/exe -> .*/seabus-agent-.*|\1|p'); do
    kill -9 "$agent"
done
""".strip()
# A name is linked to a file that is complete: whoever comes second with the same token finds the first one's
# word. Then whoever raised it ends what a predecessor may have left: agents, and with them their VMMs.
_RAISE: Final = f"""
{_HIGHEST}
mkdir -p "$folder" && chmod 700 "$folder" || exit 9
found=$(highest)
for one in "$folder"/fence-*; do
    read -r _ theirs 2>/dev/null <"$one" || continue
    [ "$theirs" = "$keeper" ] || {{ echo "${{one##*-}} $theirs"; exit 4; }}
done
[ "$found" -le "$token" ] || {{ echo "$found"; exit 3; }}
echo "$word" >"$folder/new-$nonce" || {{ rm -f "$folder/new-$nonce"; exit 9; }}
ln "$folder/new-$nonce" "$folder/fence-$token" 2>/dev/null
rm -f "$folder/new-$nonce"
found=$(highest)
[ "$found" -eq "$token" ] || [ "$(cat "$folder/fence-$token")" != "$word" ] || rm -f "$folder/fence-$token"
must_be_ours
foreign=
for one in "$folder"/fence-*; do
    number=${{one##*-}}
    [ "$number" -lt "$token" ] || continue
    [ -s "$folder/dirty" ] || echo "lease $number of it was never given back" >"$folder/dirty" || exit 9
    rm -f "$one"
    foreign=yes
done
[ -z "$foreign" ] || {KILL_AGENTS}
cat "$folder/dirty" 2>/dev/null
true
"""
# $5: the boot it must still be; $6: why it is dirty from now on, or nothing.
_CHECK: Final = f"""
{_HIGHEST}
[ -z "$5" ] || [ "$(cat /proc/sys/kernel/random/boot_id)" = "$5" ] || exit 5
must_be_ours
[ -z "$6" ] || [ -s "$folder/dirty" ] || echo "$6" >"$folder/dirty" || exit 9
"""
_TAKE_DOWN: Final = f"""
{_HIGHEST}
must_be_ours
rm -f "$folder/dirty" "$folder/huge-pages" "$folder/fence-$token"
"""


async def put_up(name: str, commands: Commands, mark: Mark) -> str:
    """Raise the fence to this lease's mark; why the host is dirty, as it knows itself, or empty.

    A fence that somebody left there is dirt: nobody has seen what became of the host.

    :raises LeaseLostError: a later lease has raised it higher, another one has the same token, or another
        keeper's stands there.
    """
    return (await _ask(name, commands, _RAISE, mark)).text.strip()


async def must_hold(name: str, commands: Commands, mark: Mark, *, boot_id: str = "", dirty: str = "") -> None:
    """That the fence is ours, right before something is broken or undone.

    :param boot_id: of the boot that was examined; empty: whichever.
    :param dirty: note on the host, if it is ours, that it is dirty from now on, and why.
    :raises LeaseLostError: it is not.
    :raises HostError: the host was rebooted meanwhile.
    """
    await _ask(name, commands, _CHECK, mark, boot_id, dirty)


async def take_down(name: str, commands: Commands, mark: Mark) -> None:
    """Let go of a host that is clean again, as the host shall know, too.

    :raises LeaseLostError: the fence is not ours; it stays.
    """
    await _ask(name, commands, _TAKE_DOWN, mark)


async def _ask(name: str, commands: Commands, script: str, mark: Mark, *more: str) -> CommandResult:
    result = await commands.run(
        "sh", "-c", script, "sh", FOLDER, str(mark.token), mark.nonce, mark.keeper, *more, within=30
    )
    complaint = {"its answer": result.stderr.decode(errors="backslashreplace")}
    if result.exit == 0:
        return result
    if result.exit == 4:
        number, _, keeper = result.text.strip().partition(" ")
        raise LeaseLostError(
            f"lab host {name} is held under lease {number} of another keeper, {keeper or 'an older Seabus'}",
            hint=f"nothing was broken; ours is {mark.keeper}: have one only; if nobody uses it, reboot it",
        )
    if result.exit == 3:
        theirs = int(result.text)
        if theirs > mark.token:
            knows = f"knows a later lease, {theirs}"
        elif theirs == mark.token:
            knows = "is held under another lease with the same number"
        else:
            knows = "does not know our lease any more"
        raise LeaseLostError(
            f"lab host {name} {knows} (ours is {mark.token})",
            hint="nothing was broken; run again; if nobody uses it, reboot it",
        )
    if result.exit == 5:
        raise HostError(
            f"lab host {name} was rebooted under our lease, by itself or by somebody else",
            hint="nothing was broken; its console may tell why",
        )
    if b"No space left" in result.stderr:
        raise DiskError(
            f"lab host {name} has no space left in {FOLDER}",
            hint=f"its /run is full: reboot it, or see what fills it: seabus lab ssh {name}",
            details=complaint,
        )
    raise HostError(f"lab host {name} cannot keep a fence in {FOLDER}", details=complaint)
