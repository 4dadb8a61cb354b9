# SPDX-License-Identifier: Apache-2.0
"""``python -m seabus``."""

from seabus.cli import script

if __name__ == "__main__":
    script()
