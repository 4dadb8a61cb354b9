# SPDX-License-Identifier: Apache-2.0
"""The channels into a world: virtio-serial ports of L1, some of which L1's QEMU passes on to L2.

Each port of L1 is one end of a socket pair whose other end this process holds: no path, no TCP port, and
nothing left when either side dies. A port named ``seabus.l2.*`` is opened in L1 by the VMM, as the pipe
behind one of *its* devices, so L2's channels are sockets at L0 with nothing to run in between.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Final

L1_AGENT: Final = "seabus.agent"
L1_QGA: Final = "org.qemu.guest_agent.0"
L2_QMP: Final = "seabus.l2.qmp"
L2_AGENT: Final = "seabus.l2.agent"
L2_QGA: Final = "seabus.l2.qga"
#: Recorded by the emulator itself, to a file.
L2_CONSOLE: Final = "seabus.l2.console"

#: The ports held as sockets by this process, in device order.
CONNECTED: Final = (L1_AGENT, L1_QGA, L2_QMP, L2_AGENT, L2_QGA)


@dataclass
class Sockets:
    """Both ends of every connected port and of L0's own monitor."""

    ours: dict[str, socket.socket] = field(default_factory=dict)
    theirs: dict[str, socket.socket] = field(default_factory=dict)

    @classmethod
    def make(cls, *names: str) -> Sockets:
        pair = cls()
        for name in names:
            pair.ours[name], pair.theirs[name] = socket.socketpair()
            pair.ours[name].setblocking(False)
        return pair

    def descriptors(self) -> dict[str, int]:
        """The emulator's ends, as numbers it inherits."""
        return {name: end.fileno() for name, end in self.theirs.items()}

    def close_theirs(self) -> None:
        """After the emulator has started: its ends must close when it dies."""
        for end in self.theirs.values():
            end.close()
        self.theirs.clear()

    def close(self) -> None:
        self.close_theirs()
        for end in self.ours.values():
            end.close()
