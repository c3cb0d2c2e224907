"""What containers and nodes use: the last hour of it, and a stream that goes on from there."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.auth import Operator, Principal, guarded, stands
from api.deps import ClusterName, ProcessDep, WatchingDep
from api.errors import documented
from api.routes.events import RECHECK_SECONDS, moment
from api.watching import Series, Subject, Watching
from pathfinder.bootstrap import Process
from pathfinder.controllers.looks import Point
from pathfinder.domain.lifecycle import NodeStatus
from pathfinder.domain.usage_views import Usage
from pathfinder.store import clusters, listing

router = guarded("", "usage")

#: How long a node has to tell of the past.
ANSWER_SECONDS = 3.0

EVENT = "usage"

Since = Annotated[
    str | None, Query(max_length=40, description="Only since a moment (RFC 3339) or so long ago (`10m`).")
]


async def of_container(hostname: str, process: ProcessDep, cluster: ClusterName = "default") -> Subject | str:
    """A container where it is now; or why it uses nothing. Raises NotFound."""
    async with process.database.read() as tx:
        cluster_id = (await clusters.find(tx, cluster)).id
        found = await listing.container(tx, cluster, hostname)
        if found.node is None:
            return "It is on no node."
        node = await listing.node(tx, cluster, found.node)
    if node.status != NodeStatus.READY:
        return f"{node.hostname} is {node.status}."
    return Subject(str(found.id), str(node.id), node.hostname, str(cluster_id))


async def of_node(hostname: str, process: ProcessDep, cluster: ClusterName = "default") -> Subject | str:
    """A node; or why it tells nothing. Raises NotFound."""
    async with process.database.read() as tx:
        cluster_id = (await clusters.find(tx, cluster)).id
        node = await listing.node(tx, cluster, hostname)
    if node.status != NodeStatus.READY:
        return f"{node.hostname} is {node.status}."
    return Subject(str(node.id), str(node.id), node.hostname, str(cluster_id))


OfContainer = Annotated[Subject | str, Depends(of_container)]
OfNode = Annotated[Subject | str, Depends(of_node)]


@router.get("/containers/{hostname}/usage", responses=documented(404))
async def container(asking: Operator, watching: WatchingDep, subject: OfContainer, since: Since = None) -> Usage:
    """What a container used where it is now, over the last hour, as its node remembers it.

    The node is asked and waited for, three seconds at most. An agent that starts anew has forgotten.
    """
    return await _past(watching, subject, since)


@router.get("/nodes/{hostname}/usage", responses=documented(404))
async def node(asking: Operator, watching: WatchingDep, subject: OfNode, since: Since = None) -> Usage:
    """What a node used over the last hour, as it remembers it; see that of a container."""
    return await _past(watching, subject, since)


@router.get("/containers/{hostname}/usage/stream", response_class=EventSourceResponse, responses=documented(404))
async def container_stream(
    process: ProcessDep, asking: Operator, watching: WatchingDep, subject: OfContainer
) -> AsyncIterator[ServerSentEvent]:
    """What a container used, then every few seconds what it uses (server-sent events `usage`, each a series).

    It is told of where it is when the stream begins: once it is placed anew, open another. Each begins with the past.
    The stream ends soon after its token or session does.
    """
    async for said in _live(process, asking, watching, subject):
        yield said


@router.get("/nodes/{hostname}/usage/stream", response_class=EventSourceResponse, responses=documented(404))
async def node_stream(
    process: ProcessDep, asking: Operator, watching: WatchingDep, subject: OfNode
) -> AsyncIterator[ServerSentEvent]:
    """What a node used, then every few seconds what it uses; see that of a container."""
    async for said in _live(process, asking, watching, subject):
        yield said


async def _past(watching: Watching, subject: Subject | str, since: str | None) -> Usage:
    after = 0.0 if since is None else moment(since).timestamp()
    if isinstance(subject, str):
        return _series([], subject)
    async with watching.watch(subject) as series:
        message = await _told(series)
        return _series(series.after(after), message)


async def _live(
    process: Process, asking: Principal, watching: Watching, subject: Subject | str
) -> AsyncIterator[ServerSentEvent]:
    if isinstance(subject, str):
        yield _event([], subject)
        return
    clock = asyncio.get_running_loop().time
    known = clock()
    async with watching.watch(subject) as series:
        message = await _told(series)
        points = series.after(0)
        yield _event(points, message)
        while True:
            at = points[-1].at if points else 0.0
            points = await series.more(at)
            if clock() - known > RECHECK_SECONDS:
                if not await stands(process, asking):
                    return
                known = clock()
            yield _event(points)


async def _told(series: Series) -> str | None:
    """Wait for what the node tells of the past; why it does not."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await series.told.wait()
    except TimeoutError:
        return f"{series.subject.hostname} does not tell now."
    return None


def _event(points: Sequence[Point], message: str | None = None) -> ServerSentEvent:
    return ServerSentEvent(raw_data=_series(points, message).model_dump_json(), event=EVENT)


def _series(points: Sequence[Point], message: str | None = None) -> Usage:
    return Usage(
        at=[datetime.fromtimestamp(one.at, UTC) for one in points],
        cpu_cores=[one.cores for one in points],
        memory_bytes=[one.memory_bytes for one in points],
        received_bytes=[one.received for one in points],
        sent_bytes=[one.sent for one in points],
        disk_bytes=[one.disk_bytes for one in points],
        message=message,
    )
