"""A small OpenID Connect provider, over real HTTP: it vouches for whomever a test says, and lies as a test says."""

import asyncio
import socket
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx2
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from pathfinder import serving
from pathfinder.oidc import challenge

CLIENT_ID, CLIENT_SECRET = "pathfinder", "the client's secret"


def _key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"}, auto_kid=False)


#: The header of what nobody signed.
NOBODY = urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
#: Made once: that takes long.
KEY, OTHER = _key("one"), _key("one")


@dataclass
class IdentityProvider:
    """What it says of whoever comes; `lies` replace claims in what it signs, `userinfo` is told beside that."""

    issuer: str
    claims: dict[str, Any]
    lies: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: KEY)
    signing: RSAKey = field(default_factory=lambda: KEY)
    algorithm: str = "RS256"
    unsigned: bool = False
    broken: bool = False
    redeemed: list[str] = field(default_factory=list)
    _asked: dict[str, dict[str, str]] = field(default_factory=dict)

    async def sign_in(self, url: str) -> httpx2.URL:
        """Whoever is sent to `url` agrees: where they are sent back to."""
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.get(url)
        assert answer.status_code == 303, answer.text
        return httpx2.URL(answer.headers["location"])

    def app(self) -> Starlette:
        """Its four parts, and userinfo."""
        paths = ("/.well-known/openid-configuration", "/authorize", "/token", "/keys", "/userinfo")
        parts = (self._metadata, self._authorize, self._token, self._keys, self._userinfo)
        return Starlette(routes=[Route(*one, methods=["GET", "POST"]) for one in zip(paths, parts, strict=True)])

    async def _metadata(self, _: Request) -> Response:
        names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        names |= {"userinfo_endpoint": "userinfo"} if self.userinfo else {}
        return JSONResponse({"issuer": self.issuer} | {name: f"{self.issuer}/{at}" for name, at in names.items()})

    async def _keys(self, _: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False), {"kty": "unheard-of"}]})

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert (asked["client_id"], asked["code_challenge_method"]) == (CLIENT_ID, "S256")
        code = f"code-{len(self._asked)}"
        self._asked[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 303)

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        code = form["code"]
        if self.broken:
            return Response("something went wrong", 500)
        asked = self._asked.pop(code, None)
        basic = httpx2.BasicAuth("pathfinder", "the%20client%27s%20secret")._auth_header
        if request.headers.get("authorization") != basic:
            return JSONResponse({"error": "invalid_client"}, 401)
        right = asked is not None and (asked["redirect_uri"], asked["code_challenge"]) == (
            form["redirect_uri"],
            challenge(form["code_verifier"]),
        )
        if asked is None or not right:
            return JSONResponse({"error": "invalid_grant"}, 400)
        self.redeemed.append(code)
        now = int(time.time())
        said = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 60, "nonce": asked["nonce"]}
        header = {"alg": self.algorithm, "kid": self.signing.kid}
        token = jwt.encode(header, said | self.claims | self.lies, self.signing, [self.algorithm])
        if self.unsigned:
            body = token.split(".")[1]
            token = f"{NOBODY}.{body}."
        return JSONResponse({"access_token": "open", "token_type": "Bearer", "id_token": token})

    async def _userinfo(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer open"
        return JSONResponse(self.userinfo)


@asynccontextmanager
async def provider(**claims: Any) -> AsyncIterator[IdentityProvider]:
    """One that listens, and vouches for somebody of whom this is true."""
    listening = socket.create_server(("127.0.0.1", 0))
    made = IdentityProvider(f"http://127.0.0.1:{listening.getsockname()[1]}", claims)
    server = serving.server(made.app(), graceful_seconds=1)
    answering = asyncio.create_task(server.serve([listening]))
    try:
        yield made
    finally:
        server.should_exit = True
        await answering
