# SPDX-License-Identifier: Apache-2.0
"""Seabus: one memory fault followed through three levels of a nested arm64 machine."""

__version__ = "0.1.0.dev0"
