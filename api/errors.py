"""Every error of the API, as an RFC 9457 problem document. The one place where errors meet HTTP."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from pathfinder.domain import errors
from pathfinder.domain.fields import field_path, words
from pathfinder.domain.views import Problem

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[type[errors.PathfinderError], int] = {
    errors.Invalid: 422,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
}

TITLES = {
    400: "Malformed request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Body too large",
    422: "Invalid request",
    429: "Too many requests",
    500: "Internal error",
    503: "Unavailable",
}


def problem(
    request: Request,
    status: int,
    slug: str,
    detail: str,
    fields: Sequence[Mapping[str, str]] = (),
    retry_after_seconds: int | None = None,
) -> Response:
    """A problem document as a response."""
    document = Problem(
        type=f"/problems/{slug}",
        title=TITLES.get(status, "Error"),
        status=status,
        detail=detail,
        errors=[dict(one) for one in fields],
        trace_id=request.scope.get("trace_id"),
    )
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if retry_after_seconds is not None:
        headers["Retry-After"] = str(retry_after_seconds)
    return JSONResponse(document.model_dump(mode="json"), status, headers, MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these, besides what every route may."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    every = {400, 401, 403, 405, 413, 422, 429, 500, 503}
    answers: dict[int | str, dict[str, Any]] = {
        status: {"description": TITLES[status], "content": content} for status in sorted(every.union(statuses))
    }
    # By this FastAPI has the schema among its components. Said by each answer, it would delay the API by a tenth.
    answers[500]["model"] = Problem
    return answers


def install(app: FastAPI) -> None:
    """Have every error of `app` answered with a problem document."""

    @app.exception_handler(errors.PathfinderError)
    async def _ours(request: Request, error: errors.PathfinderError) -> Response:
        status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
        fields: Sequence[Mapping[str, str]] = ()
        if isinstance(error, errors.Invalid):
            fields = [{"field": one.field, "message": one.message} for one in error.problems]
        wait = error.retry_after_seconds if isinstance(error, errors.Unavailable | errors.RateLimited) else None
        return problem(request, status, error.slug, str(error), fields, wait)

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()
        if any(one["type"] == "json_invalid" for one in found):
            where = found[0].get("ctx", {}).get("error", "it does not parse")
            return problem(request, 400, "malformed-json", f"The body is not JSON: {where}. Send a JSON document.")
        fields = [{"field": _field(one["loc"]), "message": words(one)} for one in found[:50]]
        return problem(request, 422, errors.Invalid.slug, "Some fields are not right.", fields)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        details = {
            404: f"There is no {request.url.path}; /api/v3/docs lists what there is.",
            405: f"{request.method} cannot be used on {request.url.path}; /api/v3/docs lists what can.",
            400: "The body could not be read; send a JSON document in UTF-8.",
        }
        slug = TITLES.get(error.status_code, "error").lower().replace(" ", "-")
        answer = problem(request, error.status_code, slug, details.get(error.status_code, str(error.detail)))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def _bug(request: Request, error: Exception) -> Response:
        log.error("request failed", path=request.url.path, exc_info=error)
        return problem(
            request, 500, "internal", "Something went wrong here, not in your request. The log tells more by trace_id."
        )


def _field(location: Sequence[int | str]) -> str:
    """`('body', 'containers', 3, 'memory')` as `containers[3].memory`."""
    parts = list(location)
    if len(parts) > 1 and parts[0] in ("body", "query", "path", "header"):
        parts = parts[1:]
    return field_path(parts)
