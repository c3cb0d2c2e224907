"""Whether this process lives, and whether it can work."""

from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import text
from starlette.responses import JSONResponse, Response

from api.deps import ProcessDep
from pathfinder import __version__
from pathfinder.domain.errors import Unavailable

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "A part does not answer; the body says which."}})
async def readyz(process: ProcessDep) -> Response:
    """What each part this process needs says: ok, or what is wrong."""
    parts: dict[str, str] = {}
    try:
        async with process.database.begin() as tx:
            await tx.execute(text("SELECT 1"))
        parts["postgresql"] = "ok"
    except Unavailable as error:
        parts["postgresql"] = str(error)
    for role, broker in sorted(process.brokers.items()):
        parts[f"rabbitmq ({role})"] = "ok" if broker.up else "not connected; trying again"
    ready = all(word == "ok" for word in parts.values())
    return JSONResponse({"status": "ok" if ready else "unavailable", "parts": parts}, 200 if ready else 503)


@router.get("/api/v3/version")
async def version() -> dict[str, str]:
    """The version of this API's software."""
    return {"version": __version__}


@router.get("/", include_in_schema=False)
async def root(request: Request) -> dict[str, Any]:
    """A signpost."""
    return {"pathfinder": __version__, "api": "/api/v3", "docs": "/api/v3/docs"}
