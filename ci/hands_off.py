# SPDX-License-Identifier: Apache-2.0
"""``python ci/hands_off.py -- COMMAND…``: runs a command before whose eyes this kernel's injectors are fakes.

In a mount namespace of its own, plain files stand where a kernel takes orders to poison, to offline or to
inject (sysfs, debugfs, the magic SysRq). Whatever of the command writes there, a test, an agent or a child's
child, is recorded, and makes it fail: nothing that runs here may break the machine it runs on.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

_INSIDE: Final = "--inside"
_SYSTEM_MEMORY: Final = Path("/sys/devices/system/memory")
_DEBUG: Final = Path("/sys/kernel/debug")
_EINJ: Final = (
    *("available_error_type", "error_type", "flags", "notrigger", "error_inject"),
    *("param1", "param2", "param3", "param4"),
)
#: What lies in each folder that a fake takes the place of.
_FAKES: Final = {
    _SYSTEM_MEMORY: ("hard_offline_page", "soft_offline_page", "auto_online_blocks", "block_size_bytes"),
    _DEBUG: (
        *("hwpoison/corrupt-pfn", "hwpoison/unpoison-pfn", "mce-inject/addr", "mce-inject/status"),
        *(f"apei/einj/{name}" for name in _EINJ),
    ),
}
#: Single files, covered where they are.
_FILES: Final = (Path("/proc/sysrq-trigger"),)
_Seen = dict[Path, tuple[int, int, int]]


def main() -> int:
    words = sys.argv[1:]
    inside = words[:1] == [_INSIDE]
    command = words[words.index("--") + 1 :] if "--" in words else []
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    if inside:
        return _watched(command)
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        _say("not root: whether anything writes to this kernel's injectors is not watched")
    else:
        command = ["unshare", "-m", sys.executable, __file__, _INSIDE, "--", *command]
    os.execvp(command[0], command)
    raise AssertionError("exec returned")


def _watched(command: list[str]) -> int:
    folders = [_cover(folder, names) for folder, names in _FAKES.items() if folder.is_dir()]
    spare = folders[0] / "spare" if folders else None
    for path in _FILES:
        if spare and path.exists():
            spare.touch()
            subprocess.run(["mount", "--bind", spare, path], check=True)
    before = _seen(folders)
    _say(f"{len(before)} injectors of this kernel are fakes")
    # Ctrl-C is the command's, and told by its exit status.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = subprocess.run(command, check=False, preexec_fn=_heed).returncode
    after = _seen(folders)
    written = sorted(
        str(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )
    for name in written:
        _say(f"somebody wrote to {name}")
    _say(f"{len(written)} writes to this kernel")
    return 1 if written else code if code >= 0 else 128 - code


def _heed() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _cover(folder: Path, names: tuple[str, ...]) -> Path:
    real = {name: (folder / name).read_bytes() for name in names if _readable(folder / name)}
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "none", folder], check=True)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(real.get(name, b"0\n"))
    return folder


def _readable(path: Path) -> bool:
    return path.is_file() and path.stat().st_mode & 0o444 != 0


def _seen(folders: list[Path]) -> _Seen:
    found: _Seen = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                status = path.stat()
                found[path] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def _say(text: str) -> None:
    print(f"[hands-off] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
