# SPDX-License-Identifier: Apache-2.0
"""Ways to talk to a machine: monitors and agents. What is said is the business of others."""
