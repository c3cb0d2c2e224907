"""What routes are given. All of it is `async`: FastAPI runs plain functions in threads, at 0.2 ms and more each."""

from typing import Annotated, cast

from fastapi import Depends, Header, Query, Request

from api.gauge import Gauge
from api.tail import Tail
from api.watching import Watching
from pathfinder.bootstrap import Process

PREFIX = "/api/v3"
#: The cluster of a request that names none.
DEFAULT_CLUSTER = "default"


async def process(request: Request) -> Process:
    """The process this API runs in."""
    return cast(Process, request.app.state.process)


async def tail(request: Request) -> Tail:
    """The live end of the event log."""
    return cast(Tail, request.app.state.tail)


async def gauge(request: Request) -> Gauge:
    """How much work is waiting."""
    return cast(Gauge, request.app.state.gauge)


async def watching(request: Request) -> Watching:
    """What somebody looks at."""
    return cast(Watching, request.app.state.watching)


async def trace_id(request: Request) -> str:
    """The id that follows this request through events, messages and logs."""
    return str(request.scope["trace_id"])


ProcessDep = Annotated[Process, Depends(process)]
TailDep = Annotated[Tail, Depends(tail)]
WatchingDep = Annotated[Watching, Depends(watching)]
GaugeDep = Annotated[Gauge, Depends(gauge)]
TraceId = Annotated[str, Depends(trace_id)]
ClusterName = Annotated[str, Query(alias="cluster", min_length=1, max_length=63, description="Name of the cluster.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most items of a page.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Makes a repeated create harmless: the same key and body are accepted once.",
    ),
]
