# SPDX-License-Identifier: Apache-2.0
"""Runs as one HTML file that needs nothing from anywhere: verdicts, heat map, pictures, consoles.

=============  ===================================================================
``page``       the runs as what the template shows, and the template filled
``consoles``   the ends of consoles, as much of them as there is room for
``packed``     what is only shown when asked for: deflated, unpacked by the page
=============  ===================================================================
"""

from seabus.report.html.page import page

__all__ = ["page"]
