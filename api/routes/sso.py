"""Single sign-on: to the identity provider and back, for a browser; and for a program whose user has one."""

from typing import Annotated
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, Cookie, Depends, Query, Request, Response
from pydantic import BaseModel, ValidationError
from starlette.responses import RedirectResponse

from api.deps import PREFIX, ProcessDep, TraceId
from api.errors import documented
from api.limits import Logins
from api.pages import refusal
from api.routes.session import agent_of, enter, entered, logins, source_of
from pathfinder.bootstrap import Process
from pathfinder.domain.errors import AlreadyExists, NotFound, RateLimited, Unauthenticated, Unavailable
from pathfinder.domain.external import Grant, granted, user_name
from pathfinder.domain.identity import Redemption, Session, SingleSignOn
from pathfinder.oidc import Attempt, NotVouched, Provider, attempt, challenge
from pathfinder.store import clusters, sessions, users
from pathfinder.store.users import Vouched

log = structlog.get_logger()

#: Nobody is known yet who asks these.
open_router = APIRouter(prefix=f"{PREFIX}/sso", tags=["session"])

#: What one try is bound to a browser by. Sent along by the provider's redirect, which SameSite=Strict would not be.
COOKIE = "pathfinder_sso"
COOKIE_SECONDS = 600

Port = Annotated[int | None, Query(ge=1024, le=65535, description="Where a program listens on the browser's machine.")]
Challenge = Annotated[str, Query(max_length=43, pattern=r"^([A-Za-z0-9_-]{43})?$")]


class Begun(BaseModel):
    """What the browser keeps of one try: what binds it, and the program it is for, if it is for one."""

    state: str
    nonce: str
    verifier: str
    port: int | None = None
    challenge: str = ""
    theirs: str = ""


@open_router.get("", responses=documented())
async def about(process: ProcessDep) -> SingleSignOn:
    """Whether people may sign in at an identity provider, and what that is called."""
    settings = process.settings
    return SingleSignOn(title=settings.oidc_title if settings.oidc_issuer else None)


