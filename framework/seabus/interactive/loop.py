# SPDX-License-Identifier: Apache-2.0
"""An event loop in a thread of its own: what a world says arrives while nobody awaits anything."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from seabus.errors import SeabusError

_T = TypeVar("_T")
#: Seconds after which the thread is looked after that should bring a result.
_GLANCE_S: Final = 1.0


class LoopThread:
    """Runs coroutines for other threads; also a :class:`seabus.session.session.Runner`.

    An emulator dies with the thread that started it, so this one must live as long as the worlds it opens.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="seabus loop", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread.is_alive():
            self.run(_end_others())
            self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, coroutine: Coroutine[Any, Any, _T], /) -> _T:
        """Await a coroutine; Ctrl-C cancels it, and nothing else.

        :raises SeabusError: the thread has ended: nobody runs it.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            while not concurrent.futures.wait([future], timeout=_GLANCE_S).done:
                if not self._thread.is_alive():
                    coroutine.close()
                    raise SeabusError("the thread that the world lives in has ended")
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise


async def _end_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
