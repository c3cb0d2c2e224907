"""What RabbitMQ asks about nodes (`rabbitmq_auth_backend_http`): who somebody is, and whether they may.

Not for clients: RabbitMQ shows `PATHFINDER_BROKER_SECRET` as the password of HTTP's basic authentication, and everybody
else is answered as if there were nothing. It keeps what is allowed for a while, so a node that is gone is only refused
after that. Its own users, those of the roles, it does not ask about.
"""

import hmac
import time
from collections.abc import Mapping
from typing import Annotated, cast
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from starlette.responses import PlainTextResponse

from api.deps import PREFIX, ProcessDep
from pathfinder.bootstrap import Process
from pathfinder.broker.login import node_of, virtual_host
from pathfinder.controllers import broker_access
from pathfinder.store import credentials, nodes

#: How long it is believed that a node is there. Each asks six questions when it connects, and thousands may at once.
KNOWN_SECONDS = 2.0

_basic = HTTPBasic(auto_error=False)


def rabbitmq(process: ProcessDep, shown: Annotated[HTTPBasicCredentials | None, Depends(_basic)]) -> None:
    """Only RabbitMQ may ask."""
    secret = process.settings.broker_secret
    given = shown.password if shown else ""
    if secret is None or not hmac.compare_digest(given.encode(), secret.get_secret_value().encode()):
        raise HTTPException(404)


router = APIRouter(prefix=f"{PREFIX}/broker", include_in_schema=False, dependencies=[Depends(rabbitmq)])


class Known:
    """The hostnames of nodes, by id, each as of a moment ago."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._seen: dict[UUID, tuple[str, float]] = {}

    async def hostname(self, node_id: UUID) -> str | None:
        """What the node is called, if it is there."""
        hostname, until = self._seen.get(node_id, ("", 0.0))
        if until > time.monotonic():
            return hostname
        async with self._process.database.read() as connection:
            found = (await nodes.by_ids(connection, {node_id})).get(node_id)
        if found is None:
            self._seen.pop(node_id, None)
            return None
        self._seen[node_id] = (found.hostname, time.monotonic() + KNOWN_SECONDS)
        return found.hostname


async def asked(request: Request) -> Mapping[str, str]:
    """The fields of a form."""
    return dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))


Asked = Annotated[Mapping[str, str], Depends(asked)]


async def node(request: Request, process: ProcessDep, asked: Asked) -> tuple[str, UUID] | None:
    """The hostname and id of the node that asks, if it is still one, and within Pathfinder's virtual host."""
    named = node_of(asked.get("username", ""))
    if named is None or asked.get("vhost") != virtual_host(process.settings.broker_url):
        return None
    known = cast(Known, request.app.state.known_nodes)
    return named if await known.hostname(named[1]) == named[0] else None


Node = Annotated[tuple[str, UUID] | None, Depends(node)]


@router.post("/user")
async def user(process: ProcessDep, asked: Asked) -> PlainTextResponse:
    """Whether a user is a node, with this password: its credential, the present one or the one before."""
    named = node_of(asked.get("username", ""))
    async with process.database.read() as connection:
        holder = await credentials.holder(connection, asked.get("password", ""))
    return _answer(holder is not None and (holder.hostname, holder.node_id) == named)


@router.post("/vhost")
async def vhost(node: Node) -> PlainTextResponse:
    """Whether a node may enter a virtual host."""
    return _answer(node is not None)


@router.post("/resource")
async def resource(node: Node, asked: Asked) -> PlainTextResponse:
    """Whether a node may do something with a queue or an exchange."""
    what = (asked.get("resource", ""), asked.get("name", ""), asked.get("permission", ""))
    return _answer(node is not None and broker_access.may_use(node[0], *what))


@router.post("/topic")
async def topic(node: Node, asked: Asked) -> PlainTextResponse:
    """Whether a node may publish with a routing key."""
    what = (asked.get("name", ""), asked.get("permission", ""), asked.get("routing_key", ""))
    return _answer(node is not None and broker_access.may_send(*node, *what))


def _answer(allowed: bool) -> PlainTextResponse:
    # No tags with it: a node may not use RabbitMQ's management either.
    return PlainTextResponse("allow" if allowed else "deny")
