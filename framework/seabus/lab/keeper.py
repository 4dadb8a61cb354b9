# SPDX-License-Identifier: Apache-2.0
"""Who keeps the leases of a lab, as its file says."""

from __future__ import annotations

from seabus.errors import CapabilityError
from seabus.lab.embedded import EmbeddedLeases
from seabus.lab.inventory import Lab
from seabus.lab.lease import Leases


def of(lab: Lab) -> Leases:
    """The keeper of a lab's leases; close it when done.

    :raises CapabilityError: labgrid is wanted and not installed.
    :raises HostError: the coordinator does not answer.
    """
    if lab.leases == "embedded":
        return EmbeddedLeases(lab)
    try:
        from seabus.lab.labgrid_places import LabgridLeases
    except ImportError as error:
        raise CapabilityError(
            f"the leases of {lab.path} are kept by labgrid, which is not installed ({error})",
            hint="pip install 'seabus[labgrid]'",
        ) from error
    return LabgridLeases(lab)