@open_router.get("/begin", include_in_schema=False)
async def begin(
    request: Request,
    process: ProcessDep,
    port: Port = None,
    challenge: Challenge = "",
    state: Annotated[str, Query(max_length=128)] = "",
) -> Response:
    """Send a browser to the identity provider."""
    provider: Provider | None = request.app.state.provider
    if provider is None:
        return refusal(404, "There is no single sign-on here. Log in with a password.")
    if port is not None and not challenge:
        return refusal(422, "A program that listens on a port has to send a challenge, too.")
    tried = attempt()
    try:
        where = await provider.address(tried, _redirect_uri(request))
    except Unavailable as error:
        return refusal(503, str(error))
    answer = RedirectResponse(where, 303)
    kept = Begun(
        state=tried.state, nonce=tried.nonce, verifier=tried.verifier, port=port, challenge=challenge, theirs=state
    )
    answer.set_cookie(
        COOKIE,
        kept.model_dump_json().encode().hex(),
        max_age=COOKIE_SECONDS,
        path=f"{PREFIX}/sso",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


@open_router.get("/callback", include_in_schema=False)
async def callback(
    request: Request,
    process: ProcessDep,
    trace_id: TraceId,
    limits: Annotated[Logins, Depends(logins)],
    code: Annotated[str, Query(max_length=4096)] = "",
    state: Annotated[str, Query(max_length=128)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
    kept: Annotated[str, Cookie(alias=COOKIE, max_length=4096)] = "",
) -> Response:
    """Whom the identity provider sent back: into the console, or on to the program they began with."""
    answer = await _come_back(request, process, trace_id, limits, code, state, error, _begun(kept))
    answer.delete_cookie(COOKIE, path=f"{PREFIX}/sso", httponly=True, samesite="lax")
    return answer


async def _come_back(
    request: Request,
    process: Process,
    trace_id: str,
    limits: Logins,
    code: str,
    state: str,
    error: str,
    begun: Begun | None,
) -> Response:
    provider: Provider | None = request.app.state.provider
    if provider is None or begun is None or begun.state != state:
        return refusal(400, "This login was not begun in this browser, or too long ago. Begin again.")
    if error or not code:
        return refusal(403, f"The identity provider refused: {error or 'it gave no code'}.")
    source = source_of(request)
    try:
        limits.admit(source, state, None)  # a name of its own: colleagues behind one address do not lock each other out
        tried = Attempt(begun.state, begun.nonce, begun.verifier)
        claims = await provider.claims(code, tried, _redirect_uri(request))
        vouched, grant = await _judged(process, claims)
        limits.succeeded(source, state, None)
        return await _let_in(request, process, trace_id, vouched, grant, begun)
    except RateLimited as refused:
        return refusal(429, str(refused))
    except Unavailable as away:
        return refusal(503, str(away))
    except (NotVouched, AlreadyExists, NotFound) as refused:
        log.warning("single sign-on refused", why=str(refused))
        return refusal(403, str(refused))


async def _judged(process: Process, claims: dict[str, object]) -> tuple[Vouched, Grant]:
    """Who that is, and what they may. Raises NotVouched; what they began before has ended then."""
    settings = process.settings
    subject = str(claims["sub"])
    grant = granted(claims.get(settings.oidc_roles_claim), settings.oidc_roles)
    if grant is None:
        async with process.database.begin() as tx:
            await users.bar(tx, settings.oidc_issuer, subject)
        raise NotVouched(
            f"The identity provider knows you, but nothing in its claim {settings.oidc_roles_claim!r} of you gives a "
            "role here. Ask whoever runs this Pathfinder for one (PATHFINDER_OIDC_ROLES)."
        )
    try:
        name = user_name(claims.get(settings.oidc_name_claim))
    except ValueError as error:
        raise NotVouched(f"The claim {settings.oidc_name_claim!r} cannot be a user's name here: {error}.") from error
    return Vouched(settings.oidc_issuer, subject, name), grant


async def _let_in(
    request: Request, process: Process, trace_id: str, who: Vouched, grant: Grant, begun: Begun
) -> Response:
    async with process.database.begin() as tx:
        ids = await clusters.ids(tx, grant.clusters)
        user_id, name = await users.vouched(tx, who, grant.role, ids, trace_id)
        if begun.port is None:
            secret, _ = await sessions.begin(
                tx, user_id, source_of(request), agent_of(request), process.settings.session_hours * 3600
            )
        else:
            code = await sessions.hand_over(tx, user_id, source_of(request), agent_of(request), begun.challenge)
    log.info("single sign-on", user=name, role=grant.role)
    if begun.port is not None:
        back = urlencode({"code": code, "state": begun.theirs})
        return RedirectResponse(f"http://127.0.0.1:{begun.port}/?{back}", 303)
    answer = RedirectResponse("/", 303)
    enter(request, answer, process, secret)
    return answer


@open_router.post("/session", responses=documented())
async def redeem(
    shown: Redemption,
    request: Request,
    response: Response,
    process: ProcessDep,
    limits: Annotated[Logins, Depends(logins)],
) -> Session:
    """Begin a session that a browser was sent back with a code for: the answer sets its cookie."""
    source = source_of(request)
    limits.admit(source, shown.code, None)
    seconds = process.settings.session_hours * 3600
    async with process.database.begin() as tx:
        secret = await sessions.take_over(tx, shown.code, challenge(shown.verifier.get_secret_value()), seconds)
        found = None if secret is None else await sessions.find(tx, secret)
    if secret is None or found is None:
        raise Unauthenticated("This code is not known, was used already, or is too old. Sign in again.")
    limits.succeeded(source, shown.code, None)
    enter(request, response, process, secret)
    return entered(found, secret)


def _redirect_uri(request: Request) -> str:
    """Back to the address that this browser uses; the provider knows each that there is."""
    return f"{request.url.scheme}://{request.url.netloc}{PREFIX}/sso/callback"


def _begun(kept: str) -> Begun | None:
    try:
        return Begun.model_validate_json(bytes.fromhex(kept))
    except (ValueError, ValidationError):
        return None
