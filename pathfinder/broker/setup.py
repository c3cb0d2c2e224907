"""What a RabbitMQ has to be told so that each role is a user of its own, and nodes are whom the API says they are."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pathfinder.broker import topology
from pathfinder.broker.login import role_user
from pathfinder.serving import is_loopback

#: They come with RabbitMQ.
PLUGINS = ("rabbitmq_auth_backend_http", "rabbitmq_auth_backend_cache")

#: How long RabbitMQ goes by what the API said of a node. Refusals it does not keep.
CACHE_SECONDS = 30

#: The authorities of a Debian system.
SYSTEM_CA = Path("/etc/ssl/certs/ca-certificates.crt")

#: Paths of the API, each for one kind of question.
_QUESTIONS = ("user", "vhost", "resource", "topic")
_CONNECT_MS, _ANSWER_MS = 2_000, 3_000


def configuration(api_url: str, secret: str, cache_seconds: float = CACHE_SECONDS) -> list[str]:
    """Lines of `rabbitmq.conf`. RabbitMQ's own users first: roles are let in, whether or not an API answers."""
    parts = urlsplit(api_url)
    asking = parts._replace(netloc=f"rabbitmq:{quote(secret, safe='')}@{parts.netloc}", path="/api/v3/broker").geturl()
    return [
        "auth_backends.1 = internal",
        "auth_backends.2 = cache",
        "auth_cache.cached_backend = http",
        f"auth_cache.cache_ttl = {cache_seconds * 1000:.0f}",
        "auth_http.http_method = post",
        f"auth_http.connection_timeout = {_CONNECT_MS}",
        f"auth_http.request_timeout = {_ANSWER_MS}",
        *(f"auth_http.{question}_path = {asking}/{question}" for question in _QUESTIONS),
    ]


def trusting(ca_file: Path, api_url: str) -> str:
    """An `advanced.config` for an API that is asked over TLS, without which RabbitMQ would trust anybody."""
    # Only later versions than Debian's can be told in rabbitmq.conf; and that one compares a certificate's names with
    # a URL's, not its addresses. On loopback nobody else answers.
    name = ", {server_name_indication, disable}" if is_loopback(urlsplit(api_url).hostname or "") else ""
    options = f'[{{verify, verify_peer}}, {{cacertfile, "{ca_file}"}}{name}]'
    return f"[{{rabbitmq_auth_backend_http, [{{ssl_options, {options}}}]}}].\n"


def definitions(vhost: str, passwords: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """The users of roles, by their passwords, and what they may: what `rabbitmqctl import_definitions` reads."""
    return {
        "vhosts": [{"name": vhost}],
        "users": [user(role_user(role), password) for role, password in passwords.items()],
        "permissions": [{"user": role_user(role), "vhost": vhost, **topology.permissions(role)} for role in passwords],
    }


def user(name: str, password: str, tags: str = "") -> dict[str, Any]:
    """A user as definitions have it."""
    # RabbitMQ's own hash: four bytes of salt, then SHA-256 of salt and password. The same each time, so that it can be
    # told whether anything changed.
    salt = hashlib.sha256(f"{name} {password}".encode()).digest()[:4]
    hashed = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    return {
        "name": name,
        "password_hash": hashed,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": tags,
    }
