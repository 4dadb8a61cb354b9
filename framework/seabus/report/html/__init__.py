# SPDX-License-Identifier: Apache-2.0
"""Runs as one HTML file that needs nothing else: no network, no folder beside it.

=============================================  =======================================================
:mod:`~seabus.report.html.page`                the whole page
:mod:`~seabus.report.html.overview`            verdict counts, and the heat map of tests × configurations
:mod:`~seabus.report.html.account`             one run: picture, deviations, addresses, consoles
:mod:`~seabus.report.html.picture`             one fault as a sequence picture, in SVG
:mod:`~seabus.report.html.rows`                what is in such a picture: events, and what did not come
=============================================  =======================================================
"""

from seabus.report.html.page import page

__all__ = ["page"]
