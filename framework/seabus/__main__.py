# SPDX-License-Identifier: Apache-2.0
"""``python -m seabus``."""

import sys

from seabus.cli import main

if __name__ == "__main__":
    sys.exit(main())
