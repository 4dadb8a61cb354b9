# SPDX-License-Identifier: Apache-2.0
"""The VMM of a session: where its memory lies, so that a part of it can be broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seabus.arch.addresses import GuestPhysical, VmmVirtual
from seabus.guest import vmm_memory
from seabus.guest.vmm_memory import Area, VmmPage
from seabus.session import life

if TYPE_CHECKING:
    from seabus.session.session import Session


class SessionVmm:
    """The VMM's process in L1."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def pid(self) -> int:
        return self._session.world.vmm_pid

    def area(self, name: str, access: str = "r") -> Area:
        """The first mapping whose name ends so, and that allows this access.

        :param access: such as ``x``.
        """
        found = self._session.run(vmm_memory.areas(self._session.world.l1, self.pid))
        return next(area for area in found if area.name.endswith(name) and access in area.access)

    def resident(self, area: Area) -> list[VmmPage]:
        """The pages of a mapping that are present."""
        return self._session.run(vmm_memory.resident(self._session.world.l1, self.pid, area))

    def page_at(self, address: VmmVirtual) -> VmmPage:
        """The page that holds an address."""
        return self._session.run(vmm_memory.page_at(self._session.world.l1, self.pid, address))

    def waits_at(self) -> VmmPage:
        """The page of code that its main thread goes on in when it is woken."""
        return self.page_at(self._session.run(vmm_memory.waits_at(self._session.world.l1, self.pid)))

    def guest_page(self, address: GuestPhysical) -> VmmPage:
        """The page behind an address of the guest."""
        world = self._session.world
        return self._session.run(vmm_memory.guest_page(world.l1, world.l2_qmp, self.pid, address))

    def ring(self, queue: int) -> VmmPage:
        """The page behind a queue's available ring, of the guest's virtio-serial device.

        :param queue: 4 is what our agent reads, 5 what it writes (VirtIO 1.3, 5.3.2).
        """
        return self.guest_page(self._session.run(vmm_memory.ring(self._session.world.l2_qmp, queue)))

    def guest_rests(self) -> None:
        """Wait until the guest is idle: what it shares with the VMM is touched by the VMM first.

        :raises DeadlineError: it is never idle.
        """
        self._session.run(life.rest(self._session.stage))
