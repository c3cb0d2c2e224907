"""Saying that the node lives, over whatever way there is, and keeping its lease for as long as that is heard."""

import asyncio
import errno
import math
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

import httpx2
import structlog

from pathfinder import tls
from pathfinder.broker.connection import BrokerLost, pause
from pathfinder.broker.publish import QueueFull, Unroutable
from pathfinder.domain.errors import DatabaseAway
from pathfinder.domain.messages import RUNTIME_DOWN, Report
from pathfinder.runtime.port import Runtime, RuntimeFailure
from pathfinder.settings import Settings
from workers.agent import lease
from workers.agent.admission import Membership
from workers.agent.lease import Lease
from workers.agent.reporting import Reporter
from workers.agent.sampling import Sampler

log = structlog.get_logger()

#: How long each way may take until the next is tried.
WAY_SECONDS = 2.0
#: How Pathfinder's own API says that no PostgreSQL takes writes. Any other 503 may be one API's trouble alone.
DATABASE_AWAY = f"/problems/{DatabaseAway.slug}"
#: How often what the machine has is asked for: LXD walks all hardware for that, and seldom anything is new.
CAPACITY_SECONDS = 60.0
AMQP_PORTS = {"amqp": 5672, "amqps": 5671}


class Pulse:
    """One beat every `heartbeat_seconds`. `reporter` is set while a connection to RabbitMQ stands.

    The lease is renewed if the beat was taken by RabbitMQ or, while that is away, by the API; and if it can be told
    that nobody could declare this node dead: every API answers that the database is away, or every RabbitMQ refuses
    connections. Silence from all of them is what a node that is cut off hears, so that ends the lease.

    A lease that has run out is renewed only after registering anew. The node may be DOWN by now, and what it was told
    before still lie in its queue: only its new epoch tells that this is void.
    """

    def __init__(self, settings: Settings, membership: Membership, runtime: Runtime, kept: Lease) -> None:
        self._settings = settings
        self._membership = membership
        self._runtime = runtime
        self._lease = kept
        self.sampler = Sampler(runtime, membership, settings.usage_seconds)
        self._now = asyncio.Event()
        self._capacity: dict[str, int] | None = None
        self._capacity_at = -math.inf
        self.reporter: Reporter | None = None

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._now.clear()
            await self.beat()
            await pause(self._now, self._membership.now.heartbeat_seconds)

    def beat_soon(self) -> None:
        """Something changed that a beat should tell now."""
        self._now.set()

    async def beat(self) -> None:
        """One beat over the first way that is open."""
        at = lease.now()
        admission = self._membership.now
        if not (await self._over_broker() or await self._over_api() or await self._no_broker_anywhere()):
            log.warning("nobody hears this node")
        elif not self._lease.lapsed or await self._membership.rejoin():
            self._lease.renew(admission.cluster_id, at, admission.lease_seconds)

    async def _over_broker(self) -> bool:
        if (reporter := self.reporter) is None:
            return False
        admission = self._membership.now  # what this beat renews the lease by, whatever comes meanwhile
        usage, capacity = await asyncio.gather(self._usage(), self._capacity_now())
        body = {
            "usage": usage,
            "capacity": capacity,
            "epoch": admission.epoch,
            "lease_seconds": admission.lease_seconds,
            **self.sampler.take(),
        }
        try:
            async with asyncio.timeout(WAY_SECONDS):
                await reporter.about_node(Report.HEARTBEAT, body, persistent=False)
        except (Unroutable, QueueFull, BrokerLost, TimeoutError) as error:
            log.warning("RabbitMQ did not take a heartbeat", error=str(error) or type(error).__name__)
            return False
        return True

    async def _usage(self) -> dict[str, Any]:
        try:
            # A runtime that hangs must not silence the node: its lease is about the node, not about one daemon.
            async with asyncio.timeout(WAY_SECONDS):
                usage = await self._runtime.usage()
        except (RuntimeFailure, TimeoutError) as error:
            log.warning("no usage", error=str(error))
            self.sampler.machine = None
            return {RUNTIME_DOWN: 1}
        self.sampler.machine = usage
        return asdict(usage)

    async def _capacity_now(self) -> dict[str, int] | None:
        """What the machine has, as of a minute ago at most; None where the runtime did not say."""
        if lease.now() - self._capacity_at >= CAPACITY_SECONDS:
            try:
                async with asyncio.timeout(WAY_SECONDS):
                    self._capacity = asdict((await self._runtime.facts()).capacity)
                    self._capacity_at = lease.now()
            except (RuntimeFailure, TimeoutError) as error:
                log.warning("no capacity", error=str(error))
        return self._capacity

    async def _over_api(self) -> bool:
        urls = [url.strip() for url in self._settings.api_url.split(",")]
        answers = await asyncio.gather(*(self._tell(url) for url in urls))
        taken = any(answer is not None and answer.status_code == 204 for answer in answers)
        # One API that cannot reach the database proves nothing: others may, and declare this node dead.
        return taken or all(answer is not None and _database_away(answer) for answer in answers)

    async def _tell(self, api_url: str) -> httpx2.Response | None:
        verify = tls.verifying(api_url, self._settings.ca_file)
        try:
            async with httpx2.AsyncClient(base_url=api_url, timeout=WAY_SECONDS, verify=verify) as client:
                return await client.post(
                    "/api/v3/nodes/heartbeat", headers={"Authorization": f"Bearer {self._membership.now.token}"}
                )
        except httpx2.HTTPError:
            return None

    async def _no_broker_anywhere(self) -> bool:
        """Whether every RabbitMQ's machine is reached and none listens: then nobody hears any node."""
        urls = [url.strip() for url in self._settings.broker_url.split(",") if url.strip()]
        return all(await asyncio.gather(*(_refuses(url) for url in urls)))


def _database_away(answer: httpx2.Response) -> bool:
    if answer.status_code != 503:
        return False
    try:
        return bool(answer.json()["type"] == DATABASE_AWAY)
    except (ValueError, TypeError, KeyError):
        return False  # a load balancer's own words


async def _refuses(url: str) -> bool:
    parts = urlsplit(url)
    port = parts.port or AMQP_PORTS.get(parts.scheme, 5672)
    try:
        async with asyncio.timeout(WAY_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except TimeoutError:
        return False
    except OSError as error:
        return error.errno == errno.ECONNREFUSED
    writer.close()
    return False
