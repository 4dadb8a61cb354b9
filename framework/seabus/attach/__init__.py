# SPDX-License-Identifier: Apache-2.0
"""From another terminal into a running world: its process serves a socket in its run folder.

================================  ====================================================================
:mod:`~seabus.attach.server`      answers, in the world's own process
:mod:`~seabus.attach.requests`    what can be asked: one coroutine each
:mod:`~seabus.attach.client`      asks
================================  ====================================================================

A connection carries one request, a line of JSON: ``{"do": "exec", …}``. Its answers are lines, too:
``{"ok": …}`` or ``{"error": …}``, and before it, where a request streams, any number of ``{"event": …}``.
"""

from typing import Final

#: The socket's name in the run folder, which nobody else may enter.
SOCKET: Final = "control.sock"
#: Of a line; console output is not carried, and the output of a command rarely is so long.
LINE_LIMIT: Final = 64 << 20
