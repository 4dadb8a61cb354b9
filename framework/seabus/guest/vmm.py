# SPDX-License-Identifier: Apache-2.0
"""The VMM: QEMU as a process in L1, and the guest behind it."""

from __future__ import annotations

from collections.abc import Mapping
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


def program(config: WorldConfig) -> str:
    """The VMM's program in L1."""
    return OWN_QEMU if config.l1_qemu else _PACKAGED_QEMU


def vmm_argv(config: WorldConfig, devices: Mapping[str, str], *, monitor_object: bool) -> list[str]:
    """The command line of L1's QEMU.

    :param devices: port name (:mod:`seabus.machine.ports`) to its device file in L1.
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
        program(config),
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
        "-bios", _FIRMWARE,                     # ACPI, and so the guest's GHES, needs UEFI
        "-kernel", f"{FILES}/l2-Image",
        "-initrd", f"{FILES}/l2-initrd",
        "-append", append,
        # QEMU's own account of every exception it puts into the guest, written into L1's trace: so it lies
        # on the same clock as the signals, and names the thread.
        "-d", "int", "-D", tracing.MARKER,
        "-chardev", f"pipe,id=console,path={devices[ports.L2_CONSOLE]}",
        "-serial", "chardev:console",
        "-chardev", f"pipe,id=qmp,path={devices[ports.L2_QMP]}",
        *monitor,
        "-device", "virtio-serial-pci,id=ports",
        "-chardev", f"pipe,id=agent,path={devices[ports.L2_AGENT]}",
        "-device", f"virtserialport,bus=ports.0,nr=1,chardev=agent,name={ports.L1_AGENT}",
        "-chardev", f"pipe,id=qga,path={devices[ports.L2_QGA]}",
        "-device", f"virtserialport,bus=ports.0,nr=2,chardev=qga,name={ports.L1_QGA}",
    ]
    # fmt: on


def _backing(config: WorldConfig) -> list[str]:
    """The object that the guest's memory is; anonymous memory, small or huge, needs none."""
    huge = {"hugetlb-2M": ",hugetlb=on,hugetlbsize=2M", "memfd": ""}.get(config.l2_backing)
    if huge is None:
        return []
    return ["-object", f"memory-backend-memfd,id=ram,size={config.l2_memory_mib}M,share=on{huge}"]
