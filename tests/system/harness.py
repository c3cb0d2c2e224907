"""How system tests look at the lab: through the API, and behind its back in LXD, PostgreSQL and RabbitMQ.

Every wait is for a condition, with one generous deadline; a wait that fails says what it last saw.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection
from sqlalchemy import make_url
from yarl import URL

from pathfinder.client import ApiError, Client, Unreachable
from pathfinder.domain.lifecycle import CLAIMING, SETTLED, Status
from pathfinder.domain.messages import Envelope, Exchange, decode, encode
from pathfinder.domain.views import Container, Event
from pathfinder.embedded.lab import Lab
from pathfinder.embedded.lxd_client import LxdRefused, connect
from pathfinder.embedded.ports import answers
from pathfinder.embedded.supervisor import wait_until
from pathfinder.runtime.lxd_order import MARK_CLUSTER, MARK_CONTAINER, MARK_GENERATION
from pathfinder.store.servers import Servers

#: What takes a minute in production takes seconds here, so that tests see it happen.
SETTINGS = {
    "PATHFINDER_INVENTORY_SECONDS": "3",
    "PATHFINDER_GRACE_SECONDS": "3",
    "PATHFINDER_HEARTBEAT_SECONDS": "2",
    "PATHFINDER_LEASE_SECONDS": "10",
    "PATHFINDER_ADDRESS_TIMEOUT_SECONDS": "30",
    "PATHFINDER_AUTOSCALE_SECONDS": "1",
    "PATHFINDER_USAGE_SECONDS": "3",
}

#: Far more than anything takes here, even on a busy machine.
DEADLINE_SECONDS = 60.0
POLL_SECONDS, MOST_POLL_SECONDS = 0.1, 0.25

Found = TypeVar("Found")
Json = dict[str, Any]

_BOOKS = """
    SELECT n.hostname, n.cpu_claimed, n.memory_claimed, n.disk_claimed, n.containers, n.stateful,
           coalesce(sum(p.cpu_millicores), 0)::bigint AS cpu, coalesce(sum(p.memory_bytes), 0)::bigint AS memory,
           coalesce(sum(p.disk_bytes), 0)::bigint AS disk, count(p.node_id) AS placements,
           count(p.node_id) FILTER (WHERE p.stateful) AS wards
    FROM nodes AS n LEFT JOIN (
        SELECT node_id, cpu_millicores, memory_bytes, disk_bytes, type = 'STATEFUL' AS stateful
        FROM containers WHERE status = ANY($1)
        UNION ALL SELECT node_id, cpu_millicores, memory_bytes, disk_bytes, stateful FROM departures
    ) AS p ON p.node_id = n.id
    GROUP BY n.id
