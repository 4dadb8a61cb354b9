# SPDX-License-Identifier: Apache-2.0
"""The rows of docs/SPEC.md that are shown by doing something many times; run by ``ci/soak``."""
