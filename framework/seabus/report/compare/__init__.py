# SPDX-License-Identifier: Apache-2.0
"""Two runs, or two times many, held against each other: what another kernel or VMM does otherwise.

Events are joined by what they are to their scenario, never by their place in a list; every address, thread
and nonce is replaced by what it stands for: no two runs ever use the same.

===========  ============================================================
``roles``    addresses, threads and nonces, each by what it stands for
``align``    which event of one run is which of the other
``differ``   what differs between two runs, and between two sets of them
``tell``     the same on a terminal and as JSON
===========  ============================================================
"""

from seabus.report.compare.differ import Comparison, Difference, compare

__all__ = ["Comparison", "Difference", "compare"]
