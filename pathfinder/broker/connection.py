"""A connection to RabbitMQ that is made again whenever it breaks."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aio_pika
import aiormq
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError

from pathfinder import telemetry, tls
from pathfinder.broker import topology
from pathfinder.broker.login import Login, logged_in, split
from pathfinder.domain.errors import PathfinderError

log = structlog.get_logger()


class BrokerLost(PathfinderError):
    """RabbitMQ is not to be had over this connection any more; another one is made."""


#: What a broken connection looks like from inside: aiormq raises RuntimeError where a channel is closed already, and
#: StopAsyncIteration where the broker closes in the middle of the handshake.
BROKEN = (AMQPError, ConnectionError, TimeoutError, OSError, RuntimeError, StopAsyncIteration)

#: RabbitMQ and we send each other something at least this often; who hears nothing for twice as long ends the
#: connection. The library would wait for three times as long, which is more than the 15 s Pathfinder promises.
HEARTBEAT_SECONDS = 4
aiormq.Connection.HEARTBEAT_GRACE_MULTIPLIER = 2

#: How long the network may take to connect, and RabbitMQ to have the queues ready.
CONNECT_SECONDS = 5.0
READY_SECONDS = 15.0

FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 5.0

Serve = Callable[[AbstractConnection], Awaitable[None]]
Declare = Callable[[AbstractChannel], Awaitable[None]]


def _nobody() -> None:
    """As the URL says."""


class _Connection(aio_pika.Connection):
    """One that is closed also where it was never made; the library's would try to, whenever it is collected."""

    async def connect(self, timeout: float | None = None) -> None:
        try:
            await super().connect(timeout)
        except BaseException:
            await self.close()
            raise


class Broker:
    """One role's way to RabbitMQ. `connection` is the one that stands, if any does.

    `urls`, the nodes of a cluster, are tried in turn, from any one on: so clients spread over the nodes. `declare` is
    what has exchanges and queues ready on each new connection. `ca_file` has the authorities that those of amqps are
    trusted by; without one, this system's are. `login` tells, each time, who it is where the URL does not.
    """

    def __init__(
        self,
        urls: str,
        name: str,
        declare: Declare = topology.declare_all,
        ca_file: Path | None = None,
        login: Callable[[], Login | None] = _nobody,
    ) -> None:
        self._urls = split(urls)
        self._login = login
        self._next = random.randrange(len(self._urls)) if self._urls else 0  # noqa: S311 - not a secret
        self._name = name
        self._declare = declare
        self._ca_file = ca_file
        self._gauge = telemetry.BROKER_UP.labels(name.removeprefix("pathfinder-"))
        self.connection: AbstractConnection | None = None

    @property
    def up(self) -> bool:
        """Whether a connection stands."""
        return self.connection is not None

    async def run(self, serve: Serve, stopping: asyncio.Event) -> None:
        """Call `serve` with an open connection, and again with a new one each time that breaks.

        `serve` returns when `stopping` is set. Waits between tries grow and are jittered, so that a fleet does not
        come back all at once.
        """
        attempt = 0
        while not stopping.is_set():
            try:
                async with await self._connect() as connection:
                    self._now(connection)
                    attempt = 0
                    await self._until_broken(connection, serve)
            except (BrokerLost, *BROKEN) as error:
                log.warning("broker connection lost", role=self._name, error=tls.words(error))
            finally:
                self._now(None)
            if not stopping.is_set():
                await pause(stopping, backoff(attempt))
                attempt += 1

    def _now(self, connection: AbstractConnection | None) -> None:
        self.connection = connection
        self._gauge.set(self.up)

    async def _connect(self) -> AbstractConnection:
        url = logged_in(self._urls[self._next], self._login())
        # Not the same again, be it that it does not answer, or that it breaks later: the next one is more likely alive.
        self._next = (self._next + 1) % len(self._urls)
        connection = await aio_pika.connect(
            url,
            timeout=CONNECT_SECONDS,
            client_properties={"connection_name": self._name},
            heartbeat=HEARTBEAT_SECONDS,
            ssl_context=tls.shared(self._ca_file, "amqp") if url.lower().startswith("amqps:") else None,
            connection_class=_Connection,
        )
        try:
            async with asyncio.timeout(READY_SECONDS), connection.channel() as channel:
                await self._declare(channel)
        except BaseException:
            await connection.close()
            raise
        telemetry.BROKER_CONNECTS.labels(self._name.removeprefix("pathfinder-")).inc()
        log.info("broker connected", role=self._name, node=connection.url.authority.rsplit("@", 1)[-1])
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
            raise BrokerLost(tls.words(ended) if isinstance(ended, Exception) else "closed") from None
        if isinstance(ended, Exception):
            raise ended


@contextlib.contextmanager
def as_lost() -> Iterator[None]:
    """Raise BrokerLost where a connection that ends tells whoever waits for it that they were cancelled.

    Nobody cancelled them, and a task group takes no notice of a task that ends so: it would go on without it.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BrokerLost("closed") from error


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
    # Not wait_for: where it is cancelled in the moment that `stopping` is set, it forgets that it was cancelled.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()
