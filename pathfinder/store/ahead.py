"""Statements of one transaction that PostgreSQL works on while what comes after them is prepared here."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any


class Ahead:
    """One statement after the other, in the order they were given; after one that failed none begins. Once left none is
    going on: all are done, or the transaction is to be rolled back.

    They go on whenever the caller waits for something; who prepares a lot does now and then, by `asyncio.sleep(0)`.
    """

    def __init__(self) -> None:
        self._last: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Ahead":
        return self

    async def do(self, statement: Coroutine[Any, Any, None]) -> None:
        """Have it begin once all before it are done."""
        self._last = asyncio.create_task(_after(self._last, statement))
        await asyncio.sleep(0)

    async def done(self) -> None:
        """Return once none is going on. Raises what the first did that failed."""
        if self._last is not None:
            await asyncio.wait([self._last])
            self._last.result()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.done()
        elif self._last is not None:
            await asyncio.wait([self._last])
            self._last.exception()  # there is one that matters more


async def _after(before: asyncio.Task[None] | None, statement: Coroutine[Any, Any, None]) -> None:
    try:
        if before is not None:
            await before
    except BaseException:
        statement.close()
        raise
    await statement
