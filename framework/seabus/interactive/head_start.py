# SPDX-License-Identifier: Apache-2.0
"""Something that takes a while to open is begun before anybody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Generic, TypeVar

from seabus.interactive.loop import LoopThread

_T = TypeVar("_T")


class HeadStart(contextlib.AbstractAsyncContextManager[_T], Generic[_T]):
    """An async context manager, entered in the loop at once; to enter it here is to wait for that."""

    def __init__(self, loop: LoopThread, opening: contextlib.AbstractAsyncContextManager[_T]) -> None:
        self._opening = opening
        self._entry = asyncio.run_coroutine_threadsafe(opening.__aenter__(), loop.loop)

    async def __aenter__(self) -> _T:
        return await asyncio.wrap_future(self._entry)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._opening.__aexit__(kind, error, trace)

    async def abandon(self) -> None:
        """End it, though nobody entered it; whatever went wrong in it is nobody's concern."""
        if not self._entry.cancel() and self._entry.exception() is None:
            await self.__aexit__(None, None, None)
