# SPDX-License-Identifier: Apache-2.0
"""Formats of the architecture: what travels between the levels, as values and pure functions.

No I/O, no state, and nothing of Seabus is imported, so all of it can be read, tested and used
alone. Numbers come from tables that name their source; what cannot be read raises
:exc:`MalformedRecord`.

=====================================  ===================================================================
:mod:`~seabus.arch.addresses`          the four address spaces of a nested world, as types
:mod:`~seabus.arch.esr`                ESR_ELx: why an exception was taken
:mod:`~seabus.arch.expected_abort`     what hardware, KVM, QEMU or a register-writing VMM make of an abort
:mod:`~seabus.arch.exception_entry`    PSTATE, SPSR and ELR when EL1 takes an exception
:mod:`~seabus.arch.abort_deviations`   where an injected abort differs from a real one, and why
:mod:`~seabus.arch.cper`               error records: GHES status blocks, CPER records, all their sections
:mod:`~seabus.arch.hest`               the ACPI table that says who reports errors, how, and where
:mod:`~seabus.arch.einj`               the error types that firmware can inject
:mod:`~seabus.arch.sigbus`             SIGBUS: its codes, and what an agent reports of one
:mod:`~seabus.arch.siginfo`            the bytes of a ``siginfo_t``; :mod:`.signalfd` those of a signalfd
:mod:`~seabus.arch.signal_frame`       the AArch64 signal frame: PC, FAR, ESR and all other records
:mod:`~seabus.arch.trace`              lines of a tracefs ``trace_pipe``, and their events
:mod:`~seabus.arch.kernel_text`        what a kernel prints about errors and about itself, and whole logs
:mod:`~seabus.arch.kernel_cper_text`   the lines that Linux prints for an error record
=====================================  ============================================================"""

# What is offered is said in __init__.pyi. All of it takes a fifth of a second to import, which nobody pays
# who asks for an address only.
import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
