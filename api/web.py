"""The console: the static files of `api/console/dist`, served beside the API; a page that says how to build them where
they were not.

The browser keeps what has a checksum in its name for ever, and asks anew for the rest. A path that is no file is a page
of the console, which finds its way by itself.
"""

from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

#: Where `make console` puts what it builds.
DIST = Path(__file__).parent / "console" / "dist"

#: Paths under these are the API's alone: who asks for one that is not there is told so, browser or not.
_NOT_PAGES = ("/api/", "/healthz", "/readyz", "/metrics")

#: Everything comes from here, and no other site may frame it. Styles are set from scripts, never written into the page.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_ANEW = "no-cache"

_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Pathfinder</title>
<h1>Pathfinder runs; its console was not built here</h1>
<p>Where the npm registry can be reached, <code>make console</code> builds it in some seconds.
Then load this page again; nothing has to be started anew.</p>
<p>Everything else works without it: <code>pfi</code>, and the API with <a href="/api/v3/docs">its own pages</a>.</p>
</html>
"""


class Console:
    """Answers what no route of the API takes: a file, a page, or else what `otherwise` says."""

    def __init__(self, otherwise: ASGIApp, directory: Path) -> None:
        self._otherwise = otherwise
        self._directory = directory
        self._files = StaticFiles(directory=directory, check_dir=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not _is_ours(scope):
            await self._otherwise(scope, receive, send)
            return
        path = str(scope["path"]).lstrip("/")
        found, stat = self._files.lookup_path(path) if path else ("", None)
        if stat is not None and Path(found).is_file():  # noqa: ASYNC240 - local, and what is asked for is in memory
            answer = self._files.file_response(found, stat, scope)
            answer.headers["Cache-Control"] = _FOR_EVER if path.startswith("assets/") else _ASK_ANEW
        elif _wants_a_page(scope):
            answer = self._page()
            answer.headers["Cache-Control"] = _ASK_ANEW
        else:
            await self._otherwise(scope, receive, send)
            return
        answer.headers.update(HEADERS)
        await answer(scope, receive, send)

    def _page(self) -> Response:
        index = self._directory / "index.html"
        return FileResponse(index) if index.is_file() else HTMLResponse(_NOT_BUILT)


def _is_ours(scope: Scope) -> bool:
    return scope["method"] in ("GET", "HEAD") and not scope["path"].startswith(_NOT_PAGES)


def _wants_a_page(scope: Scope) -> bool:
    """Whether a person asks, not a program: what is missing is then told by the console, in words."""
    return scope["path"] == "/" or "text/html" in Headers(scope=scope).get("accept", "")
