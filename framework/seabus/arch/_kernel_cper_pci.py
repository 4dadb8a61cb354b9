# SPDX-License-Identifier: Apache-2.0
"""Linux drivers/firmware/efi/cper.c and cper_cxl.c: PCIe and CXL protocol error sections."""

from seabus.arch._kernel_cper_print import Printer, View

_PORTS = (
    "PCIe end point",
    "legacy PCI end point",
    "unknown",
    "unknown",
    "root port",
    "upstream switch port",
    "downstream switch port",
    "PCIe to PCI/PCI-X bridge",
    "PCI/PCI-X to PCIe bridge",
    "root complex integrated endpoint device",
    "root complex event collector",
)
_AER = 112
_CAPABILITY = 60


def pcie(printer: Printer, section: View) -> None:
    """cper_print_pcie(). The capability structure (bit 6) is not printed."""
    valid = section.u64(0)
    if valid & 0x1:
        printer.named("port_type", section.s32(8), _PORTS, section.u32(8))
    if valid & 0x2:
        printer.line(f"version: {section.u8(13)}.{section.u8(12)}")
    if valid & 0x4:
        printer.line(f"command: 0x{section.u16(16):04x}, status: 0x{section.u16(18):04x}")
    if valid & 0x8:
        where = f"{section.u16(33):04x}:{section.u8(35):02x}:{section.u8(32):02x}.{section.u8(31):x}"
        printer.line(f"device_id: {where}")
        printer.line(f"slot: {section.u16(37) >> 3}")
        printer.line(f"secondary_bus: 0x{section.u8(36):02x}")
        printer.line(f"vendor_id: 0x{section.u16(24):04x}, device_id: 0x{section.u16(26):04x}")
        printer.line(f"class_code: {section.u8(30):02x}{section.u8(29):02x}{section.u8(28):02x}")
    if valid & 0x10:
        printer.line(f"serial number: 0x{section.u32(40):04x}, 0x{section.u32(44):04x}")
    if valid & 0x20:
        status, control = section.u16(48), section.u16(50)
        printer.line(f"bridge: secondary_status: 0x{status:04x}, control: 0x{control:04x}")
    if valid & 0x80:
        _aer(printer, section.at(_AER))


def _aer(printer: Printer, aer: View) -> None:
    printer.line(f"aer_cor_status: 0x{aer.u32(16):08x}, aer_cor_mask: 0x{aer.u32(20):08x}")
    printer.line(f"aer_uncor_status: 0x{aer.u32(4):08x}, aer_uncor_mask: 0x{aer.u32(8):08x}")
    printer.line(f"aer_uncor_severity: 0x{aer.u32(12):08x}")
    printer.line("TLP Header: " + " ".join(f"{aer.u32(offset):08x}" for offset in (28, 32, 36, 40)))


_AGENTS = (
    "Restricted CXL Device",
    "Restricted CXL Host Downstream Port",
    "CXL Device",
    "CXL Logical Device",
    "CXL Fabric Manager managed Logical Device",
    "CXL Root Port",
    "CXL Downstream Switch Port",
    "CXL Upstream Switch Port",
)
_REGISTER_BLOCK = 1
_IN_CONFIG_SPACE = frozenset({0, 2, 3, 4, 5, 6, 7})
_DEVICES = frozenset({0, 2, 3, 4})
_DVSEC = 116


def cxl_protocol(printer: Printer, section: View) -> None:
    """cxl_cper_print_prot_err(). Its text has one more space; its dumps have not."""
    valid, agent = section.u64(0), section.u8(8)
    inner = printer.indented()
    if valid & 0x1:
        inner.named("agent_type", agent, _AGENTS)
    if valid & 0x2 and agent == _REGISTER_BLOCK:
        inner.line(f"rcrb_base_address: 0x{section.u64(16):016x}")
    elif valid & 0x2 and agent in _IN_CONFIG_SPACE:
        where = f"{section.u16(19):04x}:{section.u8(18):02x}:{section.u8(17):02x}.{section.u8(16):x}"
        inner.line(f"agent_address: {where}")
    if valid & 0x4 and agent in _IN_CONFIG_SPACE:
        inner.line(f"slot: {section.u16(34) >> 3}")
        inner.line(f"vendor_id: 0x{section.u16(24):04x}, device_id: 0x{section.u16(26):04x}")
        inner.line(f"sub_vendor_id: 0x{section.u16(28):04x}, sub_device_id: 0x{section.u16(30):04x}")
        inner.line(f"class_code: {section.u8(33):02x}{section.u8(32):02x}")
    if valid & 0x8 and agent in _DEVICES:
        inner.line(f"lower_dw: 0x{section.u32(40):08x}, upper_dw: 0x{section.u32(44):08x}")
    if valid & 0x10 and agent in _IN_CONFIG_SPACE:
        printer.hex_dump(section.bytes(48, _CAPABILITY), characters=False)
    length = section.u16(108)
    if valid & 0x20:
        inner.line(f"DVSEC length: 0x{length:04x}")
        inner.line("CXL DVSEC:")
        printer.hex_dump(section.bytes(_DVSEC, length), characters=False)
    if valid & 0x40:
        _error_log(printer, section.u16(110), section.at(_DVSEC + length))


def _error_log(printer: Printer, length: int, log: View) -> None:
    inner = printer.indented()
    inner.line(f"Error log length: 0x{length:04x}")
    inner.line("CXL Error Log:")
    for offset, name in enumerate(
        (
            "cxl_ras_uncor_status",
            "cxl_ras_uncor_mask",
            "cxl_ras_uncor_severity",
            "cxl_ras_cor_status",
            "cxl_ras_cor_mask",
            "cap_control",
        )
    ):
        inner.line(f"{name}: 0x{log.u32(4 * offset):08x}")
    inner.line("Header Log Registers:")
    printer.hex_dump(log.bytes(24, 64), characters=False)
