# SPDX-License-Identifier: Apache-2.0
"""Lab hosts: L1 is then a machine reached over SSH, poison is real, and the machine is somebody else's too.

==================================  ==================================================================
:mod:`~seabus.lab.inventory`        the lab file: which hosts there are, and what may be done to them
:mod:`~seabus.lab.ssh`              one connection to a host
:mod:`~seabus.lab.ssh_login`        how it is made, and what it means if it cannot be
:mod:`~seabus.lab.ssh_watch`        when it is over
:mod:`~seabus.lab.lease`            whose a host is: the rules, without a clock or a file
:mod:`~seabus.lab.embedded`         leases in files of one computer
:mod:`~seabus.lab.labgrid_places`   leases as places of a labgrid coordinator
:mod:`~seabus.lab.labgrid_client`   what the coordinator says of a place, and how one is taken
:mod:`~seabus.lab.labgrid_tags`     their records as tags of the places
:mod:`~seabus.lab.hand_back`        a host is given back clean, or rebooted, or put aside
:mod:`~seabus.lab.world`            a session's world on a host
:mod:`~seabus.lab.emulated`         a lab made of emulators, for those who have no other
==================================  ==================================================================
"""
