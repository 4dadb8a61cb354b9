# SPDX-License-Identifier: Apache-2.0
"""A running nested stack: booted once, frozen as a template, cloned for every use."""
