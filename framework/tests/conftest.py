# SPDX-License-Identifier: Apache-2.0
"""Settings shared by all tests of Seabus itself."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Tests are never timed: a loaded machine is slow, and that is no defect of what is tested.
settings.register_profile("seabus", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("seabus")
