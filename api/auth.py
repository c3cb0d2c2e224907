"""Who asks, and whether they may: one dependency turns a bearer token, or the cookie of a session, into a principal,
and one looks it up in the table of permissions.

Every route but the health checks and the login has both, whatever else it has.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from api.deps import DEFAULT_CLUSTER, PREFIX, ProcessDep
from api.permissions import Reach, need
from pathfinder.bootstrap import Process
from pathfinder.domain.access import RANKS, Role, covers
from pathfinder.domain.errors import Forbidden, Unauthenticated
from pathfinder.store import sessions, tokens

SESSION_COOKIE = "pathfinder_session"
CSRF_HEADER = "X-CSRF-Token"

#: Methods that change nothing, so that it does not matter which page had a browser send them.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_bearer = HTTPBearer(auto_error=False, description="A token made by `pathfinder token create`.")
_cookie = APIKeyCookie(
    name=SESSION_COOKIE,
    auto_error=False,
    description=f"A session; all but GET wants its `{CSRF_HEADER}`, too.",
)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what for: a token, or a user with a session. `clusters` are those it is for; None: all."""

    role: str
    clusters: frozenset[str] | None = None
    token_id: UUID | None = None
    name: str = ""
    user: str | None = None
    user_id: UUID | None = None
    session_id: UUID | None = None
    csrf_token: str | None = None
    expires_at: datetime | None = None
    cluster_id: UUID | None = None
    node_id: UUID | None = None

    @property
    def id(self) -> UUID:
        """Of the token or session."""
        return cast(UUID, self.token_id or self.session_id)

    @property
    def actor(self) -> str:
        """How the event log names it."""
        return f"token:{self.name}" if self.token_id else f"user:{self.user}"

    def require(self, cluster: str) -> None:
        """Raise Forbidden unless they are for this cluster, which may not even be there."""
        if self.clusters is not None and cluster not in self.clusters:
            theirs = ", ".join(sorted(self.clusters)) or "none"
            raise Forbidden(
                f"You are not for the cluster {cluster[:63]!r}. Name one with `?cluster=`; yours: {theirs}."
            )


async def principal(
    request: Request,
    process: ProcessDep,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Security(_cookie)],
) -> Principal:
    """Whose token or session the request has. Raises Unauthenticated, Forbidden, RateLimited."""
    found = await _found(request, process, bearer, cookie)
    request.app.state.rates.admit(found.id)
    request.app.state.uses.note(found.id)
    return found


async def _found(
    request: Request, process: Process, bearer: HTTPAuthorizationCredentials | None, cookie: str | None
) -> Principal:
    if bearer is not None:
        async with process.database.read() as connection:
            token = await tokens.find(connection, bearer.credentials)
        if token is None:
            raise Unauthenticated("This token is not known, or has expired; `pathfinder token create` makes a new one.")
        return Principal(
            token.role,
            token.clusters,
            token_id=token.id,
            name=token.name,
            user=token.user,
            user_id=token.user_id,
            expires_at=token.expires_at,
            cluster_id=token.cluster_id,
            node_id=token.node_id,
        )
    if cookie is None:
        raise Unauthenticated(
            "Send `Authorization: Bearer TOKEN`; `pathfinder up` puts one into ~/.pfi/config, "
            "`pathfinder token create` makes more. Or log in."
        )
    async with process.database.read() as connection:
        session = await sessions.find(connection, cookie)
    if session is None:
        raise Unauthenticated("This session has ended; log in again.")
    csrf_token = sessions.csrf_token(cookie)
    sent = request.headers.get(CSRF_HEADER, "")
    if request.method not in SAFE and not hmac.compare_digest(sent.encode(), csrf_token.encode()):
        raise Forbidden(f"Send the session's csrf_token as {CSRF_HEADER}; GET /api/v3/session tells it.")
    return Principal(
        session.role,
        session.clusters,
        user=session.user,
        user_id=session.user_id,
        session_id=session.id,
        csrf_token=csrf_token,
        expires_at=session.expires_at,
    )


Known = Annotated[Principal, Depends(principal)]


async def allowed(request: Request, asking: Known) -> Principal:
    """Whoever asks, if the table of permissions lets them. Raises Forbidden."""
    wanted = need(request.method, request.scope["route"].path.removeprefix(PREFIX))
    if wanted.role is not None and not covers(asking.role, wanted.role):
        raise Forbidden(_refusal(asking.role, wanted.role))
    match wanted.reach:
        case Reach.ALL if asking.clusters is not None:
            raise Forbidden("This concerns every cluster, and you are for some only.")
        case Reach.CLUSTER:
            asking.require(request.query_params.get("cluster", DEFAULT_CLUSTER))  # as the routes read it
        case Reach.PATH:
            asking.require(request.path_params["name"])
    return asking


def _refusal(role: str, wanted: Role) -> str:
    if wanted not in RANKS:
        return "Nodes register with a join token; `pathfinder token create --role join` makes one."
    if role not in RANKS:
        return f"This token can only register a node; use one made with `--role {wanted}`."
    return f"This is for the role {wanted}; yours is {role}."


async def stands(process: Process, asking: Principal) -> bool:
    """Whether what somebody asked with is still good: for answers that take long."""
    async with process.database.read() as connection:
        return await tokens.stands(connection, asking.id)


def guarded(prefix: str, tag: str) -> APIRouter:
    """Routes below `prefix` for those whom the table of permissions lets ask."""
    return APIRouter(prefix=f"{PREFIX}{prefix}", tags=[tag], dependencies=[Depends(allowed)])


Operator = Annotated[Principal, Depends(allowed)]
Joining = Operator
