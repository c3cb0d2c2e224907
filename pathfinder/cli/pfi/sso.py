"""Signing in with a browser: it is sent to the server, and brings back a code to a port of this machine (RFC 8252)."""

import os
import secrets
import time
import webbrowser
from base64 import urlsafe_b64encode
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from pathfinder.cli.pfi.failures import Failed, TimedOut
from pathfinder.cli.pfi.terminal import note
from pathfinder.client.connection import BASE

#: How long somebody may take to sign in.
PATIENCE_SECONDS = 300.0
#: How long whoever connects to the port may take to say what they want: a browser says so at once.
REQUEST_SECONDS = 5.0

_DONE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Pathfinder</title>
<p>You are logged in. This page can be closed; pfi goes on.</p>
</html>
"""
#: A machine with none of these has no browser that anybody would see.
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def from_browser(server: str) -> tuple[str, str]:
    """The code that the browser brings, and the verifier that goes with it. Raises TimedOut, Failed."""
    verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with _Port(state) as port:
        asked = urlencode({"port": port.server_port, "challenge": challenge, "state": state})
        address = f"{server.rstrip('/')}{BASE}/sso/begin?{asked}"
        note(f"pfi: sign in with a browser on this machine:\n  {address}")
        if any(os.environ.get(name) for name in _SCREENS):
            webbrowser.open(address)
        return port.code(PATIENCE_SECONDS), verifier


class _Port(HTTPServer):
    """Listens on this machine alone, at any port that is free."""

    def __init__(self, state: str) -> None:
        try:
            super().__init__(("127.0.0.1", 0), _Answer)
        except OSError as error:
            raise Failed(f"cannot listen on this machine: {error.strerror}") from error
        self.state = state
        self.brought: str | None = None

    def code(self, seconds: float) -> str:
        """What the browser brings within `seconds`; whatever else comes by is sent away."""
        deadline = time.monotonic() + seconds
        while self.brought is None:
            self.timeout = deadline - time.monotonic()
            if self.timeout <= 0:
                raise TimedOut("nobody signed in; try again, or log in with a password: pfi login USER")
            self.handle_request()
        return self.brought


class _Answer(BaseHTTPRequestHandler):
    """Answers the browser."""

    timeout = REQUEST_SECONDS
    server: _Port

    def do_GET(self) -> None:
        """Take the code, if this comes from the login that was begun here."""
        url = urlsplit(self.path)
        given = parse_qs(url.query)
        code, state = (given.get(name, [""])[0] for name in ("code", "state"))
        ours = secrets.compare_digest(state.encode(), self.server.state.encode())
        if url.path != "/" or not code or not ours:
            self.send_error(404)
            return
        self.server.brought = code
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(_DONE)))
        self.end_headers()
        self.wfile.write(_DONE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing: the code is in what would be logged."""
