"""OpenID Connect: sending somebody to the identity provider of the settings, and learning from it who came back.

The authorization code flow with PKCE (RFC 7636); the provider's own documents say where its parts are and which keys
it signs with. joserfc checks what is signed.
"""

import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx2
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from pathfinder import tls
from pathfinder.domain.errors import Invalid, PathfinderError, Unavailable
from pathfinder.serving import is_loopback
from pathfinder.settings import Settings

TIMEOUT_SECONDS = 5.0
#: For how long the provider's documents are believed; a key that is not among those known is asked for sooner.
FRESH_SECONDS = 3600.0
#: But not more often than this, whoever sends tokens.
KEYS_AGAIN_SECONDS = 10.0
#: How far the provider's clock may be from ours.
LEEWAY_SECONDS = 60
#: Signatures that only the provider can make: none of a shared secret, and not "none".
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
_KEY_TYPES = ("RSA", "EC")


class ProviderAway(Unavailable):
    """The identity provider does not answer, or not as one."""

    slug = "provider-away"


class NotVouched(PathfinderError):
    """The identity provider does not vouch for whoever came back."""

    slug = "not-vouched"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What binds an answer to the browser that began: known to that browser and to the API alone."""

    state: str
    nonce: str
    verifier: str


def attempt() -> Attempt:
    """A new one."""
    return Attempt(*(secrets.token_urlsafe(32) for _ in range(3)))


def challenge(verifier: str) -> str:
    """What is told of a verifier before it is shown: S256 of RFC 7636."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class Provider:
    """The identity provider of these settings, which name one. Raises Invalid for files that cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        tls.verifying(settings.oidc_issuer, settings.oidc_ca_file)
        try:
            self._secret()
        except ProviderAway as error:
            raise Invalid(str(error)) from error
        self._issuer = settings.oidc_issuer
        self._documents: dict[str, tuple[float, dict[str, Any]]] = {}

    async def address(self, tried: Attempt, redirect_uri: str) -> str:
        """Where to send the browser. Raises ProviderAway."""
        where = (await self._metadata())["authorization_endpoint"]
        asked = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": redirect_uri,
            "scope": self._settings.oidc_scopes,
            "state": tried.state,
            "nonce": tried.nonce,
            "code_challenge": challenge(tried.verifier),
            "code_challenge_method": "S256",
        }
        return f"{where}{'&' if urlsplit(where).query else '?'}{urlencode(asked)}"

    async def claims(self, code: str, tried: Attempt, redirect_uri: str) -> dict[str, Any]:
        """What the provider says of whoever it sent back with `code`. Raises ProviderAway, NotVouched."""
        metadata = await self._metadata()
        answer = await self._redeem(metadata, code, tried, redirect_uri)
        claims = await self._checked(metadata, answer.get("id_token"), tried.nonce)
        wanted = self._settings.oidc_roles_claim
        if wanted not in claims and "userinfo_endpoint" in metadata and answer.get("access_token"):
            more = await self._userinfo(metadata["userinfo_endpoint"], str(answer["access_token"]))
            if more.get("sub") == claims["sub"]:  # else it is of somebody else, and says nothing
                claims = {**more, **claims}
        return claims

    async def _redeem(
        self, metadata: Mapping[str, Any], code: str, tried: Attempt, redirect_uri: str
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": tried.verifier,
        }
        client_id, secret, auth = self._settings.oidc_client_id, self._secret(), None
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if secret is not None and "client_secret_basic" in methods:
            auth = httpx2.BasicAuth(quote(client_id, safe=""), quote(secret, safe=""))
        else:
            form |= {"client_id": client_id} | ({} if secret is None else {"client_secret": secret})
        answer = await self._send("POST", metadata["token_endpoint"], data=form, auth=auth)
        if answer.status_code in (400, 401, 403):
            raise NotVouched(f"The identity provider refused: {_error(answer)}.")
        return self._document(answer)

    async def _checked(self, metadata: Mapping[str, Any], token: object, nonce: str) -> dict[str, Any]:
        if not isinstance(token, str):
            raise NotVouched("The identity provider gave no ID token.")
        client_id = self._settings.oidc_client_id
        try:
            claims = await self._verified(metadata, token)
            JWTClaimsRegistry(
                leeway=LEEWAY_SECONDS,
                iss={"essential": True, "value": self._issuer},
                sub={"essential": True},
                aud={"essential": True, "value": client_id},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise NotVouched(f"What the identity provider signed is not right: {error}.") from error
        # A token for several parties says which of them asked for it.
        if claims.get("azp", client_id) != client_id or (isinstance(claims["nonce"], list)):
            raise NotVouched("What the identity provider signed is for somebody else.")
        return claims

    async def _verified(self, metadata: Mapping[str, Any], token: str) -> dict[str, Any]:
        url = metadata["jwks_uri"]
        try:
            return jwt.decode(token, _keys(await self._get(url)), ALGORITHMS).claims
        except InvalidKeyIdError:  # a key it took to since
            return jwt.decode(token, _keys(await self._get(url, KEYS_AGAIN_SECONDS)), ALGORITHMS).claims

    async def _userinfo(self, url: str, access_token: str) -> dict[str, Any]:
        return self._document(await self._send("GET", url, headers={"Authorization": f"Bearer {access_token}"}))

    async def _metadata(self) -> dict[str, Any]:
        found = await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._issuer:
            raise ProviderAway(
                f"The identity provider calls itself {str(found.get('issuer'))[:200]!r}; PATHFINDER_OIDC_ISSUER has to "
                "be just that."
            )
        secure = urlsplit(self._issuer).scheme == "https"
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not str(found.get(name, "")).startswith("https:" if secure else ("http:", "https:")):
                raise ProviderAway(f"The identity provider tells no {name} that can be used.")
        return found

    async def _get(self, url: str, fresh_seconds: float = FRESH_SECONDS) -> dict[str, Any]:
        at, document = self._documents.get(url, (0.0, {}))
        if document and time.monotonic() - at < fresh_seconds:
            return document
        found = self._document(await self._send("GET", url))
        self._documents[url] = time.monotonic(), found
        return found

    async def _send(self, method: str, url: str, **given: Any) -> httpx2.Response:
        host = urlsplit(url).hostname or ""
        try:
            async with httpx2.AsyncClient(
                timeout=TIMEOUT_SECONDS,
                follow_redirects=False,
                verify=tls.verifying(url, self._settings.oidc_ca_file),
                trust_env=not is_loopback(host),
            ) as client:
                headers = {"Accept": "application/json"} | given.pop("headers", {})
                return await client.request(method, url, headers=headers, **given)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ProviderAway(
                f"The identity provider does not answer ({tls.words(error)}). Try again soon, or use a password."
            ) from error

    def _document(self, answer: httpx2.Response) -> dict[str, Any]:
        try:
            found = answer.json() if answer.is_success else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ProviderAway(f"The identity provider answered {answer.status_code}, and not with what was asked for.")
        return found

    def _secret(self) -> str | None:
        path = self._settings.oidc_client_secret
        if path is None:
            return None
        try:
            return path.read_text().strip()
        except OSError as error:
            raise ProviderAway(f"PATHFINDER_OIDC_CLIENT_SECRET cannot be read: {error.strerror}.") from error


def _keys(document: Mapping[str, Any]) -> KeySet:
    listed = document.get("keys")
    keys = [key for key in listed if isinstance(key, dict)] if isinstance(listed, list) else []
    usable = [key for key in keys if key.get("kty") in _KEY_TYPES and key.get("use", "sig") == "sig"]
    return KeySet.import_key_set({"keys": usable})


def _error(answer: httpx2.Response) -> str:
    """The short name of an error (RFC 6749); its other words could be anybody's."""
    try:
        name = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        name = f"status {answer.status_code}"
    return name if name.isprintable() and name.isascii() else "an error"
