"""The few pages that are no console's: what a browser is shown that was sent here by others."""

from html import escape

from starlette.responses import HTMLResponse, Response

_REFUSAL = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Pathfinder</title>
<h1>You are not logged in</h1>
<p>{words}</p>
<p><a href="/">Back to the login page</a></p>
</html>
"""


def refusal(status: int, words: str) -> Response:
    """Why somebody is not logged in. The words are shown as text."""
    return HTMLResponse(_REFUSAL.format(words=escape(words)), status)
