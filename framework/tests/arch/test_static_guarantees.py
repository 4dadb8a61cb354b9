# SPDX-License-Identifier: Apache-2.0
"""What mypy must refuse: one address space where another is wanted."""

import re
import sys
from pathlib import Path

import pytest
from mypy import api

SOURCE = Path(__file__).parents[2]

# Each line that ends in "# error: CODE" must be refused with that code, and no other line.
SNIPPET = """
from seabus.arch import GuestPhysical, GuestVirtual, HostPhysical, VmmVirtual
from seabus.arch import memory_error_record
import uuid

def poison(page: HostPhysical) -> None: ...

poison(HostPhysical(0x1000))
poison(HostPhysical(0x1000).page() + 8)
poison(GuestPhysical(0x1000))  # error: arg-type
poison(VmmVirtual(0x1000))  # error: arg-type
poison(GuestVirtual(0x1000).page())  # error: arg-type
poison(0x1000)  # error: arg-type
HostPhysical(GuestPhysical(0x1000))  # error: arg-type
HostPhysical(int(GuestPhysical(0x1000)))
distance: int = VmmVirtual(0x2000) - VmmVirtual(0x1000)
VmmVirtual(0x2000) - GuestVirtual(0x1000)  # error: operator
GuestVirtual(0x2000) < GuestPhysical(0x1000)  # error: operator
GuestPhysical(1) == HostPhysical(1)  # error: comparison-overlap
GuestPhysical(1) + GuestPhysical(1)  # error: operator
VmmVirtual(0x1000).pfn  # error: attr-defined
GuestPhysical(0x1000).pfn
memory_error_record(GuestPhysical(0), fru_id=uuid.uuid4())  # error: arg-type
GuestPhysical(0x1000).value = 1  # error: misc
"""


def test_mixing_address_spaces_is_a_type_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    monkeypatch.setenv("MYPYPATH", str(SOURCE))
    monkeypatch.chdir(tmp_path)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    options = ["--strict", "--explicit-package-bases", "--python-version", version]
    output, problems, _status = api.run([*options, "--config-file=", "snippet.py"])
    assert not problems
    found = re.findall(r"^snippet\.py:(\d+): error: .*\[([\w-]+)\]$", output, re.MULTILINE)
    wanted = [
        (str(number), line.rpartition("# error: ")[2])
        for number, line in enumerate(SNIPPET.splitlines(), 1)
        if "# error: " in line
    ]
    assert found == wanted, output
