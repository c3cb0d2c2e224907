"""Who asks: one dependency that turns a bearer token into a principal. Every route but the health checks has it."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.deps import ProcessDep
from pathfinder.domain.errors import Forbidden, Unauthenticated
from pathfinder.store import tokens

_scheme = HTTPBearer(auto_error=False, description="A token made by `pathfinder token create`.")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what for. `role` is operator, join or node."""

    token_id: UUID
    name: str
    role: str
    cluster_id: UUID | None
    node_id: UUID | None

    @property
    def actor(self) -> str:
        """How the event log names it."""
        return f"token:{self.name}"


async def principal(
    request: Request,
    process: ProcessDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)],
) -> Principal:
    """The bearer of the request's token. Raises Unauthenticated."""
    if credentials is None:
        raise Unauthenticated(
            "Send `Authorization: Bearer TOKEN`; `pathfinder up` puts one into ~/.pfi/config, "
            "`pathfinder token create` makes more."
        )
    async with process.database.read() as connection:
        token = await tokens.find(connection, credentials.credentials)
    if token is None:
        raise Unauthenticated("This token is not known, or has expired; `pathfinder token create` makes a new one.")
    return Principal(token.id, token.name, token.role, token.cluster_id, token.node_id)


async def operator(asking: Annotated[Principal, Depends(principal)]) -> Principal:
    """A principal that may do all but join. Raises Forbidden."""
    if asking.role != "operator":
        raise Forbidden("This token can only register a node; use one made with `--role operator`.")
    return asking


async def joining(asking: Annotated[Principal, Depends(principal)]) -> Principal:
    """A principal that may register a node. Raises Forbidden."""
    if asking.role not in ("join", "node"):
        raise Forbidden("Nodes register with a join token; `pathfinder token create --role join` makes one.")
    return asking


Operator = Annotated[Principal, Depends(operator)]
Joining = Annotated[Principal, Depends(joining)]
