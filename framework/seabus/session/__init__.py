# SPDX-License-Identifier: Apache-2.0
"""A fault session: a living world, its witnesses, and everything a test or a person does with them."""
