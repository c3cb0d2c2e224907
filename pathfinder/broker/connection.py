"""A connection to RabbitMQ that is made again whenever it breaks."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError

from pathfinder.broker import topology
from pathfinder.domain.errors import PathfinderError

log = structlog.get_logger()


class BrokerLost(PathfinderError):
    """RabbitMQ is not to be had over this connection any more; another one is made."""


#: What a broken connection looks like from inside: aiormq raises RuntimeError where a channel is closed already.
BROKEN = (AMQPError, ConnectionError, TimeoutError, OSError, RuntimeError)

FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 5.0

Serve = Callable[[AbstractConnection], Awaitable[None]]


class Broker:
    """One process's way to RabbitMQ. `urls` are tried in turn; `up` says whether a connection stands."""

    def __init__(self, urls: str, name: str) -> None:
        self._urls = [url.strip() for url in urls.split(",") if url.strip()]
        self._name = name
        self.up = False

    async def run(self, serve: Serve, stopping: asyncio.Event) -> None:
        """Call `serve` with an open connection, and again with a new one each time that breaks.

        `serve` returns when `stopping` is set. Waits between tries grow and are jittered, so that a fleet does not
        come back all at once.
        """
        attempt = 0
        while not stopping.is_set():
            try:
                async with await self._connect(attempt) as connection:
                    self.up, attempt = True, 0
                    await self._until_broken(connection, serve)
            except (BrokerLost, *BROKEN) as error:
                log.warning("broker connection lost", role=self._name, error=_words(error))
            finally:
                self.up = False
            if not stopping.is_set():
                await pause(stopping, backoff(attempt))
                attempt += 1

    async def _connect(self, attempt: int) -> AbstractConnection:
        url = self._urls[attempt % len(self._urls)]
        connection = await aio_pika.connect(
            url, timeout=5, client_properties={"connection_name": self._name}, heartbeat=10
        )
        async with connection.channel() as channel:
            await topology.declare_all(channel)
        log.info("broker connected", role=self._name)
        return connection

    async def _until_broken(self, connection: AbstractConnection, serve: Serve) -> None:
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection.close_callbacks.add(lambda *_: None if broken.done() else broken.set_result(None))
        serving = asyncio.ensure_future(serve(connection))
        try:
            await asyncio.wait({serving, broken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed = broken.done()
            broken.cancel()
            serving.cancel()
            (ended,) = await asyncio.gather(serving, return_exceptions=True)
        if closed or (isinstance(ended, Exception) and consists_of(ended, (BrokerLost, *BROKEN))):
            raise BrokerLost(_words(ended) if isinstance(ended, Exception) else "closed") from None
        if isinstance(ended, Exception):
            raise ended


def consists_of(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    """Whether `error`, or everything in a group of errors, is of these kinds."""
    if isinstance(error, BaseExceptionGroup):
        return all(consists_of(one, kinds) for one in error.exceptions)
    return isinstance(error, kinds)


def backoff(attempt: int) -> float:
    """Seconds to wait before try `attempt` + 1: doubling, at most `MAX_DELAY_SECONDS`, with full jitter."""
    longest = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(attempt, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter is no secret


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Wait, but not longer than until `stopping`."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
