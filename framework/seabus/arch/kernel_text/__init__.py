# SPDX-License-Identifier: Apache-2.0
"""What a kernel logs about errors: records of firmware, bad pages, exceptions, and trouble of its own.

The functions take one line each, with or without what precedes a kernel's message: a level ``<6>``, a
time ``[   12.345678]``, a caller ``[  T123]``, a journal's ``kernel:``. They are for text that
anyone may have written: nothing here fails on a line, takes more than linear time, or stores without a cap.
:func:`parse_dmesg` and :class:`DmesgParser` read a whole log with all of them.

Wordings are those of Linux 6.1 to 7.3.

=======================  ============================================================================
:mod:`.line`             a line freed from what a console or ``dmesg`` puts around it
:mod:`.ghes`             error records put together from lines; :mod:`.sections` types their sections
:mod:`.memory_failure`   bad pages: hard, soft, injected and healed
:mod:`.exceptions`       lines that name an exception or a panic
:mod:`.trouble`          lines that begin a kernel's report on itself; :mod:`.report` reads on
:mod:`.kvm`              KVM's messages
:mod:`.drivers`          EDAC, AER, GHES's signals, complaints about firmware
:mod:`.dmesg`            a whole log; :mod:`.log_events` what it yields
=======================  ============================================================================
"""

import lazy_loader  # what is offered is said in __init__.pyi

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
