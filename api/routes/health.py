"""Whether this process lives, and whether it can work."""

from typing import cast

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from api.deps import ProcessDep
from api.overview import Overview
from pathfinder import __version__, health, telemetry

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    responses={
        503: {"description": "A part does not answer; the body is that of 200, no problem document, and says which."}
    },
)
async def readyz(process: ProcessDep) -> Response:
    """What each part this process needs says: ok, or what is wrong."""
    status, document = await health.readiness(process)
    return JSONResponse(document, status)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(process: ProcessDep, request: Request) -> Response:
    """This process, and Pathfinder as a whole, in numbers: Prometheus's text format."""
    await health.check(process)
    await cast(Overview, request.app.state.overview).count()
    return Response(telemetry.exposition(), media_type=telemetry.MEDIA_TYPE)


@router.get("/api/v3/version")
async def version() -> dict[str, str]:
    """The version of this API's software."""
    return {"version": __version__}
