# SPDX-License-Identifier: Apache-2.0
"""Scenarios: what is done to a world, and what it must do in return."""
