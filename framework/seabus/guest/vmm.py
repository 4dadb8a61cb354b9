# SPDX-License-Identifier: Apache-2.0
"""The VMM: QEMU as a process in L1, and the guest behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from seabus.machine import ports
from seabus.machine.config import WorldConfig
from seabus.observe import tracing

#: Where L1 keeps what L2 boots from, and what the VMM writes.
FILES: Final = "/seabus"
LOG: Final = "/run/seabus/vmm.log"
OWN_QEMU: Final = f"{FILES}/qemu-system-aarch64"

_PACKAGED_QEMU: Final = "/usr/bin/qemu-system-aarch64"
_FIRMWARE: Final = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"


@dataclass(frozen=True, kw_only=True)
class VmmFiles:
    """What the VMM is made of, as paths in L1."""

    program: str
    firmware: str = _FIRMWARE
    kernel: str = f"{FILES}/l2-Image"
    initrd: str = f"{FILES}/l2-initrd"


#: A character device for a port: its id, and the port's name (:mod:`seabus.machine.ports`).
Wire = Callable[[str, str], str]


def packed_files(config: WorldConfig) -> VmmFiles:
    """Those of an emulated L1, which carries them in its initramfs."""
    return VmmFiles(program=OWN_QEMU if config.l1_qemu else _PACKAGED_QEMU)


def through_pipes(devices: Mapping[str, str]) -> Wire:
    """Ports that are device files of L1: port name to its path."""
    return lambda name, port: f"pipe,id={name},path={devices[port]}"


def through_sockets(folder: str) -> Wire:
    """Ports that are sockets in a folder of L1, named like the port."""
    return lambda name, port: f"socket,id={name},path={folder}/{port},server=on,wait=off"


def vmm_argv(
    config: WorldConfig, files: VmmFiles, wire: Wire, *, monitor_object: bool, frozen: bool = False
) -> list[str]:
    """The command line of L1's QEMU.

    :param frozen: the guest's state is about to be loaded into it, rather than booted.

    :param monitor_object: its monitors are objects; ``-mon`` would warn that it is deprecated.
    """
    monitor = (
        ["-object", "monitor-qmp,id=monitor,chardev=qmp"]
        if monitor_object
        else ["-mon", "chardev=qmp,mode=control"]
    )
    append = f"console=ttyAMA0 loglevel=3 panic=-1 {config.l2_append}".rstrip()
    ras = "on" if config.l2_ras else "off"
    # fmt: off
    return [
        files.program,
        "-name", "seabus-l2,debug-threads=on",  # vCPU threads are told apart by name: "CPU 0/KVM"
        "-nodefaults", "-no-user-config",
        "-display", "none",
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        "-no-reboot",
        "-machine", f"virt,ras={ras},gic-version=3{',memory-backend=ram' if _backing(config) else ''}",
        "-accel", "kvm",
        "-cpu", "host",
        "-smp", str(config.l2_cpus),
        "-m", f"{config.l2_memory_mib}M",
        *_backing(config),
        "-bios", files.firmware,                # ACPI, and so the guest's GHES, needs UEFI
        "-kernel", files.kernel,
        "-initrd", files.initrd,
        "-append", append,
        *(["-incoming", "defer"] if frozen else []),
        # QEMU's own account of every exception it puts into the guest, written into L1's trace: so it lies
        # on the same clock as the signals, and names the thread.
        "-d", "int", "-D", tracing.MARKER,
        "-chardev", wire("console", ports.L2_CONSOLE),
        "-serial", "chardev:console",
        "-chardev", wire("qmp", ports.L2_QMP),
        *monitor,
        "-device", "virtio-serial-pci,id=ports",
        "-chardev", wire("agent", ports.L2_AGENT),
        "-device", f"virtserialport,bus=ports.0,nr=1,chardev=agent,name={ports.L1_AGENT}",
        "-chardev", wire("qga", ports.L2_QGA),
        "-device", f"virtserialport,bus=ports.0,nr=2,chardev=qga,name={ports.L1_QGA}",
    ]
    # fmt: on


def _backing(config: WorldConfig) -> list[str]:
    """The object that the guest's memory is; anonymous memory, small or huge, needs none."""
    huge = {
        "hugetlb-2M": ",hugetlb=on,hugetlbsize=2M",
        "hugetlb-1G": ",hugetlb=on,hugetlbsize=1G",
        "memfd": "",
    }.get(config.l2_backing)
    if huge is None:
        return []
    return ["-object", f"memory-backend-memfd,id=ram,size={config.l2_memory_mib}M,share=on{huge}"]
