"""Sessions: log in, see who one is, log out."""

from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Cookie, Depends, Path, Query, Request, Response

from api.auth import SESSION_COOKIE, Known, Principal, guarded
from api.deps import PREFIX, Limit, ProcessDep, TraceId
from api.errors import documented
from api.limits import Logins
from pathfinder.bootstrap import Process
from pathfinder.domain import views
from pathfinder.domain.access import DEVELOPMENT_PASSWORD, DEVELOPMENT_USER, Role, covers
from pathfinder.domain.errors import Forbidden, Unauthenticated
from pathfinder.domain.identity import KnownSession, Login, Session
from pathfinder.passwords import matches
from pathfinder.store import sessions, tokens, users

router = guarded("", "session")
#: What whoever is not known yet may ask.
open_router = APIRouter(prefix=PREFIX, tags=["session"])

#: By this a browser is known again after its session ended; it opens nothing.
DEVICE_COOKIE = "pathfinder_device"
DEVICE_DAYS = 180

NOBODY = UUID(int=0)

_DAY, _HOUR = 86_400, 3_600


async def logins(request: Request) -> Logins:
    """How often a password may be tried here."""
    return cast(Logins, request.app.state.logins)


@open_router.post("/session", responses=documented())
async def log_in(
    given: Login,
    request: Request,
    response: Response,
    process: ProcessDep,
    limits: Annotated[Logins, Depends(logins)],
    device: Annotated[str | None, Cookie(alias=DEVICE_COOKIE, max_length=64, include_in_schema=False)] = None,
) -> Session:
    """Begin a session: the answer sets its cookie. Wrong names and wrong passwords are told alike."""
    source, name = source_of(request), given.username
    async with process.database.read() as connection:
        user = await users.find(connection, name)
        if user is None or device is None or not await sessions.is_known(connection, device, user.id):
            device = None
    limits.admit(source, name, device)
    password = given.password.get_secret_value()
    right = await matches(None if user is None else user.password, password)
    if user is None or not right or (process.settings.mode == "production" and is_development(name, password)):
        raise Unauthenticated("The user name or the password is not right.")
    limits.succeeded(source, name, device)
    seconds = process.settings.session_hours * _HOUR
    async with process.database.begin() as tx:
        secret, expires_at = await sessions.begin(tx, user.id, source, agent_of(request), seconds)
        device = await sessions.remember(tx, device, user.id)
    enter(request, response, process, secret)
    _set(response, DEVICE_COOKIE, device, DEVICE_DAYS * _DAY, request.url.scheme == "https")
    return _entered(user.role, user.clusters, user.name, secret, expires_at)


def source_of(request: Request) -> str:
    """The address that a login comes from."""
    return request.client.host if request.client else ""


def agent_of(request: Request) -> str:
    """What a login is made with."""
    return request.headers.get("User-Agent", "")[:200]


def enter(request: Request, response: Response, process: Process, secret: str) -> None:
    """Have the answer set the cookie of a session that began just now."""
    seconds = int(process.settings.session_hours * _HOUR)
    _set(response, SESSION_COOKIE, secret, seconds, request.url.scheme == "https")


def entered(session: sessions.Session, secret: str) -> Session:
    """What whoever began it is told."""
    return _entered(session.role, session.clusters, session.user, secret, session.expires_at)


def _entered(role: str, clusters: frozenset[str] | None, user: str, secret: str, expires_at: datetime) -> Session:
    csrf_token = sessions.csrf_token(secret)
    return _view(Principal(role, clusters, user=user, csrf_token=csrf_token, expires_at=expires_at))


@router.get("/session", responses=documented())
async def who(asking: Known) -> Session:
    """Who asks, and what for; of tokens, too."""
    return _view(asking)


@router.delete("/session", status_code=204, responses=documented())
async def log_out(response: Response, process: ProcessDep, asking: Known, trace_id: TraceId) -> None:
    """End the session, or revoke the user's token, that this is asked with."""
    if asking.user is None:
        raise Forbidden("This token is no user's: it is good until it is revoked.")
    async with process.database.begin() as tx:
        if asking.session_id is not None:
            await sessions.end(tx, asking.session_id)
        elif asking.user_id is not None:
            await tokens.revoke_own(tx, asking.name, asking.user_id, asking.actor, trace_id)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")


@router.get("/sessions", responses=documented())
async def get_all(
    process: ProcessDep,
    asking: Known,
    limit: Limit = 200,
    cursor: Annotated[UUID | None, Query(description="The next_cursor of the page before.")] = None,
) -> views.Page[KnownSession]:
    """The sessions that whoever asks may end, oldest first: their own; of all clusters' admins, everybody's."""
    async with process.database.read() as tx:
        rows = await sessions.page(tx, _whose(asking), cursor, limit + 1)
    return views.Page(items=rows[:limit], next_cursor=str(rows[limit - 1].id) if len(rows) > limit else None)


@router.delete("/sessions/{id}", status_code=204, responses=documented(404))
async def revoke(
    id_: Annotated[UUID, Path(alias="id", description="The session's id.")], process: ProcessDep, asking: Known
) -> None:
    """End a session at once."""
    async with process.database.begin() as tx:
        await sessions.revoke(tx, id_, _whose(asking))


def _whose(asking: Principal) -> UUID | None:
    """Whose sessions somebody may see; None: everybody's. A token that is no user's sees nobody's."""
    if asking.clusters is None and covers(asking.role, Role.ADMIN):
        return None
    return asking.user_id or NOBODY


def is_development(name: str, password: str) -> bool:
    """Whether these are the credentials that everybody knows."""
    return (name, password) == (DEVELOPMENT_USER, DEVELOPMENT_PASSWORD)


def _set(response: Response, name: str, value: str, seconds: int, secure: bool) -> None:
    response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="strict", secure=secure)


def _view(asking: Principal) -> Session:
    return Session(
        user=asking.user,
        actor=asking.actor,
        role=Role(asking.role),
        clusters=None if asking.clusters is None else sorted(asking.clusters),
        csrf_token=asking.csrf_token,
        expires_at=asking.expires_at,
    )
