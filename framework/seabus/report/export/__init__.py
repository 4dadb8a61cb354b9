# SPDX-License-Identifier: Apache-2.0
"""Runs for other tools: Chrome trace JSON, KTAP, JSON lines, Markdown."""
