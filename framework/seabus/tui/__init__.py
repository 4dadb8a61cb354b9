# SPDX-License-Identifier: Apache-2.0
"""A fault session on a full terminal: levels side by side, and keys for what one does.

=====================================  =============================================================
:mod:`~seabus.tui.deeds`               what the keys do, on a living world
:mod:`~seabus.tui.app`                 the screen
=====================================  =============================================================
"""