"""


@dataclass(frozen=True)
class Run:
    """How a `pfi` ended."""

    code: int
    out: str
    err: str


@dataclass
class Spy:
    """What came by on an exchange since the spy listens, in order."""

    seen: list[Envelope] = field(default_factory=list)

    async def take(self, message: AbstractIncomingMessage) -> None:
        """Note a message."""
        self.seen += decode(message.body)

    def of(self, kind: str, subject: object = None, trace: str | None = None) -> list[Envelope]:
        """The envelopes of a kind, about a subject, of a trace."""
        return [
            one
            for one in self.seen
            if one.kind == kind
            and (subject is None or one.subject == str(subject))
            and (trace is None or one.trace_id == trace)
        ]


class Harness:
    """One lab, watched from all sides."""

    def __init__(self, lab: Lab, client: Client, broker: AbstractRobustConnection) -> None:
        self.lab = lab
        self.client = client
        self._broker = broker

    @classmethod
    @asynccontextmanager
    async def of(cls, lab: Lab) -> AsyncIterator["Harness"]:
        """A harness with its connections open."""
        # A test that failed may have left it just starting.
        broker_url = await asyncio.to_thread(_answering, lab.broker_url.split(","))
        async with (
            Client(",".join(lab.api_urls), lab.token) as client,
            await aio_pika.connect_robust(broker_url) as broker,
        ):
            yield cls(lab, client, broker)

    # Waiting

    async def until(self, what: str, check: Callable[[], Awaitable[Found]]) -> Found:
        """The first true answer of `check`; an API that is just restarting, or has no database, counts as "not yet"."""
        last: object = None
        pause = POLL_SECONDS
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while True:
                    try:
                        found = await check()
                        if found:
                            return found
                        last = found
                    except Unreachable as failure:
                        last = failure
                    except ApiError as refusal:
                        if refusal.status != 503:
                            raise
                        last = refusal
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.1, MOST_POLL_SECONDS)
        except TimeoutError:
            raise AssertionError(f"waited {DEADLINE_SECONDS:.0f} s for {what}; last: {last!r}") from None

    async def status(self, hostname: str, *wanted: Status) -> Container:
        """The container, once it has one of these statuses."""

        async def check() -> Container | None:
            nonlocal last
            last = await self.client.containers.get(hostname)
            return last if last.status in wanted else None

        last: Container | None = None
        try:
            return await self.until(f"{hostname} to be {' or '.join(wanted)}", check)
        except AssertionError as failure:
            raise AssertionError(f"{failure} {last!r}") from None

    async def gone(self, *hostnames: str) -> None:
        """Return once none of these containers is alive."""

        async def check() -> bool:
            return not {one.hostname for one in await self.containers()} & set(hostnames)

        await self.until(f"the end of {', '.join(hostnames)}", check)

    async def event(self, kind: str, subject: object, count: int = 1) -> list[Event]:
        """The events of a kind about a subject, once there are `count`."""

        async def check() -> list[Event]:
            found = [one for one in await self.events() if one.kind == kind and one.subject.id == subject]
            return found if len(found) >= count else []

        return await self.until(f"{count} {kind}", check)

    # Asking

    async def containers(self) -> list[Container]:
        """Every living container."""
        return [one async for one in self.client.containers.list()]

    async def events(self) -> list[Event]:
        """Every event there ever was."""
        return [one async for one in self.client.events.list(cursor="0")]

    async def create(self, *hostnames: str, **wishes: Any) -> dict[str, Container]:
        """Ask for containers and return them once all are settled."""
        await self.ask(*hostnames, **wishes)
        return await self.settled(*hostnames)

    async def ask(self, *hostnames: str, **wishes: Any) -> list[Container]:
        """Ask for containers in one batch."""
        return await self.client.containers.create_batch([{"hostname": name, **wishes} for name in hostnames])

    async def ask_stubbornly(self, hostname: str) -> None:
        """Ask for a container until the API has it, however often it dies meanwhile."""

        async def check() -> bool:
            try:
                await self.client.containers.create(hostname)
            except ApiError as refusal:
                if refusal.status != 409:
                    raise  # 409: an earlier try was carried out though its answer was lost
            return True

        await self.until(f"{hostname} to be accepted", check)

    async def settled(self, *hostnames: str) -> dict[str, Container]:
        """These containers, once nothing more happens to any of them by itself."""

        async def check() -> dict[str, Container]:
            found = {one.hostname: one for one in await self.containers() if one.hostname in hostnames}
            done = len(found) == len(hostnames) and all(one.status in SETTLED for one in found.values())
            return found if done else {}

        try:
            return await self.until(f"{', '.join(hostnames)} to settle", check)
        except AssertionError as failure:
            states = {one.hostname: (one.status.value, one.node, one.message) for one in await self.containers()}
            raise AssertionError(f"{failure} {states}") from None

    # Nodes

    async def only(self, *nodes: str) -> None:
        """Have new containers placed on these nodes alone."""
        for node in self.lab.nodes():
            await (self.client.nodes.uncordon if node in nodes else self.client.nodes.cordon)(node)

    async def ready(self, node: str, status: str = "READY") -> None:
        """Return once the node has that status."""

        async def check() -> bool:
            return (await self.client.nodes.get(node)).status == status

        await self.until(f"{node} to be {status}", check)

    # LXD, behind Pathfinder's back

    async def lxd(self, node: str, method: str, path: str, body: Json | None = None) -> Any:
        """A call to a node's LXD."""

        def call() -> Any:
            with connect(self.lab.socket(node)) as lxd:
                return lxd.call(method, path, body)

        return await asyncio.to_thread(call)

    async def instances(self, node: str) -> dict[str, Json]:
        """Every instance of a node by its name, whoever made it, with its state."""

        async def check() -> tuple[list[Json]] | None:
            there = await self.lxd(node, "GET", "instances?recursion=2")
            # LXD gives up on an instance that does not say in time how it is, as on a busy machine: no pid then.
            return None if any(one["status"] == "Error" for one in there) else (there,)

        (found,) = await self.until(f"{node}'s LXD to know how each instance is", check)
        return {one["name"]: one for one in found}

    async def put(self, node: str, hostname: str, config: Mapping[str, str] | None = None) -> None:
        """Make and start an instance by hand."""
        source = {"type": "image", "alias": "pathfinder-tiny"}
        await self.lxd(node, "POST", "instances", {"name": hostname, "source": source, "config": dict(config or {})})
        await self.lxd(node, "PUT", f"instances/{hostname}/state", {"action": "start", "timeout": 30})

    async def remove(self, node: str, hostname: str) -> None:
        """`lxc delete -f`, again and again while an agent starts it in between."""

        async def gone() -> bool:
            try:
                stop = {"action": "stop", "force": True, "timeout": 30}
                with suppress(LxdRefused):  # stopped already, or not there
                    await self.lxd(node, "PUT", f"instances/{hostname}/state", stop)
                await self.lxd(node, "DELETE", f"instances/{hostname}")
            except LxdRefused as refusal:
                return refusal.status == 404
            return True

        await self.until(f"the end of {hostname}", gone)

    async def placements(self) -> list[tuple[str, str, str, str]]:
        """Every instance that carries Pathfinder's marks: node, hostname, container id, generation."""
        there = {node: await self.instances(node) for node in self.lab.nodes()}
        return sorted(
            (node, name, one["config"][MARK_CONTAINER], one["config"][MARK_GENERATION])
            for node, instances in there.items()
            for name, one in instances.items()
            if MARK_CLUSTER in one["config"]
        )

    async def exactly(self, *hostnames: str) -> None:
        """Return once exactly these containers run, each once and where Pathfinder says, and the books balance."""

        async def check() -> bool:
            found = await self.containers()
            said = sorted((str(one.node), one.hostname, str(one.id), str(one.generation)) for one in found)
            return (
                {one.hostname for one in found} == set(hostnames)
                and all(one.status == Status.PROVISIONED for one in found)
                and said == await self.placements()
                and not await self.mistakes_in_the_books()
            )

        try:
            await self.until(f"exactly {', '.join(hostnames) or 'nothing'}", check)
        except AssertionError:
            said = [(one.hostname, one.status.value, one.node, one.generation) for one in await self.containers()]
            books = await self.mistakes_in_the_books()
            raise AssertionError(f"wanted {hostnames}, found {await self.placements()}; {said}; {books}") from None

    # PostgreSQL

    async def sql(self, query: str, *arguments: Any) -> list[Json]:
        """The rows of a query."""
        url = make_url(self.lab.database_url)
        connection = await Servers().connect(**url.get_dialect()().create_connect_args(url)[1])
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def mistakes_in_the_books(self) -> list[Json]:
        """The nodes whose claims are not the sum of their placements."""
        return [
            row
            for row in await self.sql(_BOOKS, [status.value for status in CLAIMING])
            if (row["cpu_claimed"], row["memory_claimed"], row["disk_claimed"], row["containers"], row["stateful"])
            != (row["cpu"], row["memory"], row["disk"], row["placements"], row["wards"])
        ]

    # RabbitMQ

    @asynccontextmanager
    async def spy(self, exchange: Exchange, key: str) -> AsyncIterator[Spy]:
        """Copies of everything that goes this way from now on."""
        async with self._broker.channel() as channel:
            queue = await channel.declare_queue(exclusive=True, auto_delete=True)
            await queue.bind(exchange, key)
            spy = Spy()
            await queue.consume(spy.take, no_ack=True)
            yield spy

    async def publish(self, exchange: Exchange, key: str, envelopes: Sequence[Envelope]) -> None:
        """Publish by hand."""
        async with self._broker.channel() as channel:
            there = await channel.get_exchange(exchange, ensure=False)
            await there.publish(aio_pika.Message(encode(envelopes)), key)

    # pfi

    def pfi_environment(self, directory: Path) -> dict[str, str]:
        """The environment of a user whose current profile is another one than the lab's."""
        config = directory / "config"
        config.write_text(
            'current_profile = "elsewhere"\n[profiles.elsewhere]\nserver = "http://127.0.0.1:9"\n'
            f'[profiles.lab]\nserver = "{self.lab.api_url}"\ntoken = "{self.lab.token}"\n'
        )
        return {"PATH": "/usr/bin:/bin", "PFI_CONFIG": str(config), "PFI_PROFILE": "lab", "COLUMNS": "200"}

    async def pfi(self, environment: Mapping[str, str], *arguments: str) -> Run:
        """Run `pfi` to its end."""
        process = await start_pfi(environment, *arguments)
        async with asyncio.timeout(2 * DEADLINE_SECONDS):
            out, err = await process.communicate()
        return Run(process.returncode or 0, out.decode(), err.decode())

    # Afterwards

    async def tidy(self) -> None:
        """Delete every deployment and container, and wait until no instance, claim or fault is left."""
        for node in self.lab.nodes():
            await self.client.nodes.uncordon(node)
            await self.ready(node)

        async def check() -> bool:
            for deployment in [each async for each in self.client.deployments.list() if not each.leaving]:
                await self.client.deployments.delete(deployment.name)
            for one in await self.containers():
                if one.status != Status.SCHEDULE_DELETION:
                    try:
                        await self.client.containers.delete(one.hostname)
                    except ApiError as refusal:
                        if refusal.status != 404:
                            raise
            return not await self.containers()

        await self.until("an empty cluster", check)
        await self.exactly()


async def start_pfi(environment: Mapping[str, str], *arguments: str) -> asyncio.subprocess.Process:
    """Start `pfi` with pipes on its output."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pathfinder.cli.pfi", *arguments),
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )


__all__ = ["DEADLINE_SECONDS", "Harness", "Run", "Spy", "start_pfi"]


def _answering(urls: Sequence[str]) -> str:
    """The first of these where somebody listens, once that is so."""
    there: list[str] = []

    def found() -> bool:
        there[:] = [url for url in urls if answers(URL(url).port or 5672)]
        return bool(there)

    wait_until("RabbitMQ", found, DEADLINE_SECONDS)
    return there[0]
