# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

import pytest

from seabus.errors import ImageError
from seabus.images import modules
from seabus.images.tree import PackageTree

BASE = "usr/lib/modules/7.3.4"


def tree(tmp_path: Path, **depends: str) -> PackageTree:
    """A package tree of modules: name to what each depends on."""
    with tarfile.open(tmp_path / "tree.tar", "w") as tar:
        for name, others in depends.items():
            data = lzma.compress(b"\x7fELF\0license=GPL\0depends=" + others.encode() + b"\0name=x\0")
            member = tarfile.TarInfo(f"./{BASE}/kernel/drivers/{name.replace('_', '-')}.ko.xz")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return PackageTree(tmp_path / "tree.tar")


def test_a_module_brings_what_it_depends_on(tmp_path: Path) -> None:
    with tree(
        tmp_path, virtio_net="net_failover", net_failover="failover", failover="", other=""
    ) as packages:
        files = modules.collect(packages, ["virtio_net"])
    assert sorted(files) == [
        f"{BASE}/kernel/drivers/failover.ko",
        f"{BASE}/kernel/drivers/net-failover.ko",
        f"{BASE}/kernel/drivers/virtio-net.ko",
        f"{BASE}/modules.dep",
    ]
    assert files[f"{BASE}/kernel/drivers/failover.ko"].startswith(b"\x7fELF")
    assert files[f"{BASE}/modules.dep"].decode().splitlines() == [
        "kernel/drivers/failover.ko: ",
        "kernel/drivers/net-failover.ko: kernel/drivers/failover.ko",
        "kernel/drivers/virtio-net.ko: kernel/drivers/net-failover.ko kernel/drivers/failover.ko",
    ]


def test_what_the_kernel_has_built_in_is_left_out(tmp_path: Path) -> None:
    with tree(tmp_path, failover="") as packages:
        assert modules.collect(packages, ["einj"]) == {}


def test_a_missing_dependency_is_told(tmp_path: Path) -> None:
    with (
        tree(tmp_path, virtio_net="net_failover") as packages,
        pytest.raises(ImageError, match="net_failover"),
    ):
        modules.collect(packages, ["virtio_net"])
