# SPDX-License-Identifier: Apache-2.0
"""The emulator's command line: one list that can be read from top to bottom, with the reason of each word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seabus.machine import ports
from seabus.machine.capabilities import EmulatorCapabilities
from seabus.machine.config import WorldConfig

_CPU: Final = {
    # Each of these is a third to a half of all emulated instructions, and no RAS path depends on one.
    "lean": "max,pauth=off,sve=off,sme=off",
    "full": "max",
}


@dataclass(frozen=True, kw_only=True)
class Boot:
    """A cold start: what the firmware loads.

    :param ssh_port: a TCP port of this computer, on the loopback address, that leads to L1's port 22; the
        machine has a network interface then. A frozen world has none.
    """

    kernel: Path
    initrd: Path
    append: str
    ssh_port: int | None = None


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """Where one emulator's channels end.

    :param descriptors: port or monitor name to an inherited socket.
    :param folder: the run folder, for sockets that a person may open.
    :param consoles: the folder that receives ``console-l1.log`` and ``console-l2.log``.
    """

    descriptors: Mapping[str, int]
    folder: Path
    consoles: Path


def l0_argv(
    command: Sequence[str],
    config: WorldConfig,
    capabilities: EmulatorCapabilities,
    *,
    firmware: Path,
    ram: Path,
    wiring: Wiring,
    boot: Boot | None,
) -> list[str]:
    """The argv of L0.

    :param ram: L1's physical memory: written by a cold start, mapped copy-on-write by a clone.
    :param boot: what to start, or None to wait for the frozen state.
    """
    share = "share=on" if boot else "share=off,readonly=on,rom=off"
    ras = "on" if config.l1_ras else "off"
    # fmt: off
    return [
        *command,
        "-name", "seabus-l0,debug-threads=on",
        "-nodefaults", "-no-user-config",       # nothing that we did not ask for
        "-display", "none",
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        "-no-reboot",                           # a panicked L1 ends the run; it must not look alive again

        # A versioned machine: a frozen world is loaded by exactly the machine that froze it.
        "-machine", f"{capabilities.machine},virtualization=on,ras={ras},gic-version=3,"
                    "memory-backend=ram",
        "-cpu", _CPU[config.l0_cpu],
        "-smp", str(config.l1_cpus),
        "-m", f"{config.l1_memory_mib}M",
        # A named file, so that freezing skips it and clones map it (QEMU manual, "VM templating").
        "-object", f"memory-backend-file,id=ram,size={config.l1_memory_mib}M,mem-path={_word(ram)},{share}",
        # A boot translates 180 MiB of code; what a clone runs fits into a third of that.
        "-accel", f"tcg,thread=multi,tb-size={512 if boot else 128}",
        # L1's clock of the day is part of the frozen state, not of this computer.
        "-rtc", "base=2026-01-01T00:00:00,clock=vm",
        # Also asked for by QMP; here an emulator that lacks it says so before it boots anything.
        "-global", "migration.x-ignore-shared=on",

        "-bios", str(firmware),                 # ACPI, and so GHES, needs UEFI
        *(_boot_words(boot) if boot else ["-incoming", "defer"]),
        *(_network(boot.ssh_port) if boot and boot.ssh_port else []),

        # Our monitor is an inherited socket; the second one is for people, and always open.
        *_monitor(capabilities, "qmp", f"socket,id=qmp,fd={wiring.descriptors['qmp']}"),
        *_monitor(capabilities, "people",
                  f"socket,id=people,path={_word(wiring.folder)}/qmp.sock,server=on,wait=off"),

        # L1's console: recorded whoever listens, and open to a person. An unread socket would stall the
        # guest in printk; a server socket without a client drops what was logged already.
        "-chardev", f"socket,id=console,path={_word(wiring.folder)}/console.sock,server=on,wait=off,"
                    f"logfile={_word(wiring.consoles)}/console-l1.log,logappend=on",
        "-serial", "chardev:console",

        "-device", "virtio-serial-pci,id=ports,max_ports=16",
        *(
            word
            for number, name in enumerate(ports.CONNECTED, start=1)
            for word in (
                "-chardev", f"socket,id=port{number},fd={wiring.descriptors[name]}",
                "-device", f"virtserialport,bus=ports.0,nr={number},chardev=port{number},name={name}",
            )
        ),
        # L2's console, recorded as well. A file as the backend would stall the port, and so the VMM, when it
        # is full or the disk is; a ring takes everything, and what the log cannot take is lost.
        "-chardev", "ringbuf,id=console2,size=4096,"
                    f"logfile={_word(wiring.consoles)}/console-l2.log,logappend=on",
        "-device", f"virtserialport,bus=ports.0,nr=15,chardev=console2,name={ports.L2_CONSOLE}",
    ]
    # fmt: on


def _word(path: Path) -> str:
    """A path as the value of one of QEMU's options, in which a comma begins the next (qemu(1))."""
    return str(path).replace(",", ",,")


def _boot_words(boot: Boot) -> list[str]:
    return ["-kernel", str(boot.kernel), "-initrd", str(boot.initrd), "-append", boot.append]


def _network(ssh_port: int) -> list[str]:
    """A network of this machine and us alone; no boot ROM, or the firmware would try to boot from it."""
    return [
        *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{ssh_port}-:22"),
        *("-device", "virtio-net-pci,netdev=net,romfile="),
    ]


def _monitor(capabilities: EmulatorCapabilities, name: str, chardev: str) -> list[str]:
    if capabilities.monitor_object:
        return ["-chardev", chardev, "-object", f"monitor-qmp,id=m-{name},chardev={name}"]
    return ["-chardev", chardev, "-mon", f"chardev={name},mode=control"]


def l1_append(config: WorldConfig) -> str:
    """L1's kernel command line."""
    giants = config.l2_memory_mib // 1024 if config.l2_backing == "hugetlb-1G" else 0
    words = [
        "console=ttyAMA0",
        # Shown while booting, for the milestones; init turns it down. From then on the log is read from
        # the trace buffer, and the emulated UART does not slow a fault down.
        "loglevel=7",
        "panic=-1",
        f"kvm-arm.mode={config.l1_mode}" if config.l1_mode == "nvhe" else "",
        # Pages of that size can only be set aside while memory is whole.
        f"hugepagesz=1G hugepages={giants}" if giants else "",
        config.l1_append,
    ]
    return " ".join(word for word in words if word)
