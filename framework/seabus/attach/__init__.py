# SPDX-License-Identifier: Apache-2.0
"""From another terminal into a running world: its process serves a socket in its run folder.

================================  ====================================================================
:mod:`~seabus.attach.joinable`    what a world must have to be joined
:mod:`~seabus.attach.server`      answers, in the world's own process
:mod:`~seabus.attach.requests`    what can be asked: one coroutine each
:mod:`~seabus.attach.client`      asks
:mod:`~seabus.attach.monitor`     asks L0's monitor: through the server, or where there is none
:mod:`~seabus.attach.kept`        the server of a world that a test left behind
================================  ====================================================================

A connection carries one request, a line of JSON: ``{"version": 1, "do": "exec", …}``. Answers are lines, too:
``{"ok": …}`` or ``{"error": …}``, and before it, where a request streams, any number of ``{"event": …}``.
Who hangs up before the answer ends a command; anything else that was begun goes on. When the world
ends, so do its connections.
"""

from typing import Final

#: Raised when a request or an answer is no longer understood by who knows the one before.
PROTOCOL: Final = 1
#: What can be injected from outside, the usual one first.
FAULT_KINDS: Final = ("memory-record", "hard-offline", "soft-offline", "hwpoison-inject")
#: The socket's name in the run folder, which nobody else may enter.
SOCKET: Final = "control.sock"
#: Of a line; console output is not carried, and the output of a command rarely is so long.
LINE_LIMIT: Final = 64 << 20
